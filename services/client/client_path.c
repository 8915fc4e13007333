/*
 * client_path: which way WireGuard's datagrams go to the relay. The leg is always there; beside it
 * UDP is tried when the relay has an ingress and routing has bound our session to it, and used
 * while it answers. Also what happens when a relay goes: another one, or the session anew.
 * Asks: POST /wireguard/register.
 */
#include "client/client_conf.h"
#include "client/client_session.h"
#include "client/client_udp.h"
#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REGISTER_TIMEOUT_MS = 10 * 1000,
	ALONE_AFTER_MS = 3000,	 /* without a leg, UDP has to do */
	STRANDED_MS = 10 * 1000, /* without either: ask for the session again */
	AFTER_DRAIN_MS = 2000,
	URL_BYTES = 600,
};

static void
on_change(bool is_up, void *arg)
{
	struct session *session = arg;

	if (session->phase == SESSION_STOPPING)
		return;
	client_say(session->voice, is_up		? "by UDP from now on"
				   : session->is_narrow ? "by the leg from now on"
							: "UDP does not get through any more; by "
							  "the leg");
	session_narrow_udp(session, is_up);
	if (is_up)
		loop_timer_stop(&session->stranded);
	else if (leg_client_state(session->leg) != LEG_UP)
		session_path_leg(session, false);
}

static bool
carry(const uint8_t *bytes, size_t n, size_t segment, void *arg)
{
	struct session *session = arg;

	return client_udp_carry(session->udp, bytes, n, segment);
}

static void
send_by_leg(const uint8_t *datagram, size_t n, void *arg)
{
	const struct session *session = arg;

	client_shim_send(client_tunnel_shim(session->tunnel), datagram, n);
}

int
session_path_init(struct session *session)
{
	const struct client_udp_events events = { .on_change = on_change,
						  .send_by_leg = send_by_leg,
						  .arg = session };
	struct client_shim *shim = client_tunnel_shim(session->tunnel);
	session_narrow_init(session);
	int r = client_udp_new(session->loop, shim, &events, &session->udp);

	if (r == 0)
		client_shim_set_carry(shim, carry, session);
	return r;
}

void
session_path_fini(struct session *session)
{
	loop_timer_stop(&session->alone);
	loop_timer_stop(&session->stranded);
	session_narrow_fini(session);
	if (session->tunnel != NULL)
		client_shim_set_carry(client_tunnel_shim(session->tunnel), NULL, NULL);
	client_udp_free(&session->udp);
}

/* ---- UDP ---- */

static void
on_alone(struct loop *loop, void *arg)
{
	struct session *session = arg;

	(void)loop;
	session->alone = NULL;
	if (leg_client_state(session->leg) == LEG_UP || session->phase == SESSION_STOPPING)
		return;
	client_udp_set_alone(session->udp, true);
	if (!session->has_peer)
		session_set_peer(session);
}

static void
on_registered(const struct http_answer *answer, void *arg)
{
	const struct session *session = arg;
	const struct client_pin *pin = client_pins_udp(&session->pins);
	char endpoint[CONF_ENDPOINT_BYTES];

	if (session->phase == SESSION_STOPPING || pin == NULL)
		return;
	/* Only where our rules let us go: the endpoint that the route named. */
	if (answer->status != 200 ||
	    client_conf_endpoint(answer->body, answer->body_bytes, endpoint) < 0 ||
	    strcmp(endpoint, session->route.udp_endpoint) != 0) {
		log_info("udp_not_registered", "status=%d", answer->status);
		return;
	}
	int r = client_udp_target(session->udp, pin->address, pin->port);
	if (r < 0)
		log_warn("udp_target", "error=%s", strerror(-r));
}

static void
ask_for_udp(struct session *session)
{
	char url[URL_BYTES], *body = NULL;
	int r = session_url(session, "/api/v1/wireguard/register", url, sizeof url);

	if (r == 0)
		r = client_conf_registration(session->client_id, &session->public_key,
					     session->route.session_id, &body);
	const struct http_request request = { .method = "POST",
					      .url = url,
					      .bearer = session->access_key,
					      .body = body,
					      .body_bytes = body != NULL ? strlen(body) : 0,
					      .timeout_ms = REGISTER_TIMEOUT_MS };
	if (r == 0)
		r = http_client_send(session->http, &request, on_registered, session);
	if (r < 0)
		log_info("udp_not_registered", "error=%s", strerror(-r));
	free(body);
}

void
session_path_route(struct session *session)
{
	if (session->route.udp_endpoint[0] == '\0' || client_pins_udp(&session->pins) == NULL) {
		client_udp_target(session->udp, NULL, 0);
		return;
	}
	ask_for_udp(session);
	if (session->alone == NULL && leg_client_state(session->leg) != LEG_UP &&
	    loop_timer_start(session->loop, ALONE_AFTER_MS, 0, on_alone, session, &session->alone) <
		    0)
		log_warn("alone_timer", "error=%s", strerror(ENOMEM));
}

/* ---- the leg ---- */

/* Neither leg nor UDP: perhaps the relays are others by now. */
static void
on_stranded(struct loop *loop, void *arg)
{
	struct session *session = arg;

	(void)loop;
	session->stranded = NULL;
	if (session->phase == SESSION_STOPPING || leg_client_state(session->leg) == LEG_UP ||
	    client_udp_is_up(session->udp))
		return;
	session_ask_later(session, 0);
	session_path_leg(session, false);
}

void
session_path_leg(struct session *session, bool is_up)
{
	client_udp_retry(session->udp);
	if (is_up) {
		client_udp_set_alone(session->udp, false);
		loop_timer_stop(&session->alone);
		loop_timer_stop(&session->stranded);
		session_narrow_leg(session);
		return;
	}
	if (session->phase == SESSION_CONNECTED)
		client_udp_set_alone(session->udp, true);
	if (session->has_route && session->stranded == NULL &&
	    loop_timer_start(session->loop, STRANDED_MS, 0, on_stranded, session,
			     &session->stranded) < 0)
		log_warn("stranded_timer", "error=%s", strerror(ENOMEM));
}

/* Our rules know the relays of the route alone. */
static bool
is_known(const struct session *session, const char *relay)
{
	size_t n = relay != NULL ? strlen(relay) : 0;

	for (size_t i = 0; i < session->route.relay_n && n > 0; i++)
		if (strncmp(session->route.relays[i], relay, n) == 0 &&
		    session->route.relays[i][n] == '/')
			return true;
	return false;
}

void
session_path_drain(struct session *session, const Boson__Link__Drain *drain)
{
	const char *relay = is_known(session, drain->other_relay) ? drain->other_relay : NULL;
	int r = leg_client_move(session->leg, relay, drain->reconnect_in_ms, drain->try_for_ms);

	if (r < 0)
		log_info("relay_drains", "error=%s", strerror(-r));
	/* What hears UDP goes with it; the next route says where there is one. */
	client_udp_target(session->udp, NULL, 0);
	session_ask_later(session, (int64_t)drain->reconnect_in_ms + AFTER_DRAIN_MS);
}
