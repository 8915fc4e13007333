/*
 * client_ask: a session's questions to the gateway: the first route, its renewal before the ticket
 * ends, a new one when the session is gone, and the farewell. Names in the answers are found one
 * after the other.
 */
#include "client/client_exit.h"
#include "client/client_refusal.h"
#include "client/client_session.h"
#include "discovery.pb-c.h"
#include "log/log.h"
#include "loop/backoff.h"
#include "loop/clock.h"
#include "json/json_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum {
	ASK_TIMEOUT_MS = 15 * 1000,
	FAREWELL_MS = 1500,
	PAUSE_FIRST_MS = 1000,
	PAUSE_MAX_MS = 60 * 1000,
	RENEW_BEFORE_MIN_MS = 60 * 1000,
	RENEW_PAUSE_MIN_MS = 5 * 1000,
	URL_BYTES = 600,
};

int
session_url(const struct session *session, const char *path, char *ret_url, size_t capacity)
{
	return client_server_url(session->options->server, path, ret_url, capacity);
}

static void
on_ask_again(struct loop *loop, void *arg)
{
	struct session *session = arg;

	(void)loop;
	session->renewal = NULL;
	session_ask(session);
}

static void
ask_in(struct session *session, int64_t delay_ms)
{
	loop_timer_stop(&session->renewal);
	if (loop_timer_start(session->loop, delay_ms, 0, on_ask_again, session, &session->renewal) <
	    0)
		log_error("renewal_timer", "error=%s", strerror(ENOMEM));
}

void
session_ask_later(struct session *session, int64_t at_least_ms)
{
	int64_t limit_ms = backoff_ms(PAUSE_FIRST_MS, PAUSE_MAX_MS, session->ask_failures++);
	int64_t delay_ms = backoff_share_ms(limit_ms, backoff_random());

	ask_in(session, delay_ms > at_least_ms ? delay_ms : at_least_ms);
}

/* A fifth of the ticket's life before its end. */
static void
plan_renewal(struct session *session)
{
	int64_t left_ms = session->next.expires_at_ms - clock_wall_ms();
	int64_t before_ms = left_ms / 5;

	if (before_ms < RENEW_BEFORE_MIN_MS)
		before_ms = RENEW_BEFORE_MIN_MS;
	int64_t delay_ms = left_ms - before_ms;
	ask_in(session, delay_ms > RENEW_PAUSE_MIN_MS ? delay_ms : RENEW_PAUSE_MIN_MS);
}

static void resolve_next(struct session *session);

static void
cannot_find_relay(struct session *session, const char *error)
{
	const struct client_pin *pin = client_pins_unresolved(&session->next_pins);

	session->is_asking = false;
	if (!session->has_route)
		session_fail(session, EXIT_TRY_LATER, "cannot find the relay %s: %s", pin->host,
			     error);
	else
		session_ask_later(session, RENEW_PAUSE_MIN_MS);
}

static void
on_relay_found(const struct sockaddr_storage *addresses, size_t n, const char *error, void *arg)
{
	struct session *session = arg;

	if (client_pins_set_found(&session->next_pins, addresses, n) == 0)
		resolve_next(session);
	else
		cannot_find_relay(session, error);
}

static void
resolve_next(struct session *session)
{
	const struct client_pin *pin = client_pins_unresolved(&session->next_pins);

	if (pin == NULL) {
		session->is_asking = false;
		session->ask_failures = 0;
		plan_renewal(session);
		session_carry_route(session);
		return;
	}
	int r = session_find(session, pin, on_relay_found);
	if (r < 0)
		cannot_find_relay(session, strerror(-r));
}

static int
pin_all(struct session *session)
{
	struct client_pins pins = { 0 };
	int r = client_pins_add_url(&pins, session->options->server);

	for (size_t i = 0; i < session->next.relay_n && r == 0; i++)
		r = client_pins_add_url(&pins, session->next.relays[i]);
	if (r == 0 && session->next.udp_endpoint[0] != '\0')
		r = client_pins_add_udp(&pins, session->next.udp_endpoint);
	if (r == 0) {
		client_pins_learn(&pins, &session->pins);
		session->next_pins = pins;
	}
	return r;
}

static void
take_answer(struct session *session, const struct http_answer *answer)
{
	char error[CLIENT_TEXT_BYTES / 2] = "", shown[CLIENT_TEXT_BYTES / 2];

	int r = client_route_parse(answer->body, answer->body_bytes, &session->next, error,
				   sizeof error);
	if (r == 0)
		r = pin_all(session);
	if (r == 0) {
		resolve_next(session);
		return;
	}
	session->is_asking = false;
	if (session->has_route) {
		log_warn("route_unusable", "error=%s", error);
		session_ask_later(session, RENEW_PAUSE_MIN_MS);
		return;
	}
	session_fail(session, EXIT_PROTOCOL_WRONG, "the server's route makes no sense: %s",
		     client_escape(error, shown, sizeof shown));
}

static void
on_route(const struct http_answer *answer, void *arg)
{
	struct session *session = arg;
	struct client_refusal refusal;
	char text[CLIENT_TEXT_BYTES];

	if (session->phase == SESSION_STOPPING)
		return;
	if (answer->status == 200) {
		take_answer(session, answer);
		return;
	}
	session->is_asking = false;
	client_refusal_read(answer, session->options->server, &refusal, text, sizeof text);
	if (!session->has_route) {
		session_fail(session, refusal.status, "%s", text);
		return;
	}
	log_warn("route_refused", "status=%d text=%s", answer->status, text);
	if (session_is_silent(session))
		client_say_error(session->voice, "no other node yet: %s", text);
	if (refusal.is_session) {
		/* A new one, on the keys we have. */
		session->route.session_id[0] = '\0';
		session_ask_later(session, 0);
		return;
	}
	session_ask_later(session, refusal.retry_sec * 1000);
}

void
session_ask(struct session *session)
{
	const struct client_route_wish wish = {
		.client_id = session->client_id,
		.public_key = &session->public_key,
		.node_id = session->options->node,
		.country = session->options->country,
		.session_id =
			session->route.session_id[0] != '\0' ? session->route.session_id : NULL,
		/* By its id: asked twice, the second does not fail the node that the first found.
		 */
		.failed_node_id = session_is_silent(session) && session->options->node == NULL
					  ? session->silent_node
					  : NULL,
	};

	if (session->is_asking || session->phase == SESSION_STOPPING)
		return;
	session->claim = (struct client_claim){
		.http = session->http,
		.server = session->options->server,
		.access_key = session->access_key,
		.private_key = &session->private_key,
	};
	int r = client_claim_start(&session->claim, &wish, on_route, session);
	if (r == 0)
		session->is_asking = true;
	else if (!session->has_route)
		session_fail(session, EXIT_SYSTEM, "cannot ask for a route: %s", strerror(-r));
	else
		session_ask_later(session, RENEW_PAUSE_MIN_MS);
}

static void
on_country(const struct http_answer *answer, void *arg)
{
	struct session *session = arg;
	char field[JSON_FIELD_BYTES];
	ProtobufCMessage *message = NULL;

	if (answer->status != 200 ||
	    json_message_read(&boson__discovery__node__descriptor, answer->body, answer->body_bytes,
			      0, &message, field) < 0)
		return;
	const Boson__Discovery__Node *node = (const Boson__Discovery__Node *)message;
	const char *country = node->location != NULL ? node->location->country : NULL;
	bool is_ours = node->node_id != NULL && strcmp(node->node_id, session->route.node_id) == 0;
	if (is_ours && country != NULL && strlen(country) == 2 && strspn(country, CAPITALS) == 2)
		memcpy(session->country, country, sizeof session->country);
	protobuf_c_message_free_unpacked(message, NULL);
}

void
session_ask_country(struct session *session)
{
	char path[URL_BYTES / 2], url[URL_BYTES];
	const struct http_request request = {
		.method = "GET",
		.url = url,
		.bearer = session->access_key,
		.timeout_ms = ASK_TIMEOUT_MS,
	};

	snprintf(path, sizeof path, "/api/v1/nodes/%s", session->route.node_id);
	if (session_url(session, path, url, sizeof url) == 0)
		http_client_send(session->http, &request, on_country, session);
}

static void
on_farewell(const struct http_answer *answer, void *arg)
{
	struct session *session = arg;

	if (answer->status != 204 && answer->status != 200)
		log_info("route_not_closed", "status=%d", answer->status);
	loop_stop(session->loop);
}

static void
on_farewell_late(struct loop *loop, void *arg)
{
	struct session *session = arg;

	session->farewell = NULL;
	loop_stop(loop);
}

/* Closes the session at relay and node, if they can be told soon. */
void
session_say_goodbye(struct session *session)
{
	char path[URL_BYTES / 2], url[URL_BYTES];

	snprintf(path, sizeof path, "/api/v1/routing/route/%s", session->route.id);
	const struct http_request request = {
		.method = "DELETE",
		.url = url,
		.bearer = session->route.session_token,
		.timeout_ms = FAREWELL_MS,
	};
	bool is_sent = session->has_route && session->route.session_token[0] != '\0' &&
		       session_url(session, path, url, sizeof url) == 0 &&
		       http_client_send(session->http, &request, on_farewell, session) == 0;
	if (!is_sent || loop_timer_start(session->loop, FAREWELL_MS, 0, on_farewell_late, session,
					 &session->farewell) < 0)
		loop_stop(session->loop);
}
