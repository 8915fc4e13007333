/*
 * client_carry: from a route to packets: blocks, makes the interface, brings the leg up, sets the
 * peer, waits for WireGuard's handshake; and whatever happens to these later.
 */
#include "client/client_exit.h"
#include "client/client_session.h"
#include "client/client_udp.h"
#include "link.pb-c.h"
#include "log/log.h"
#include "loop/backoff.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	HANDSHAKE_LOOK_MS = 100,
	FAILED_PAUSE_MS = 1000,
	CONTROL_MAX_BYTES = 4096,
	CLOSE_GONE = 4404,
};

static void
on_handshake_look(struct loop *loop, void *arg)
{
	struct session *session = arg;

	(void)loop;
	if (session_last_handshake_sec(session) == 0)
		return;
	loop_timer_stop(&session->handshake);
	loop_timer_stop(&session->deadline);
	session->phase = SESSION_CONNECTED;
	session->connected_wall_ms = clock_wall_ms();
	session_watch_answered(session);
	session_say_connected(session, "connected");
	client_voice_end(session->voice, EXIT_OK);
}

/* Each message to the node needs the peer; the first makes WireGuard shake hands. */
void
session_set_peer(struct session *session)
{
	int r = client_tunnel_set_peer(session->tunnel, &session->route);

	if (r < 0) {
		log_error("peer_not_set", "error=%s", strerror(-r));
		if (session->phase != SESSION_CONNECTED)
			session_fail(session, EXIT_SYSTEM, "cannot configure WireGuard: %s",
				     strerror(-r));
		return;
	}
	session->has_peer = true;
	if (session->phase != SESSION_ATTACHING)
		return;
	session->phase = SESSION_SHAKING;
	client_say(session->voice, "at the relay; waiting for the node's handshake");
	r = loop_timer_start(session->loop, HANDSHAKE_LOOK_MS, HANDSHAKE_LOOK_MS, on_handshake_look,
			     session, &session->handshake);
	if (r < 0)
		session_fail(session, EXIT_SYSTEM, "no timer: %s", strerror(-r));
}

static void
on_leg_end(struct session *session, int code)
{
	bool is_refused = code == 401 || code == 403 || code == 404 || code == CLOSE_GONE;

	if (!is_refused || !session->has_route)
		client_pause_down(&session->pause);
	else
		session_ask_later(session, client_pause_refused_ms(&session->pause,
								   loop_now_ms(session->loop),
								   backoff_random()));
}

static void
on_leg_state(enum leg_state state, int code, const char *reason, void *arg)
{
	struct session *session = arg;
	struct leg_url parts;

	if (session->phase == SESSION_STOPPING)
		return;
	if (state != LEG_DOWN && leg_url_parse(leg_client_url(session->leg), &parts) == 0)
		snprintf(session->relay, sizeof session->relay, "%s", parts.host);
	if (state != LEG_CONNECTING)
		session_path_leg(session, state == LEG_UP);
	if (state == LEG_UP) {
		client_pause_up(&session->pause, loop_now_ms(session->loop));
		session->leg_reason[0] = '\0';
		if (!session->has_peer)
			session_set_peer(session);
		else
			client_say(session->voice, "the leg to the relay is up again");
	} else if (state == LEG_DOWN) {
		snprintf(session->leg_reason, sizeof session->leg_reason, "%s", reason);
		if (session->phase == SESSION_CONNECTED && !session_is_silent(session))
			client_say(session->voice, "the leg is down: %s", reason);
		on_leg_end(session, code);
	}
}

static void
on_control(struct session *session, const uint8_t *bytes, size_t n)
{
	/* The only control message for a client; flat, so that unpacking cannot recurse. */
	Boson__Link__Control *control =
		n <= CONTROL_MAX_BYTES ? boson__link__control__unpack(NULL, n, bytes) : NULL;

	if (control == NULL)
		return;
	if (control->body_case == BOSON__LINK__CONTROL__BODY_DRAIN)
		session_path_drain(session, control->drain);
	boson__link__control__free_unpacked(control, NULL);
}

static void
on_leg_message(const uint8_t *message, size_t n, void *arg)
{
	struct session *session = arg;

	if (message[0] == LEG_KIND_CONTROL)
		on_control(session, message + 1, n - 1);
	else if (client_shim_deliver(client_tunnel_shim(session->tunnel), message, n) < 0)
		log_debug("leg_message_bad", "bytes=%zu", n);
}

static void
on_device_restart(bool is_alive, void *arg)
{
	struct session *session = arg;

	if (!is_alive) {
		client_say_error(session->voice, "WireGuard does not come back; nothing passes "
						 "until it does");
		return;
	}
	log_warn("device_restarted", "interface=%s", session->options->interface);
	int r = client_tunnel_reopen_routes(session->tunnel, &session->route);
	if (r < 0)
		log_error("routes_not_open", "error=%s", strerror(-r));
	if (session->has_peer)
		session_set_peer(session);
}

int
session_carry_init(struct session *session)
{
	const struct leg_client_options leg = { .ca_file = session->options->ca_file };
	const struct leg_client_events events = { .on_state = on_leg_state,
						  .on_message = on_leg_message,
						  .arg = session };
	const struct client_tunnel_options tunnel = {
		.interface = session->options->interface,
		.folder = session->options->state_dir,
		.resolv_conf = "/etc/resolv.conf",
		.kill_switch = session->options->kill_switch,
		.dns = session->options->dns,
		.private_key = &session->private_key,
		.on_restart = on_device_restart,
		.arg = session,
	};
	int r = client_tunnel_new(session->loop, session->metrics, &tunnel, &session->tunnel);

	if (r == 0)
		r = session_path_init(session);
	if (r == 0)
		r = session_watch_init(session);
	return r < 0 ? r
		     : leg_client_new(session->loop, session->metrics, &leg, &events,
				      &session->leg);
}

static int
target_leg(struct session *session)
{
	const char *urls[ROUTE_RELAYS_MAX + 1];

	for (size_t i = 0; i < session->pins.n; i++) {
		const struct client_pin *pin = &session->pins.pins[i];
		int r = leg_client_pin(session->leg, pin->host, pin->address);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < session->route.relay_n; i++)
		urls[i] = session->route.relays[i];
	urls[session->route.relay_n] = NULL;
	return leg_client_target(session->leg, urls, session->route.ticket);
}

/* What cannot be done at the start ends it; later it is tried again, and all stays blocked. */
static void
carry_failed(struct session *session, int status, const char *text)
{
	if (session->phase != SESSION_CONNECTED) {
		session_fail(session, status, "%s", text);
		return;
	}
	client_say_error(session->voice, "%s", text);
	session_ask_later(session, FAILED_PAUSE_MS);
}

static void
take_node(struct session *session)
{
	client_say(session->voice, "route: node %s", session->route.node_id);
	session->country[0] = '\0';
	session_ask_country(session);
}

/* A leg and a UDP leg stay with the node that they were made for. */
static void
leave_node(struct session *session)
{
	leg_client_disconnect(session->leg);
	client_udp_target(session->udp, NULL, 0);
	client_pulse_reset(client_shim_pulse(client_tunnel_shim(session->tunnel)));
	session->handshake_before_sec = 0;
	take_node(session);
}

void
session_carry_route(struct session *session)
{
	bool is_first = !session->has_route;
	bool is_other_node =
		!is_first && !key_is_equal(&session->route.node_key, &session->next.node_key);
	bool is_same = !is_first && !is_other_node &&
		       strcmp(session->route.session_id, session->next.session_id) == 0;
	char text[CLIENT_TEXT_BYTES];
	int status = EXIT_SYSTEM;

	session->route = session->next;
	session->pins = session->next_pins;
	session->has_route = true;
	client_route_wipe(&session->next);
	if (is_first) {
		session->phase = SESSION_ATTACHING;
		take_node(session);
		client_say(session->voice, session->options->kill_switch
						   ? "blocking everything outside the tunnel"
						   : "no kill switch, as you wish");
	}
	if (is_other_node)
		leave_node(session);
	if (client_tunnel_block(session->tunnel, &session->pins, &status, text, sizeof text) < 0 ||
	    client_tunnel_open(session->tunnel, &session->route, session->leg, &status, text,
			       sizeof text) < 0) {
		carry_failed(session, status, text);
		return;
	}
	if (text[0] != '\0')
		client_say_error(session->voice, "%s", text);
	if (is_first)
		client_say(session->voice, "interface %s is there", session->options->interface);
	if (!is_same)
		session->has_peer = false;
	int r = target_leg(session);
	if (r < 0)
		carry_failed(session, EXIT_PROTOCOL_WRONG, strerror(-r));
	else if (is_same && !session->has_peer && leg_client_state(session->leg) == LEG_UP)
		session_set_peer(session);
	session_path_route(session);
}
