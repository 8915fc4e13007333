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

static int
read_servers(struct turn *turn, const struct config *config)
{
	const char *const *url = config_list(config, "turn", "servers");

	for (; *url != NULL; url++) {
		if (turn->server_count == TURN_SERVERS_MAX ||
		    turn_server_parse(*url, &turn->servers[turn->server_count]) != 0) {
			log_error("config_bad", "key=turn.servers value=%s", *url);
			return EX_CONFIG;
		}
		turn->server_count++;
	}
	return 0;
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
	error = read_servers(turn, context->config);
	if (error == 0)
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
};
