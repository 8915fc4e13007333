/* agent: its start, its clockwork and its end. */
#include "agent/agent.h"
#include "agent/agent_config.h"
#include "agent/agent_handlers.h"
#include "agent/agent_identity.h"
#include "agent/agent_rotation.h"
#include "agent/agent_server.h"
#include "agent/agent_sessions.h"
#include "agent/agent_store.h"
#include "agent/agent_telling.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
	TICK_MS = 5 * 1000,
	/* How soon to tell the server that the forwarder came or went. */
	CHANGED_MS = 500,
	PATH_BYTES = 512,
	URL_BYTES = PATH_BYTES + 32,
};

static void
on_tick(struct loop *loop, void *arg)
{
	struct agent *agent = arg;
	bool is_degraded = agent_forwarder_is_silent(agent, loop_now_ms(loop));

	sessions_sweep(agent);
	agent_telling_tick(agent, loop_now_ms(loop));
	agent_rotation_look(agent);
	agent_server_tell_forwarder(agent);
	if (is_degraded != agent->was_degraded) {
		log_warn("status_changed", "status=%s", is_degraded ? "degraded" : "online");
		agent->was_degraded = is_degraded;
		heartbeat_hurry(agent->heartbeat, CHANGED_MS);
	}
}

/* ---- start and end ---- */

static void
make_metrics(struct agent *agent)
{
	struct metrics *metrics = agent->context->metrics;

	agent->sessions = metrics_gauge(metrics, "sessions", NULL, "Sessions admitted");
	agent->admitted = metrics_counter(metrics, "admissions_total", "result=\"admitted\"",
					  "Sessions asked for");
	agent->refused = metrics_counter(metrics, "admissions_total", "result=\"refused\"",
					 "Sessions asked for");
	agent->forwarder_silent = metrics_counter(metrics, "forwarder_unanswered_total", NULL,
						  "SetRelays that the forwarder did not answer");
}

static int
load_identity(struct agent *agent)
{
	const struct actor_context *context = agent->context;
	char key_path[PATH_BYTES], next_path[PATH_BYTES], id_path[PATH_BYTES];
	struct key public_key;
	int r;

	agent_rotation_paths(context->config, context->state_dir, key_path, next_path, PATH_BYTES);
	snprintf(id_path, sizeof(id_path), "%s/node_id", context->state_dir);
	r = agent_identity_load_key(key_path, &agent->private_key);
	if (r == 0)
		r = agent_identity_load_node_id(id_path, agent->node_id);
	if (r == 0)
		r = agent_identity_load_access_key(
			config_string(context->config, "agent", "access_key_file"),
			agent->access_key, sizeof(agent->access_key));
	if (r == 0)
		r = key_public(&agent->private_key, &public_key);
	key_format(&public_key, agent->public_text);
	return r;
}

static int
open_sessions(struct agent *agent)
{
	const struct actor_context *context = agent->context;
	const char *configured = config_string(context->config, "agent", "store");
	struct admission_options options = {
		.sessions_max = (unsigned)config_int(context->config, "agent", "max_sessions"),
		.lifetime_max_ms = config_int(context->config, "agent", "session_max"),
	};
	char url[URL_BYTES], reason[256];
	int r;

	snprintf(url, sizeof(url), "sqlite:%s/agent.db", context->state_dir);
	r = agent_store_open(configured[0] ? configured : url, &agent->store, reason,
			     sizeof(reason));
	if (r < 0) {
		log_error("store_not_opened", "reason=%s", reason);
		return store_exit_code(r);
	}
	agent_config_pool(context->config, &options.pool);
	agent->mtu = (uint32_t)config_int(context->config, "agent", "mtu");
	r = key_public(&agent->private_key, &options.node_key);
	if (r == 0)
		r = admission_new(&options, &agent->admission);
	if (r == 0)
		r = sessions_load(agent);
	if (r == 0)
		r = agent_store_load_attachment(agent->store, &agent->attachment);
	if (r < 0)
		log_error("sessions_not_loaded", "error=%d", r);
	agent->attachment_number = agent->attachment != NULL;
	return r;
}

static int
open_mailbox(struct agent *agent)
{
	const struct actor_context *context = agent->context;
	const struct bus_batch batch = { sessions_batch_begin, sessions_batch_commit, agent };
	const char *endpoint = actor_endpoint(context, "agent");
	int r = bus_peer_new(context->bus, actor_endpoint(context, "forwarder"),
			     actor_server_key(context, "forwarder"),
			     &boson__node__forwarder__descriptor, &agent->forwarder);

	if (r == 0)
		r = bus_serve(context->bus, endpoint, &agent->service.base, &batch);
	if (r < 0)
		log_error("mailbox_not_opened", "endpoint=%s error=%d", endpoint, r);
	return r;
}

static void
stop(void *state)
{
	struct agent *agent = state;

	loop_timer_stop(&agent->tick);
	telemetry_free(&agent->telemetry);
	network_free(&agent->network);
	heartbeat_free(&agent->heartbeat);
	enrol_free(&agent->enrol);
	rest_free(&agent->rest);
	if (agent->forwarder)
		bus_peer_free(&agent->forwarder);
	if (agent->attachment)
		boson__node__attachment__free_unpacked(agent->attachment, NULL);
	admission_free(&agent->admission);
	store_close(&agent->store);
	key_wipe(&agent->private_key, sizeof(agent->private_key));
	key_wipe(agent->access_key, sizeof(agent->access_key));
	free(agent);
}

static int
start(const struct actor_context *context, void **ret_state)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	int r;

	if (!agent)
		return -ENOMEM;
	agent->service = agent_mailbox;
	agent->context = context;
	agent->started_ms = clock_monotonic_ms();
	make_metrics(agent);
	resources_read("/proc", &agent->resources);
	agent->measured = agent->resources;
	r = load_identity(agent);
	if (r == 0)
		r = open_sessions(agent);
	if (r == 0)
		r = agent_server_open(agent);
	if (r == 0)
		r = open_mailbox(agent);
	if (r == 0)
		r = loop_timer_start(context->loop, 0, TICK_MS, on_tick, agent, &agent->tick);
	if (r != 0) {
		stop(agent);
		return r;
	}
	log_info("started", "node=%s sessions=%zu", agent->node_id,
		 admission_count(agent->admission));
	agent_rotation_look(agent);
	enrol_start(agent->enrol);
	*ret_state = agent;
	return 0;
}

/* With an attachment from before, it serves also while the server is away. */
static bool
is_ready(const void *state, const char **ret_reason)
{
	const struct agent *agent = state;

	if (agent->attachment)
		return true;
	*ret_reason = enrol_awaits_approval(agent->enrol) ? "waits for the operator's approval"
							  : "not enrolled yet";
	return false;
}

const struct actor agent_actor = {
	.name = "agent",
	.product = "higgs",
	.keys = agent_config_keys,
	.start = start,
	.is_ready = is_ready,
	.stop = stop,
	.check = agent_config_check,
};
