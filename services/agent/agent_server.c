/*
 * agent_server: between the server's answers and the forwarder stands the attachment: made of the
 * former, saved, then told to the latter.
 */
#include "agent/agent_server.h"
#include "agent/agent_attachment.h"
#include "agent/agent_config.h"
#include "agent/agent_handlers.h"
#include "agent/agent_rotation.h"
#include "agent/agent_store.h"
#include "agent/agent_telling.h"
#include "log/log.h"
#include "loop/clock.h"

#include <sysexits.h>

enum {
	TELL_TIMEOUT_MS = 3 * 1000,
	/* How soon to ask again while no relay has announced itself to the server. */
	NO_RELAY_MS = 3 * 1000,
};

/* ---- towards the forwarder ---- */

static void
on_told(const Boson__Common__Empty *reply, void *closure_data)
{
	struct agent *agent = closure_data;

	/* Those that were told before the last change count for nothing: told_number was set when
	 * the call was made. */
	if (!reply) {
		agent->told_number = 0;
		metric_add(agent->forwarder_silent, 1);
	}
}

void
agent_server_tell_forwarder(struct agent *agent)
{
	Boson__Node__Attachment told;

	if (!agent->attachment || agent->told_number == agent->attachment_number)
		return;
	agent->told_number = agent->attachment_number;
	/* Borrowed, but for the key, which is not kept in it: it may have changed since. */
	told = *agent->attachment;
	told.public_key = agent->public_text;
	bus_peer_next(agent->forwarder, TELL_TIMEOUT_MS, NULL);
	boson__node__forwarder__set_relays(bus_peer_service(agent->forwarder), &told, on_told,
					   agent);
}

/* ---- from the server ---- */

static void
save_attachment(struct agent *agent, const Boson__Node__Attachment *attachment)
{
	int r = store_begin(agent->store);

	if (r == 0)
		r = agent_store_put_attachment(agent->store, attachment);
	if (r == 0)
		r = store_commit(agent->store);
	if (r < 0) {
		store_rollback(agent->store);
		/* It still serves until we are restarted. */
		log_error("attachment_not_saved", "error=%d", r);
	}
}

static void
attach(struct agent *agent, attachment_relay *const *relays, size_t n, const char *ticket)
{
	Boson__Node__Attachment *next;
	int r = attachment_next(agent->attachment, agent->node_id, relays, n, ticket, &next);

	if (r < 0)
		log_error("attachment_failed", "error=%d", r);
	if (!next)
		return;
	save_attachment(agent, next);
	if (agent->attachment)
		boson__node__attachment__free_unpacked(agent->attachment, NULL);
	agent->attachment = next;
	agent->attachment_number++;
	log_info("attachment_changed", "relays=%zu first=%s", next->n_relay_endpoints,
		 next->n_relay_endpoints ? next->relay_endpoints[0] : "");
	agent_server_tell_forwarder(agent);
}

static void
hurry_for_relays(struct agent *agent)
{
	if (!agent->attachment || agent->attachment->n_relay_endpoints == 0)
		heartbeat_hurry(agent->heartbeat, NO_RELAY_MS);
}

static void
on_enrolled(const Boson__Discovery__RegisterReply *reply, void *arg)
{
	struct agent *agent = arg;

	attach(agent, reply->relay_servers, reply->n_relay_servers, reply->relay_ticket);
	if (agent->network)
		network_set_servers(agent->network, reply->stun_servers, reply->n_stun_servers);
	heartbeat_start(agent->heartbeat, reply->session_token);
	hurry_for_relays(agent);
}

static void
on_rotated(void *arg)
{
	agent_rotation_done(arg);
}

/* L56. */
static void
on_conflict(void *arg)
{
	struct agent *agent = arg;

	actor_failed(agent->context, EX_NOPERM);
}

static void
on_heartbeat_answer(const Boson__Discovery__HeartbeatReply *reply, void *arg)
{
	struct agent *agent = arg;

	attach(agent, reply->relay_servers, reply->n_relay_servers, reply->relay_ticket);
	hurry_for_relays(agent);
}

static void
on_heartbeat_lost(void *arg)
{
	struct agent *agent = arg;

	enrol_start(agent->enrol);
}

static void
fill_heartbeat(Boson__Discovery__HeartbeatRequest *request, Boson__Discovery__NodeMetrics *figures,
	       void *arg)
{
	static Boson__Common__Bandwidth bandwidth;
	struct agent *agent = arg;
	struct resources before = agent->resources;
	bool is_silent = agent_forwarder_is_silent(agent, clock_monotonic_ms());

	resources_read("/proc", &agent->resources);
	figures->has_cpu_usage =
		resources_cpu_percent(&before, &agent->resources, &figures->cpu_usage);
	figures->has_memory_usage = agent->resources.has_memory;
	figures->memory_usage = agent->resources.memory_percent;
	figures->has_active_connections = 1;
	figures->active_connections = (uint32_t)admission_count(agent->admission);
	boson__common__bandwidth__init(&bandwidth);
	bandwidth.has_up = bandwidth.has_down = agent->report.has_any && !is_silent;
	bandwidth.up = agent->report.mbits_up;
	bandwidth.down = agent->report.mbits_down;
	if (bandwidth.has_up)
		figures->bandwidth = &bandwidth;
	request->has_status = 1;
	request->status = is_silent || agent->maintenance_until_ms != 0
				  ? BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__degraded
				  : BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__online;
}

/* ---- start ---- */

int
agent_server_open(struct agent *agent)
{
	const struct actor_context *context = agent->context;
	const struct enrol_events enrolment = { .on_enrolled = on_enrolled,
						.on_rotated = on_rotated,
						.on_conflict = on_conflict,
						.arg = agent };
	const struct heartbeat_events heartbeats = { .fill = fill_heartbeat,
						     .on_answer = on_heartbeat_answer,
						     .on_action = agent_telling_act,
						     .on_lost = on_heartbeat_lost,
						     .arg = agent };
	const char *ca_file = config_string(context->config, "agent", "ca_file");
	struct enrol_facts facts;
	int r;

	agent_config_facts(context->config, &facts);
	facts.node_id = agent->node_id;
	facts.access_key = agent->access_key[0] ? agent->access_key : NULL;
	facts.network = agent_telling_network;
	facts.network_arg = agent;
	r = rest_new(context->loop, config_string(context->config, "agent", "server"),
		     ca_file[0] ? ca_file : NULL, &agent->rest);
	if (r == 0)
		r = enrol_new(context->loop, agent->rest, context->metrics, &facts,
			      &agent->private_key, &enrolment, &agent->enrol);
	if (r == 0)
		r = heartbeat_new(context->loop, agent->rest, context->metrics, agent->node_id,
				  facts.heartbeat_sec, &heartbeats, &agent->heartbeat);
	if (r == 0)
		r = agent_telling_open(agent);
	if (r < 0)
		log_error("server_not_usable", "error=%d", r);
	return r;
}
