/* agent_telling: see the header. */
#include "agent/agent_telling.h"
#include "agent/agent_actions.h"
#include "agent/agent_handlers.h"
#include "log/log.h"
#include "loop/clock.h"

#include <string.h>
#include <sysexits.h>

enum {
	/* So that a server cannot keep a node starting. */
	RESTART_UPTIME_MIN_MS = 10 * 60 * 1000,
	CHANGED_MS = 500,
	SECOND_MS = 1000,
};

/* ---- the network ---- */

/* The server learns of it with the next registration, which any node may make again. */
static void
tell_news(struct agent *agent)
{
	if (agent->has_network_news && heartbeat_token(agent->heartbeat)[0] != '\0')
		enrol_start(agent->enrol);
}

static void
on_network_changed(void *arg)
{
	struct agent *agent = arg;

	agent->has_network_news = true;
	tell_news(agent);
}

const Boson__Discovery__NetworkInfo *
agent_telling_network(void *arg)
{
	struct agent *agent = arg;

	agent->has_network_news = false;
	return agent->network ? network_info(agent->network) : NULL;
}

/* ---- figures ---- */

static const char *
token(void *arg)
{
	const struct agent *agent = arg;

	return heartbeat_token(agent->heartbeat);
}

static bool
server(struct sockaddr_in6 *ret, void *arg)
{
	const struct agent *agent = arg;

	return agent->network && network_server(agent->network, ret);
}

/* What the figures point to; one agent, one thread. */
static struct {
	Boson__Metrics__System system;
	double load[3];
	Boson__Common__Bandwidth bandwidth;
	Boson__Metrics__Wireguard wireguard;
	Boson__Metrics__Packets packets;
	Boson__Metrics__Bytes bytes;
	Boson__Metrics__Connections connections;
} said;

static void
fill_system(struct agent *agent)
{
	struct resources before = agent->measured;
	Boson__Metrics__System *system = &said.system;

	boson__metrics__system__init(system);
	resources_read("/proc", &agent->measured);
	system->has_cpu_usage =
		resources_cpu_percent(&before, &agent->measured, &system->cpu_usage);
	system->has_memory_usage = agent->measured.has_memory;
	system->memory_usage = agent->measured.memory_percent;
	system->has_disk_usage =
		resources_disk_percent(agent->context->state_dir, &system->disk_usage);
	memcpy(said.load, agent->measured.load, sizeof(said.load));
	system->load_average = said.load;
	system->n_load_average = agent->measured.has_load ? 3 : 0;
}

/* Of the tunnel, as the forwarder reported it; sent: towards the clients. */
static void
fill_tunnel(const struct agent *agent, Boson__Metrics__Figures *figures)
{
	const struct agent_report *report = &agent->report;

	boson__common__bandwidth__init(&said.bandwidth);
	said.bandwidth.has_up = said.bandwidth.has_down = 1;
	said.bandwidth.up = report->mbits_up;
	said.bandwidth.down = report->mbits_down;
	figures->network->bandwidth = &said.bandwidth;
	boson__metrics__wireguard__init(&said.wireguard);
	boson__metrics__packets__init(&said.packets);
	boson__metrics__bytes__init(&said.bytes);
	said.packets.has_errors = said.bytes.has_sent = said.bytes.has_received = 1;
	said.packets.errors = report->drops;
	said.bytes.sent = report->bytes_down;
	said.bytes.received = report->bytes_up;
	said.wireguard.packets = &said.packets;
	said.wireguard.bytes = &said.bytes;
	figures->wireguard = &said.wireguard;
}

static void
fill(Boson__Metrics__Figures *figures, void *arg)
{
	struct agent *agent = arg;

	fill_system(agent);
	figures->system = &said.system;
	if (agent->report.has_any && !agent_forwarder_is_silent(agent, clock_monotonic_ms()))
		fill_tunnel(agent, figures);
	boson__metrics__connections__init(&said.connections);
	said.connections.has_active = said.connections.has_total = said.connections.has_failed = 1;
	said.connections.active = (uint32_t)admission_count(agent->admission);
	said.connections.total = metric_value(agent->admitted);
	said.connections.failed = metric_value(agent->refused);
	figures->connections = &said.connections;
}

/* ---- actions ---- */

static void
limit_sessions(struct agent *agent)
{
	admission_limit(agent->admission,
			agent->maintenance_until_ms != 0 ? 0 : agent->sessions_asked);
}

static void
update_config(struct agent *agent, const struct agent_action *action)
{
	if (action->has_metrics_sec)
		telemetry_set_period(agent->telemetry, (int64_t)action->metrics_sec * SECOND_MS);
	if (action->has_sessions_max)
		agent->sessions_asked = action->sessions_max;
	limit_sessions(agent);
}

static void
maintain(struct agent *agent, uint32_t seconds)
{
	agent->maintenance_until_ms =
		seconds == 0 ? 0 : clock_monotonic_ms() + (int64_t)seconds * SECOND_MS;
	limit_sessions(agent);
	heartbeat_hurry(agent->heartbeat, CHANGED_MS);
}

/* Sessions and their packets do not notice: both are kept elsewhere. */
static void
restart(struct agent *agent)
{
	if (clock_monotonic_ms() - agent->started_ms < RESTART_UPTIME_MIN_MS)
		log_warn("restart_refused", "reason=%s", "started a moment ago");
	else
		actor_failed(agent->context, EX_TEMPFAIL);
}

void
agent_telling_act(const char *type, const char *payload, void *arg)
{
	struct agent *agent = arg;
	struct agent_action action;
	int r = agent_action_parse(type, payload, &action);

	if (r < 0) {
		log_warn("action_refused", "type=%s error=%d", type, r);
		return;
	}
	log_warn("action_asked", "type=%s", type);
	switch (action.kind) {
	case AGENT_UPDATE_CONFIG:
		update_config(agent, &action);
		break;
	case AGENT_RESTART:
		restart(agent);
		break;
	case AGENT_MAINTENANCE:
		maintain(agent, action.maintenance_sec);
		break;
	}
}

void
agent_telling_tick(struct agent *agent, int64_t now_ms)
{
	tell_news(agent);
	if (agent->maintenance_until_ms == 0 || now_ms < agent->maintenance_until_ms)
		return;
	log_info("maintenance_over", "sessions=%zu", admission_count(agent->admission));
	maintain(agent, 0);
}

int
agent_telling_open(struct agent *agent)
{
	const struct actor_context *context = agent->context;
	const struct telemetry_events events = {
		.token = token, .server = server, .fill = fill, .arg = agent
	};
	int r = 0;

	agent->sessions_asked = UINT32_MAX;
	if (config_bool(context->config, "agent", "stun"))
		r = network_new(context->loop, context->metrics,
				config_bool(context->config, "agent", "stun_private"),
				on_network_changed, agent, &agent->network);
	if (r == 0)
		r = telemetry_new(context->loop, agent->rest, context->metrics, agent->node_id,
				  config_int(context->config, "agent", "metrics"), &events,
				  &agent->telemetry);
	return r;
}
