/*
 * client_watch: notices that the node does not answer (T04): WireGuard's handshake is not
 * completed, or nothing comes back while data goes out; and leaves it. Routing is asked for another
 * node by client_ask.c, client_carry.c goes over to it, and the person is told. While neither leg
 * nor UDP is up it is not the node's silence.
 */
#include "client/client_exit.h"
#include "client/client_session.h"
#include "client/client_udp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_MS = 500, TRIES_MAX = 3 };

int64_t
session_last_handshake_sec(struct session *session)
{
	struct device *device = client_tunnel_device(session->tunnel);
	struct device_usage usage;

	if (device == NULL || device_peer_usage(device, &session->route.node_key, &usage) < 0)
		return 0;
	return usage.last_handshake_sec;
}

bool
session_is_silent(const struct session *session)
{
	return session->silent_node[0] != '\0';
}

void
session_say_connected(struct session *session, const char *word)
{
	const struct client_route *route = &session->route;

	client_say(session->voice, "%s: node %s (%s), address %s, exit through %s", word,
		   route->node_id,
		   session->country[0] != '\0' ? session->country : "country unknown",
		   route->address4[0] != '\0' ? route->address4 : route->address6, session->relay);
}

static void
note_tried(struct session *session)
{
	size_t n = session->tries % TRIES_MAX;

	for (size_t i = 0; i < n; i++)
		if (strcmp(session->tried[i], session->route.node_id) == 0)
			n = TRIES_MAX; /* named already */
	if (n < TRIES_MAX)
		memcpy(session->tried[n], session->route.node_id, sizeof session->tried[n]);
	session->tries++;
}

/* "A", "A, B": the last TRIES_MAX tries. */
static const char *
tried(const struct session *session, char *ret, size_t capacity)
{
	size_t n = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < TRIES_MAX; i++)
		if (session->tried[i][0] != '\0' && n < capacity)
			n += (size_t)snprintf(ret + n, capacity - n, "%s%s", n > 0 ? ", " : "",
					      session->tried[i]);
	return ret;
}

/* Whatever was tried failed: at the start that is the end of it; later it goes on, more slowly. */
static void
give_up(struct session *session)
{
	char nodes[TRIES_MAX * (UUID_TEXT_BYTES + 2)];
	bool is_start = session->phase != SESSION_CONNECTED;

	tried(session, nodes, sizeof nodes);
	memset(session->tried, 0, sizeof session->tried);
	if (is_start)
		session_fail(session, EXIT_TRY_LATER,
			     "no answer to %d handshakes in a row, by the relay %s; tried node %s; "
			     "try again%s",
			     TRIES_MAX, session->relay, nodes,
			     session->options->node != NULL ? ", or without --node" : "");
	else
		client_say_error(session->voice,
				 "no answer %d times in a row, by the relay %s; tried node %s; "
				 "nothing passes; still trying",
				 TRIES_MAX, session->relay, nodes);
}

static void
on_silent(struct session *session)
{
	client_pulse_reset(client_shim_pulse(client_tunnel_shim(session->tunnel)));
	if (client_udp_is_up(session->udp)) { /* it may be the way */
		client_udp_doubt(session->udp);
		return;
	}
	note_tried(session);
	memcpy(session->silent_node, session->route.node_id, sizeof session->silent_node);
	session->handshake_before_sec = session_last_handshake_sec(session);
	client_say(session->voice, "node %s does not answer; %s", session->route.node_id,
		   session->options->node != NULL ? "asking for it anew" : "asking for another");
	bool has_given_up = session->tries % TRIES_MAX == 0;
	if (has_given_up)
		give_up(session);
	if (!has_given_up)
		session_ask(session);
	else
		session_ask_later(session, 0);
}

static void
on_look(struct loop *loop, void *arg)
{
	struct session *session = arg;
	struct client_pulse *pulse = client_shim_pulse(client_tunnel_shim(session->tunnel));

	if (session->phase != SESSION_SHAKING && session->phase != SESSION_CONNECTED)
		return;
	if (leg_client_state(session->leg) != LEG_UP && !client_udp_is_up(session->udp))
		client_pulse_reset(pulse);
	else if (client_pulse_is_silent(pulse, loop_now_ms(loop)))
		on_silent(session);
	else if (session_is_silent(session) && session->phase == SESSION_CONNECTED) {
		int64_t handshake_sec = session_last_handshake_sec(session);
		if (handshake_sec == 0 || handshake_sec == session->handshake_before_sec)
			return;
		session_watch_answered(session);
		session_say_connected(session, "connected again");
	}
}

void
session_watch_answered(struct session *session)
{
	session->silent_node[0] = '\0';
	session->tries = 0;
	memset(session->tried, 0, sizeof session->tried);
}

int
session_watch_init(struct session *session)
{
	return loop_timer_start(session->loop, LOOK_MS, LOOK_MS, on_look, session, &session->watch);
}

void
session_watch_fini(struct session *session)
{
	loop_timer_stop(&session->watch);
}
