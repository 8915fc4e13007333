/* routing: its section of the configuration, its start, its clockwork and its end. */
#include "routing/routing_actor.h"

#include "log/log.h"
#include "loop/clock.h"
#include "routing/routing_handlers.h"
#include "routing/routing_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>

enum {
	TICK_MS = 1000,
	CLOSE_AGAIN_TICKS = 5,
	CLOSE_AGAIN_MAX = 256, /* in one tick */
	EXPIRE_MAX = 1000,     /* in one transaction */
	PATH_BYTES = 512,
	URL_BYTES = PATH_BYTES + 32,
};

static const struct config_key keys[] = {
	{ "routing", "store", CONFIG_STRING, "", 0, 0, NULL,
	  "URL of the sessions' table; empty: sqlite in the state folder" },
	{ "routing", "relay_group", CONFIG_STRING, "default", 0, 0, NULL,
	  "relay group that session tickets are for, 1 to 15 characters" },
	{ "routing", "session_lifetime", CONFIG_DURATION, "24h", 1000, 7 * 24 * 3600 * 1000LL, NULL,
	  "how long a session and its ticket last" },
	{ "routing", "answer_timeout", CONFIG_DURATION, "1s", 50, 10 * 1000, NULL,
	  "a node that does not open a session in this time is passed over" },
	{ "routing", "candidates", CONFIG_INT, "3", 1, CHOICE_EXCLUDED_MAX, NULL,
	  "nodes that are asked before giving up" },
	{ "routing", "mtu", CONFIG_INT, "1280", 1280, 9000, NULL,
	  "WireGuard's MTU at the client; a node may say less" },
	{ "routing", "keepalive", CONFIG_DURATION, "25s", 0, 3600 * 1000, NULL,
	  "WireGuard's persistent keepalive at the client" },
	{ "routing", "dns", CONFIG_LIST, "", 0, 0, NULL,
	  "resolvers for clients; empty: the node answers" },
	{ "routing", "allowed_ips", CONFIG_CIDRS, "0.0.0.0/0, ::/0", 0, 0, NULL,
	  "what clients send into the tunnel" },
	{ 0 },
};

static uint64_t
kernel_random(void *arg)
{
	uint64_t number = 0;

	(void)arg;
	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		log_error("random_failed", "errno=%d", errno);
	return number;
}

/* Rows go with their sessions: nothing is kept of who used what (T46). */
static void
expire_sessions(struct routing *routing, int64_t now_ms)
{
	struct session *session;
	size_t n = 0;
	int error = 0;

	while (error == 0 && n < EXPIRE_MAX &&
	       (session = sessions_expire(&routing->sessions, now_ms)) != NULL) {
		if (n++ == 0)
			error = store_begin(routing->store);
		if (session->record.status == SESSION_OPEN)
			(void)table_sessions_add(&routing->table, session->record.node_id, -1);
		if (error == 0)
			error = routing_store_remove(routing->store, session->record.id);
		free(session);
	}
	if (n > 0 && error == 0)
		error = store_commit(routing->store);
	else if (n > 0)
		store_rollback(routing->store);
	if (error != 0)
		log_warn("sessions_not_removed", "error=%d", error); /* the next start does */
}

static void
close_again(struct routing *routing)
{
	const struct session *first = NULL, *session;

	for (size_t n = 0; n < CLOSE_AGAIN_MAX; n++) {
		session = sessions_next_closing(&routing->sessions);
		if (session == NULL || session == first)
			return;
		if (first == NULL)
			first = session;
		routing_close_session(routing, session);
	}
}

static void
tick(struct loop *loop, void *arg)
{
	struct routing *routing = arg;
	int64_t now_ms = loop_now_ms(loop);

	routing_watch_tick(routing);
	routing_links_tick(routing, now_ms);
	expire_sessions(routing, now_ms);
	if (now_ms / TICK_MS % CLOSE_AGAIN_TICKS == 0)
		close_again(routing);
	metric_set(routing->known_nodes, (double)routing->table.known);
	metric_set(routing->free_nodes, (double)routing->table.all.count);
	metric_set(routing->open_sessions, (double)routing->sessions.open);
}

/* Ends are kept on the monotonic clock: a step of the wall clock ends no session (T48). */
static int
load_session(const struct session_record *record, void *arg)
{
	struct routing *routing = arg;
	int64_t left_ms = record->expires_wall_ms - clock_wall_ms();
	struct session *session;
	int error;

	if (left_ms > routing->session_lifetime_ms)
		left_ms = routing->session_lifetime_ms;
	if (left_ms < 0)
		left_ms = 0;
	error = sessions_put(&routing->sessions, record, clock_monotonic_ms() + left_ms, &session);
	if (error == 0 && record->status == SESSION_OPEN)
		error = table_sessions_add(&routing->table, record->node_id, 1);
	return error;
}

static int
open_store(struct routing *routing)
{
	const struct actor_context *context = routing->context;
	const char *configured = config_string(context->config, "routing", "store");
	char url[URL_BYTES], reason[256];
	int error;

	if (configured[0] != '\0')
		(void)snprintf(url, sizeof(url), "%s", configured);
	else
		(void)snprintf(url, sizeof(url), "sqlite:%s/routing.db", context->state_dir);
	error = routing_store_open(url, &routing->store, reason, sizeof(reason));
	if (error != 0) {
		log_error("store_not_opened", "reason=%s", reason);
		return store_exit_code(error);
	}
	error = routing_store_each(routing->store, load_session, routing);
	if (error != 0)
		log_error("sessions_not_loaded", "error=%d", error);
	return error;
}

static int
open_signer(struct routing *routing)
{
	const struct actor_context *context = routing->context;
	char seed[PATH_BYTES], public_half[PATH_BYTES];
	int error;

	(void)snprintf(seed, sizeof(seed), "%s/ticket.seed", context->state_dir);
	(void)snprintf(public_half, sizeof(public_half), "%s/ticket-session.pub",
		       context->keys_dir);
	error = ticket_signer_open(seed, public_half, TICKET_ROLE_SESSION, &routing->signer);
	if (error != 0)
		log_error("ticket_key_not_loaded", "path=%s error=%d", seed, error);
	return error;
}

static int
check(const struct config *config, char *ret_error, size_t error_bytes)
{
	size_t group_bytes = strlen(config_string(config, "routing", "relay_group"));
	const char *store = config_string(config, "routing", "store");

	if (*store != '\0' && store_check(store, ret_error, error_bytes) != 0)
		return EX_CONFIG;
	if (group_bytes > 0 && group_bytes < TICKET_GROUP_BYTES)
		return 0;
	(void)snprintf(ret_error, error_bytes, "[routing] relay_group: must be 1 to 15 characters");
	return EX_CONFIG;
}

static void
read_config(struct routing *routing)
{
	const struct config *config = routing->context->config;

	routing->relay_group = config_string(config, "routing", "relay_group");
	routing->session_lifetime_ms = config_int(config, "routing", "session_lifetime");
	routing->answer_timeout_ms = config_int(config, "routing", "answer_timeout");
	routing->candidates = (size_t)config_int(config, "routing", "candidates");
	routing->mtu = (uint32_t)config_int(config, "routing", "mtu");
	routing->keepalive_sec = (uint32_t)(config_int(config, "routing", "keepalive") / 1000);
	routing->dns = config_list(config, "routing", "dns");
	routing->allowed_ips = config_list(config, "routing", "allowed_ips");
}

static void
make_metrics(struct routing *routing)
{
	struct metrics *metrics = routing->context->metrics;

	routing->routes = metrics_counter(metrics, "routes_total", NULL, "Routes handed out");
	routing->unserved = metrics_counter(metrics, "routes_unserved_total", NULL,
					    "Requests that no node could take");
	routing->refusals = metrics_counter(metrics, "node_refusals_total", NULL,
					    "Sessions that a node refused");
	routing->silences = metrics_counter(metrics, "node_silences_total", NULL,
					    "Sessions that a node did not open in time");
	routing->known_nodes = metrics_gauge(metrics, "nodes", NULL, "Nodes in the table");
	routing->free_nodes = metrics_gauge(metrics, "nodes_attached", NULL,
					    "Nodes alive and attached to a live relay");
	routing->open_sessions = metrics_gauge(metrics, "sessions", NULL, "Open sessions");
}

static int
open_mailbox(struct routing *routing)
{
	const struct actor_context *context = routing->context;
	const char *endpoint = actor_endpoint(context, "routing");
	struct bus_batch batch = { store_batch_begin, store_batch_commit, routing->store };
	int error = bus_serve(context->bus, endpoint, &routing->service.base, &batch);

	if (error != 0)
		log_error("mailbox_not_opened", "endpoint=%s error=%d", endpoint, error);
	return error;
}

static bool
is_ready(const void *state, const char **ret_reason)
{
	const struct routing *routing = state;

	*ret_reason = "no snapshot of discovery yet";
	return routing->has_snapshot;
}

static void
stop(void *state)
{
	struct routing *routing = state;
	struct routing_request *request;

	routing->stopping = true;
	loop_timer_stop(&routing->timer);
	while ((request = routing->opened) != NULL) {
		routing->opened = request->next;
		bus_call_fail(request->call, BUS_UNAVAILABLE, "stopping", NULL);
		routing_request_free(request);
	}
	routing_links_stop(routing);
	routing_watch_stop(routing);
	sessions_fini(&routing->sessions);
	table_fini(&routing->table);
	ticket_signer_free(&routing->signer);
	store_close(&routing->store);
	free(routing);
}

static int
start(const struct actor_context *context, void **ret_state)
{
	struct routing *routing = calloc(1, sizeof(*routing));
	int error;

	if (routing == NULL)
		return -ENOMEM;
	routing->service = routing_mailbox;
	routing->context = context;
	routing->random.next = kernel_random;
	make_metrics(routing);
	read_config(routing);
	error = table_init(&routing->table);
	if (error == 0)
		error = sessions_init(&routing->sessions);
	if (error == 0)
		error = open_signer(routing);
	if (error == 0)
		error = open_store(routing);
	if (error == 0)
		error = routing_watch_start(routing);
	if (error == 0)
		error = open_mailbox(routing);
	if (error == 0)
		error = loop_timer_start(context->loop, TICK_MS, TICK_MS, tick, routing,
					 &routing->timer);
	if (error != 0) {
		stop(routing);
		return error;
	}
	log_info("started", "sessions=%zu", routing->sessions.count);
	*ret_state = routing;
	return 0;
}

const struct actor routing_actor = {
	.name = "routing",
	.product = "boson",
	.keys = keys,
	.start = start,
	.is_ready = is_ready,
	.stop = stop,
	.check = check,
};
