/* turn: its section of the configuration, its start and its end. */
#include "turn/turn_actor.h"

#include "identity/key.h"
#include "log/log.h"
#include "turn/turn_credential.h"
#include "turn/turn_handlers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { PATH_BYTES = 512 };

static const struct config_key keys[] = {
	{ "turn", "servers", CONFIG_LIST, "", 0, 0, NULL,
	  "turn:, turns: and stun: URLs that are handed out, at most 16" },
	{ "turn", "secret", CONFIG_PATH, "", 0, 0, NULL,
	  "file of 64 hex digits, coturn's static-auth-secret; empty: made in the state folder" },
	{ "turn", "lifetime", CONFIG_DURATION, "10m", 30 * 1000, TURN_TTL_MAX_MS, NULL,
	  "how long a credential lasts" },
	{ 0 },
};

/* C19: there is no default secret; an empty or malformed file is refused at start. */
static int
check(const struct config *config, char *ret_error, size_t error_bytes)
{
	const char *const *url = config_list(config, "turn", "servers");
	struct turn_server server;

	for (size_t n = 0; url[n] != NULL; n++) {
		if (n < TURN_SERVERS_MAX && turn_server_parse(url[n], &server) == 0)
			continue;
		(void)snprintf(
			ret_error, error_bytes,
			"[turn] servers: %s: must be a stun:, turn: or turns: URL, at most %d",
			url[n], TURN_SERVERS_MAX);
		return EX_CONFIG;
	}
	return 0;
}

static void
read_servers(struct turn *turn, const struct config *config)
{
	const char *const *url = config_list(config, "turn", "servers");

	for (; *url != NULL && turn->server_count < TURN_SERVERS_MAX; url++)
		if (turn_server_parse(*url, &turn->servers[turn->server_count]) == 0)
			turn->server_count++;
}

static int
read_secret(struct turn *turn, const struct actor_context *context)
{
	const char *configured = config_string(context->config, "turn", "secret");
	uint8_t secret[TURN_SECRET_BYTES];
	char path[PATH_BYTES];
	int error;

	if (configured[0] != '\0') {
		error = secret_file_load(configured, secret, sizeof(secret));
		(void)snprintf(path, sizeof(path), "%s", configured);
	} else {
		(void)snprintf(path, sizeof(path), "%s/turn.secret", context->state_dir);
		error = secret_file_load_or_create(path, secret, sizeof(secret));
	}
	if (error != 0) {
		log_error("secret_not_loaded", "path=%s error=%d", path, error);
		return error == -EPERM ? EX_NOPERM : EX_CONFIG;
	}
	for (size_t i = 0; i < sizeof(secret); i++)
		(void)snprintf(turn->secret + 2 * i, 3, "%02x", secret[i]);
	key_wipe(secret, sizeof(secret));
	return 0;
}

static void
stop(void *state)
{
	struct turn *turn = state;

	key_wipe(turn->secret, sizeof(turn->secret));
	free(turn);
}

static int
start(const struct actor_context *context, void **ret_state)
{
	struct turn *turn = calloc(1, sizeof(*turn));
	int error;

	if (turn == NULL)
		return -ENOMEM;
	turn->service = turn_mailbox;
	turn->ttl_ms = config_int(context->config, "turn", "lifetime");
	turn->issued = metrics_counter(context->metrics, "credentials_total", NULL,
				       "Credentials handed out");
	read_servers(turn, context->config);
	error = read_secret(turn, context);
	if (error == 0) {
		error = bus_serve(context->bus, actor_endpoint(context, "turn"),
				  &turn->service.base, NULL);
		if (error != 0)
			log_error("mailbox_not_opened", "error=%d", error);
	}
	if (error != 0) {
		stop(turn);
		return error;
	}
	log_info("started", "servers=%zu", turn->server_count);
	*ret_state = turn;
	return 0;
}

const struct actor turn_actor = {
	.name = "turn",
	.product = "boson",
	.keys = keys,
	.start = start,
	.stop = stop,
	.check = check,
};
