/* turn: its start and its end. */
#include "turn/turn_actor.h"

#include "log/log.h"
#include "turn/turn_config.h"
#include "turn/turn_coturn.h"
#include "turn/turn_handlers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

enum { PATH_BYTES = 512 };

static void
read_servers(struct turn *turn, const struct config *config)
{
	const char *const *url = config_list(config, "turn", "servers");

	for (; *url != NULL && turn->server_count < TURN_SERVERS_MAX; url++)
		if (turn_server_parse(*url, &turn->servers[turn->server_count]) == 0)
			turn->server_count++;
}

/* C19. */
static int
read_secrets(struct turn *turn)
{
	const struct actor_context *context = turn->context;
	const char *configured = config_string(context->config, "turn", "secret");
	char path[PATH_BYTES];
	int error;

	(void)snprintf(path, sizeof(path), "%s/turn.secret", context->state_dir);
	error = turn_secrets_load(&turn->secrets, configured[0] != '\0' ? configured : path,
				  configured[0] == '\0');
	if (error == 0)
		return 0;
	log_error("secret_not_loaded", "path=%s error=%d", turn->secrets.path, error);
	return error == -EPERM ? EX_NOPERM : EX_CONFIG;
}

static void
make_metrics(struct turn *turn)
{
	struct metrics *metrics = turn->context->metrics;

	turn->issued =
		metrics_counter(metrics, "credentials_total", NULL, "Credentials handed out");
	turn->healthy =
		metrics_gauge(metrics, "servers_healthy", NULL, "Servers that are handed out");
	turn->answered = metrics_counter(metrics, "probes_total", "result=\"answered\"",
					 "Probes of servers");
	turn->unanswered =
		metrics_counter(metrics, "probes_total", "result=\"failed\"", "Probes of servers");
}

static void
stop(void *state)
{
	struct turn *turn = state;

	turn_watch_stop(turn);
	turn_secrets_wipe(&turn->secrets);
	free(turn);
}

static int
open_mailbox(struct turn *turn)
{
	int error = bus_serve(turn->context->bus, actor_endpoint(turn->context, "turn"),
			      &turn->service.base, NULL);

	if (error != 0)
		log_error("mailbox_not_opened", "error=%d", error);
	return error;
}

static int
start(const struct actor_context *context, void **ret_state)
{
	struct turn *turn = calloc(1, sizeof(*turn));
	int error;

	if (turn == NULL)
		return -ENOMEM;
	turn->service = turn_mailbox;
	turn->context = context;
	turn->ttl_ms = config_int(context->config, "turn", "lifetime");
	turn->probe_ms = config_int(context->config, "turn", "probe");
	make_metrics(turn);
	read_servers(turn, context->config);
	error = read_secrets(turn);
	if (error == 0 && turn_coturn_write(context->config, &turn->secrets) != 0)
		error = EX_CANTCREAT;
	if (error == 0)
		error = open_mailbox(turn);
	if (error == 0)
		error = turn_watch_start(turn);
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
	.keys = turn_config_keys,
	.start = start,
	.stop = stop,
	.check = turn_config_check,
};
