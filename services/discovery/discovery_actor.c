/* discovery: its section of the configuration, its start, its clockwork and its end. */
#include "discovery/discovery_actor.h"

#include "discovery/discovery_handlers.h"
#include "discovery/discovery_replicas.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
	NONCES_MAX = 512 * 1024, /* of a minute in which a whole fleet comes */
	STUN_PORT = 3478,
	PATH_BYTES = 512,
};

static const char *const policies[] = {
	[POLICY_OPEN] = "open", [POLICY_TOKEN] = "token", [POLICY_APPROVAL] = "approval", NULL
};

static const struct config_key keys[] = {
	{ "discovery", "store", CONFIG_STRING, "", 0, 0, NULL,
	  "URL of the nodes' table; empty: sqlite in the state folder" },
	{ "discovery", "cache", CONFIG_STRING, "", 0, 0, NULL,
	  "URL of a cache of used proofs, redis:...; replicas on PostgreSQL do without as well" },
	{ "discovery", "enrolment", CONFIG_ENUM, "token", 0, 0, policies,
	  "open: any key may enrol; token: a new node needs a node access key; approval: it needs "
	  "one, or waits until `bosonctl nodes approve`" },
	{ "discovery", "fleet_secret", CONFIG_PATH, "", 0, 0, NULL,
	  "file with the secret of proofs, the same for all replicas; empty: fleet.secret in the "
	  "state folder, made at first start" },
	{ "discovery", "ticket_seed", CONFIG_PATH, "", 0, 0, NULL,
	  "file with the key that signs node tickets, the same for all replicas; empty: "
	  "ticket.seed in the state folder, made at first start" },
	{ "discovery", "relay_group", CONFIG_STRING, "default", 0, 0, NULL,
	  "relay group that node tickets are for, 1 to 15 characters" },
	{ "discovery", "ticket_lifetime", CONFIG_DURATION, "24h", 60 * 1000, 7 * 24 * 3600 * 1000LL,
	  NULL, "how long a node may reach relays while all of this is down" },
	{ "discovery", "token_renewal", CONFIG_DURATION, "20m", 1000, 12 * 3600 * 1000LL, NULL,
	  "a heartbeat brings a fresh session token this long after the last" },
	{ "discovery", "offline_after", CONFIG_DURATION, "90s", 1000, 3600 * 1000LL, NULL,
	  "a node that is silent this long is offline" },
	{ "discovery", "stun_servers", CONFIG_LIST, "", 0, 0, NULL,
	  "host[:port] of the STUN servers that nodes are told, at most 8" },
	{ 0 },
};

/* As configured, or in the state folder. */
static void
secret_path(const struct actor_context *context, const char *key, const char *file,
	    char ret_path[PATH_BYTES])
{
	const char *configured = config_string(context->config, "discovery", key);

	if (configured[0] != '\0')
		(void)snprintf(ret_path, PATH_BYTES, "%s", configured);
	else
		(void)snprintf(ret_path, PATH_BYTES, "%s/%s", context->state_dir, file);
}

/* A secret that others may read is no secret: 77, and 78 when it is none at all. */
static int
secret_exit_code(const char *path, int error)
{
	log_error("secret_not_loaded", "path=%s reason=%s", path,
		  error == -EPERM    ? "others may read it"
		  : error == -EINVAL ? "it holds no secret"
				     : strerror(-error));
	return error == -EPERM ? EX_NOPERM : error == -EINVAL ? EX_CONFIG : error;
}

static int
open_secrets(struct discovery *discovery)
{
	const struct actor_context *context = discovery->context;
	char secret[PATH_BYTES], seed[PATH_BYTES], public_half[PATH_BYTES];
	int error;

	secret_path(context, "fleet_secret", "fleet.secret", secret);
	secret_path(context, "ticket_seed", "ticket.seed", seed);
	(void)snprintf(public_half, sizeof(public_half), "%s/ticket-node.pub", context->keys_dir);
	error = secret_file_load_or_create(secret, discovery->fleet_secret,
					   sizeof(discovery->fleet_secret));
	if (error != 0)
		return secret_exit_code(secret, error);
	error = ticket_signer_open(seed, public_half, TICKET_ROLE_NODE, &discovery->signer);
	return error == 0 ? 0 : secret_exit_code(seed, error);
}

static int
check(const struct config *config, char *ret_error, size_t error_bytes)
{
	size_t group_bytes = strlen(config_string(config, "discovery", "relay_group"));
	const char *const *stun = config_list(config, "discovery", "stun_servers");
	const char *store = config_string(config, "discovery", "store");
	const char *cache = config_string(config, "discovery", "cache");
	char host[CHECK_HOST_BYTES];
	size_t n = 0;

	if ((*store != '\0' && store_check(store, ret_error, error_bytes) != 0) ||
	    (*cache != '\0' && cache_check(cache, ret_error, error_bytes) != 0))
		return EX_CONFIG;
	if (group_bytes == 0 || group_bytes >= TICKET_GROUP_BYTES) {
		(void)snprintf(ret_error, error_bytes,
			       "[discovery] relay_group: must be 1 to 15 characters");
		return EX_CONFIG;
	}
	for (; stun[n] != NULL; n++) {
		unsigned int port = STUN_PORT;

		if (n < DISCOVERY_STUN_SERVERS_MAX &&
		    discovery_check_split_host_port(stun[n], host, &port) == 0)
			continue;
		(void)snprintf(ret_error, error_bytes,
			       "[discovery] stun_servers: %s: must be host[:port], at most %d",
			       stun[n], DISCOVERY_STUN_SERVERS_MAX);
		return EX_CONFIG;
	}
	return 0;
}

static void
read_config(struct discovery *discovery)
{
	const struct config *config = discovery->context->config;
	const char *const *stun = config_list(config, "discovery", "stun_servers");

	while (strcmp(policies[discovery->policy],
		      config_string(config, "discovery", "enrolment")) != 0)
		discovery->policy++; /* config_load saw to it that it is one of them */
	discovery->relay_group = config_string(config, "discovery", "relay_group");
	discovery->ticket_lifetime_ms = config_int(config, "discovery", "ticket_lifetime");
	discovery->token_renewal_ms = config_int(config, "discovery", "token_renewal");
	discovery->offline_after_ms = config_int(config, "discovery", "offline_after");
	for (; *stun != NULL && discovery->stun_count < DISCOVERY_STUN_SERVERS_MAX; stun++) {
		struct discovery_stun *server = &discovery->stun[discovery->stun_count];

		server->port = STUN_PORT;
		if (discovery_check_split_host_port(*stun, server->host, &server->port) == 0)
			discovery->stun_count++;
	}
}

static void
make_metrics(struct discovery *discovery)
{
	struct metrics *metrics = discovery->context->metrics;

	discovery->registered = metrics_counter(metrics, "registrations_total", NULL,
						"Registrations that were committed");
	discovery->refused = metrics_counter(metrics, "registrations_refused_total", NULL,
					     "Registrations without a good proof, key or id");
	discovery->went_offline =
		metrics_counter(metrics, "nodes_expired_total", NULL, "Nodes that fell silent");
	discovery->nodes = metrics_gauge(metrics, "nodes", NULL, "Nodes known, deleted included");
	discovery->online = metrics_gauge(metrics, "nodes_online", NULL, "Nodes alive");
	discovery->relay_count = metrics_gauge(metrics, "relays", NULL, "Relays alive");
	discovery->sweeper = metrics_gauge(metrics, "sweeper", NULL,
					   "1 in the replica that finds out who fell silent");
}

/* Nobody is answered from a registry that is not there yet. */
static int
begin_batch(void *arg)
{
	struct discovery *discovery = arg;

	discovery->batch_change = 0;
	return discovery->is_loaded ? store_batch_begin(discovery->store) : -EAGAIN;
}

static int
commit_batch(void *arg)
{
	const struct discovery *discovery = arg;

	return store_batch_commit(discovery->store);
}

static int
open_mailbox(struct discovery *discovery)
{
	const struct actor_context *context = discovery->context;
	const char *endpoint = actor_endpoint(context, "discovery");
	struct bus_batch batch = { begin_batch, commit_batch, discovery };
	int error;

	error = bus_publisher_new(context->bus, actor_event_endpoint(context, "discovery"),
				  &discovery->publisher);
	if (error == 0)
		error = bus_serve(context->bus, endpoint, &discovery->service.base, &batch);
	if (error != 0)
		log_error("mailbox_not_opened", "endpoint=%s error=%d", endpoint, error);
	return error;
}

static bool
is_ready(const void *state, const char **ret_reason)
{
	const struct discovery *discovery = state;

	*ret_reason = "the database does not answer";
	return discovery->is_loaded;
}

static void
stop(void *state)
{
	struct discovery *discovery = state;

	loop_timer_stop(&discovery->open_timer);
	discovery_liveness_stop(discovery);
	registry_fini(&discovery->registry);
	discovery_relays_fini(&discovery->relays);
	cache_close(&discovery->nonces);
	cache_close(&discovery->shared_nonces);
	ticket_signer_free(&discovery->signer);
	store_close(&discovery->store);
	key_wipe(discovery->fleet_secret, sizeof(discovery->fleet_secret));
	free(discovery);
}

static int
start(const struct actor_context *context, void **ret_state)
{
	struct discovery *discovery = calloc(1, sizeof(*discovery));
	const char *shared = config_string(context->config, "discovery", "cache");
	int error;

	if (discovery == NULL)
		return -ENOMEM;
	discovery->service = discovery_mailbox;
	discovery->context = context;
	make_metrics(discovery);
	read_config(discovery);
	error = open_secrets(discovery);
	if (error == 0)
		error = cache_open("memory:", NONCES_MAX, &discovery->nonces);
	if (error == 0 && *shared != '\0')
		error = cache_open(shared, NONCES_MAX, &discovery->shared_nonces);
	/* The mailbox first: its publisher is told of what is loaded. */
	if (error == 0)
		error = open_mailbox(discovery);
	if (error == 0)
		error = discovery_store_start(discovery);
	if (error != 0) {
		stop(discovery);
		return error;
	}
	*ret_state = discovery;
	return 0;
}

const struct actor discovery_actor = {
	.name = "discovery",
	.product = "boson",
	.keys = keys,
	.start = start,
	.is_ready = is_ready,
	.stop = stop,
	.check = check,
};
