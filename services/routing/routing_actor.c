/* routing: its section of the configuration, its start, its clockwork and its end. */
#include "routing/routing_actor.h"

#include "log/log.h"
#include "loop/clock.h"
#include "routing/routing_handlers.h"
#include "routing/routing_list.h"
#include "routing/routing_liveness.h"
#include "routing/routing_proof.h"
#include "routing/routing_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>

enum {
	TICK_MS = 1000,
	FOLLOW_MS = 250,
	PATH_BYTES = 512,
};

static const struct config_key keys[] = {
	{ "routing", "store", CONFIG_STRING, "", 0, 0, NULL,
	  "URL of the sessions' table; empty: sqlite in the state folder" },
	{ "routing", "relay_group", CONFIG_STRING, "default", 0, 0, NULL,
	  "relay group that session tickets are for, 1 to 15 characters" },
	{ "routing", "ticket_seed", CONFIG_STRING, "", 0, 0, NULL,
	  "file of the key that signs session tickets, the same for all replicas; empty: one in "
	  "the state folder" },
	{ "routing", "sessions_per_key", CONFIG_INT, "10000", 0, SESSIONS_MAX, NULL,
	  "sessions that one access key may have at a time; 0: any number" },
	{ "routing", "sessions_per_client", CONFIG_INT, "16", 0, SESSIONS_MAX, NULL,
	  "sessions that a client may open with its own token at a time; 0: any number" },
	{ "routing", "require_proof", CONFIG_BOOL, "no", 0, 0, NULL,
	  "a route only for who proves to have the private half of the client's key" },
	{ "routing", "session_lifetime", CONFIG_DURATION, "24h", 1000, 7 * 24 * 3600 * 1000LL, NULL,
	  "how long a session and its ticket last" },
	{ "routing", "answer_timeout", CONFIG_DURATION, "1s", 50, 10 * 1000, NULL,
	  "a node that does not open a session in this time is passed over" },
	{ "routing", "candidates", CONFIG_INT, "3", 1, CHOICE_EXCLUDED_MAX, NULL,
	  "nodes that are asked before giving up" },
	{ "routing", "deaf_after", CONFIG_DURATION, "5s", 50, 60 * 1000, NULL,
	  "a node that was sent something for a session and sent nothing back for so long is "
	  "deaf" },
	{ "routing", "list_every", CONFIG_DURATION, "30s", 50, 60 * 1000, NULL,
	  "how often what is known of nodes and relays is written down, for a start without "
	  "discovery" },
	{ "routing", "mtu", CONFIG_INT, "1280", 1280, 9000, NULL,
	  "WireGuard's MTU at the client; a node may say less" },
	{ "routing", "keepalive", CONFIG_DURATION, "25s", 0, 3600 * 1000, NULL,
	  "WireGuard's persistent keepalive at the client" },
	{ "routing", "cascade", CONFIG_BOOL, "yes", 0, 0, NULL,
	  "clients may enter at another relay than their node's" },
	{ "routing", "dns", CONFIG_LIST, "", 0, 0, NULL,
	  "resolvers for clients; empty: the node answers" },
	{ "routing", "allowed_ips", CONFIG_CIDRS, "0.0.0.0/0, ::/0", 0, 0, NULL,
	  "what clients send into the tunnel" },
	{ 0 },
};

/* A system call gives many numbers. */
static uint64_t
kernel_random(void *arg)
{
	struct routing *routing = arg;
	const size_t n = sizeof(routing->numbers) / sizeof(routing->numbers[0]);

	if (routing->numbers_left == 0) {
		if (getrandom(routing->numbers, sizeof(routing->numbers), 0) !=
		    (ssize_t)sizeof(routing->numbers))
			log_error("random_failed", "errno=%d", errno);
		routing->numbers_left = n;
	}
	return routing->numbers[--routing->numbers_left];
}

static double
list_age_sec(const struct routing *routing)
{
	if (routing->has_snapshot || routing->list_wall_ms == 0)
		return 0;
	return (double)(clock_wall_ms() - routing->list_wall_ms) / 1000.0;
}

static void
tick(struct loop *loop, void *arg)
{
	struct routing *routing = arg;
	int64_t now_ms = loop_now_ms(loop);

	routing->table.wall_ms = clock_wall_ms();
	routing_watch_tick(routing);
	routing_links_tick(routing, now_ms);
	routing_close_write(routing);
	routing_sweep_tick(routing, now_ms);
	routing_liveness_tick(routing, now_ms);
	metric_set(routing->known_nodes, (double)routing->table.known);
	metric_set(routing->free_nodes, (double)routing->table.all.count);
	metric_set(routing->sweeper, routing->is_sweeper ? 1 : 0);
	metric_set(routing->age, list_age_sec(routing));
	metric_set(routing->open_sessions, (double)routing->sessions.open);
}

/* What another replica wrote is known here within this time. */
static void
follow_tick(struct loop *loop, void *arg)
{
	(void)loop;
	routing_follow_tick(arg);
}

static int
open_signer(struct routing *routing)
{
	const struct actor_context *context = routing->context;
	char seed[PATH_BYTES], public_half[PATH_BYTES];
	int error;

	const char *configured = config_string(context->config, "routing", "ticket_seed");

	if (configured[0] != '\0')
		(void)snprintf(seed, sizeof(seed), "%s", configured);
	else
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
	routing->deaf_after_ms = config_int(config, "routing", "deaf_after");
	routing->sessions_per_key = (size_t)config_int(config, "routing", "sessions_per_key");
	routing->sessions_per_client = (size_t)config_int(config, "routing", "sessions_per_client");
	routing->candidates = (size_t)config_int(config, "routing", "candidates");
	routing->mtu = (uint32_t)config_int(config, "routing", "mtu");
	routing->keepalive_sec = (uint32_t)(config_int(config, "routing", "keepalive") / 1000);
	routing->requires_proof = config_bool(config, "routing", "require_proof");
	routing->has_cascade = config_bool(config, "routing", "cascade");
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
	routing->proofs_refused =
		metrics_counter(metrics, "proofs_refused_total", NULL,
				"Requests without a proof of the client's key that holds");
	routing->keys_taken =
		metrics_counter(metrics, "keys_taken_total", NULL,
				"Sessions that gave way to who proved to have their key");
	routing->known_nodes = metrics_gauge(metrics, "nodes", NULL, "Nodes in the table");
	routing->free_nodes = metrics_gauge(metrics, "nodes_attached", NULL,
					    "Nodes alive, attached to a live relay and not full");
	routing->sweeper =
		metrics_gauge(metrics, "sweeper", NULL, "1: this replica sweeps for all");
	routing->age = metrics_gauge(metrics, "candidates_age_seconds", NULL,
				     "Age of the list of nodes that is used until discovery "
				     "answers; 0: it has");
	routing->open_sessions = metrics_gauge(metrics, "sessions", NULL, "Open sessions");
}

static int
open_mailbox(struct routing *routing)
{
	const struct actor_context *context = routing->context;
	const char *endpoint = actor_endpoint(context, "routing");
	struct bus_batch batch = { routing_batch_begin, routing_batch_commit, routing };
	int error = bus_serve(context->bus, endpoint, &routing->service.base, &batch);

	if (error != 0)
		log_error("mailbox_not_opened", "endpoint=%s error=%d", endpoint, error);
	return error;
}

static bool
is_ready(const void *state, const char **ret_reason)
{
	const struct routing *routing = state;

	*ret_reason = routing->store == NULL ? "no store yet" : "no snapshot of discovery yet";
	return routing->store != NULL && routing_has_candidates(routing);
}

static void
stop(void *state)
{
	struct routing *routing = state;
	struct routing_request *request;

	routing->stopping = true;
	loop_timer_stop(&routing->timer);
	loop_timer_stop(&routing->follow_timer);
	while ((request = routing->due) != NULL) {
		routing->due = request->next;
		bus_call_fail(request->call, BUS_UNAVAILABLE, "stopping", NULL);
		routing_request_free(request);
	}
	routing_links_stop(routing);
	routing_watch_stop(routing);
	routing_list_stop(routing);
	routing_liveness_stop(routing);
	sessions_fini(&routing->sessions);
	table_fini(&routing->table);
	ticket_signer_free(&routing->signer);
	routing_sweep_stop(routing);
	store_close(&routing->store);
	key_wipe(routing->proof_secret, sizeof(routing->proof_secret));
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
	routing->random = (struct choice_random){ kernel_random, routing };
	make_metrics(routing);
	read_config(routing);
	error = table_init(&routing->table);
	routing->table.wall_ms = clock_wall_ms();
	if (error == 0)
		error = sessions_init(&routing->sessions);
	if (error == 0)
		error = open_signer(routing);
	if (error == 0)
		error = routing_proof_start(routing);
	if (error == 0)
		error = routing_liveness_start(routing);
	if (error == 0)
		error = routing_sweep_start(routing);
	if (error == 0)
		error = routing_store_start(routing);
	if (error == 0)
		error = routing_list_start(routing);
	if (error == 0)
		error = routing_watch_start(routing);
	if (error == 0)
		error = routing_events_start(routing);
	if (error == 0)
		error = open_mailbox(routing);
	if (error == 0)
		error = loop_timer_start(context->loop, TICK_MS, TICK_MS, tick, routing,
					 &routing->timer);
	if (error == 0)
		error = loop_timer_start(context->loop, FOLLOW_MS, FOLLOW_MS, follow_tick, routing,
					 &routing->follow_timer);
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
