/* turn_watch: the clockwork of the probes, and of the secrets' file. */
#include "log/log.h"
#include "turn/turn_coturn.h"
#include "turn/turn_handlers.h"

#include <string.h>

enum { TICK_MS = 250 };

static void
note(struct turn_watch *watch, const char *reason, uint32_t round_trip_us)
{
	struct turn *turn = watch->turn;
	struct turn_server *server = &turn->servers[watch->place];
	size_t places[TURN_SERVERS_MAX];

	metric_add(reason == NULL ? turn->answered : turn->unanswered, 1);
	if (!turn_server_note(server, reason, round_trip_us))
		return;
	if (reason == NULL)
		log_info("server_healthy", "server=%s round_trip_us=%u", server->url,
			 round_trip_us);
	else
		log_warn("server_failing", "server=%s reason=\"%s\"", server->url, reason);
	metric_set(turn->healthy,
		   (double)turn_servers_order(turn->servers, turn->server_count, false, places));
}

static void
on_probed(const char *reason, uint32_t round_trip_us, void *arg)
{
	note(arg, reason, round_trip_us);
}

static void
on_found(const struct sockaddr_in6 *address, void *arg)
{
	struct turn_watch *watch = arg;
	struct turn *turn = watch->turn;
	const struct turn_server *server = &turn->servers[watch->place];

	if (address == NULL)
		note(watch, "its name has no address", 0);
	else if (turn_probe_start(turn->context->loop, turn->context->metrics, address,
				  server->relays ? turn->secrets.texts[0] : NULL, on_probed, watch,
				  &watch->probe) != 0)
		note(watch, "cannot be sent to", 0);
}

static void
probe(struct turn_watch *watch)
{
	const struct turn_server *server = &watch->turn->servers[watch->place];
	struct sockaddr_in6 address;

	if (stun_lookup_literal(server->host, server->port, &address))
		on_found(&address, watch);
	else if (stun_lookup_start(watch->turn->context->loop, server->host, server->port, on_found,
				   watch, &watch->lookup) != 0)
		note(watch, "its name cannot be looked up", 0);
}

/* F35: a secret that is replaced. coturn is to be started anew by whoever replaced it. */
static void
follow_secrets(struct turn *turn)
{
	int error;

	if (turn_secrets_reload(&turn->secrets, &error)) {
		log_info("secrets_changed", "secrets=%zu", turn->secrets.n);
		(void)turn_coturn_write(turn->context->config, &turn->secrets);
	} else if (error != 0) {
		log_error("secrets_not_read", "path=%s error=%d", turn->secrets.path, error);
	}
}

static void
tick(struct loop *loop, void *arg)
{
	struct turn *turn = arg;
	int64_t now_ms = loop_now_ms(loop);

	follow_secrets(turn);
	for (size_t i = 0; i < turn->server_count; i++) {
		struct turn_watch *watch = &turn->watches[i];

		if (!turn->servers[i].is_probed || watch->probe != NULL || watch->lookup != NULL ||
		    now_ms < watch->due_ms)
			continue;
		watch->due_ms = now_ms + turn->probe_ms;
		probe(watch);
	}
}

int
turn_watch_start(struct turn *turn)
{
	for (size_t i = 0; i < turn->server_count; i++) {
		turn->watches[i].turn = turn;
		turn->watches[i].place = i;
		turn->watches[i].due_ms = INT64_MIN;
	}
	return loop_timer_start(turn->context->loop, 0, TICK_MS, tick, turn, &turn->timer);
}

void
turn_watch_stop(struct turn *turn)
{
	loop_timer_stop(&turn->timer);
	for (size_t i = 0; i < turn->server_count; i++) {
		stun_lookup_stop(&turn->watches[i].lookup);
		turn_probe_stop(&turn->watches[i].probe);
	}
}
