/*
 * Who gets a leg and who does not: rows W01 to W25 of the bad inputs, each against a real relay,
 * and each judged by what the peer sees.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_fixture.h"

#include "loop/clock.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t other_id[UUID_BYTES] = "node-id-00000002";
static const uint8_t session_id[UUID_BYTES] = "session-00000001";
static const uint8_t other_session[UUID_BYTES] = "session-00000002";

enum { HOUR_MS = 3600 * 1000 };

static struct relay_fixture relay;

static int
set_up(void **state)
{
	*state = &relay;
	relay_fixture_start(&relay, false, "");
	return 0;
}

/* The status that these bytes get; head: what came with it. */
static int
ask(const void *bytes, size_t n, char *head, size_t size)
{
	struct raw_leg *leg = raw_leg_connect(&relay);

	raw_leg_write(leg, bytes, n);
	int status = raw_leg_status(leg, head, size);
	raw_leg_close(&leg);
	return status;
}

/* A good request with `from` replaced by `to`. */
static int
ask_with(const char *from, const char *to, char *head, size_t size)
{
	char ticket[TICKET_TEXT_MAX_BYTES], good[1024], request[16 * 1024];

	relay_fixture_ticket(&relay, node_id, NULL, HOUR_MS, 0, ticket);
	raw_leg_request(good, sizeof(good), node_id, ticket);
	const char *at = strstr(good, from);
	assert_non_null(at);
	int n = snprintf(request, sizeof(request), "%.*s%s%s", (int)(at - good), good, to,
			 at + strlen(from));
	return ask(request, (size_t)n, head, size);
}

static int
ask_ticket(const uint8_t id[UUID_BYTES], const char *ticket)
{
	char request[1024];

	raw_leg_request(request, sizeof(request), id, ticket);
	return ask(request, strlen(request), NULL, 0);
}

static void
test_a_good_request_gets_101(void **state)
{
	(void)state;
	assert_int_equal(ask_with("", "", NULL, 0), 101);
	/* As others write it: names in any case, more headers, a list of protocols. */
	assert_int_equal(ask_with("Upgrade: websocket", "uPgRaDe: WebSocket", NULL, 0), 101);
	assert_int_equal(
		ask_with("Connection: Upgrade", "Connection: keep-alive, Upgrade", NULL, 0), 101);
	assert_int_equal(ask_with("higgs.v1", "other, higgs.v1", NULL, 0), 101);
	assert_int_equal(ask_with("Host: relay",
				  "Host: relay\r\nSec-WebSocket-Extensions: permessage-deflate",
				  NULL, 0),
			 101);
}

static void
test_w01_no_expired_or_forged_ticket_gets_401(void **state)
{
	char ticket[TICKET_TEXT_MAX_BYTES], head[512] = "";

	(void)state;
	assert_int_equal(ask_with("Authorization: Bearer ", "X-Nothing: ", head, sizeof(head)),
			 401);
	assert_non_null(strstr(head, "WWW-Authenticate: Bearer\r\n"));
	assert_int_equal(ask_with("Bearer ", "Basic ", NULL, 0), 401);
	assert_int_equal(ask_ticket(node_id, "x"), 401);
	relay_fixture_ticket(&relay, node_id, NULL, -60 * 1000, 0, ticket);
	assert_int_equal(ask_ticket(node_id, ticket), 401);
	relay_fixture_ticket(&relay, node_id, NULL, HOUR_MS, 0, ticket);
	assert_int_equal(ask_ticket(node_id, ticket), 101);
	for (size_t i = 0; i < strlen(ticket); i += 5) {
		char forged[TICKET_TEXT_MAX_BYTES];

		strcpy(forged, ticket);
		forged[i] = forged[i] == 'A' ? 'B' : 'A';
		assert_int_equal(ask_ticket(node_id, forged), 401);
	}
}

/* W03: and the node whose id was tried does not notice. */
static void
test_w03_a_ticket_for_another_leg_gets_403(void **state)
{
	char ticket[TICKET_TEXT_MAX_BYTES];
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session_id);
	uint32_t channel = leg_talk_channel(node, session_id);

	(void)state;
	relay_fixture_ticket(&relay, node_id, session_id, HOUR_MS, 0, ticket);
	assert_int_equal(ask_ticket(node_id, ticket), 403);
	assert_int_equal(ask_ticket(other_session, ticket), 403);
	relay_fixture_ticket(&relay, other_id, NULL, HOUR_MS, 0, ticket);
	assert_int_equal(ask_ticket(node_id, ticket), 403);
	assert_int_equal(ask_ticket(session_id, ticket), 403);
	leg_talk_exchange(node, client, channel);
	raw_leg_close(&client);
	raw_leg_close(&node);
}

static void
on_closed(const Boson__Common__Empty *reply, void *arg)
{
	assert_non_null(reply);
	*(bool *)arg = true;
}

/* W05: tickets are checked offline, so a session is unknown when it was closed here. */
static void
test_w05_a_closed_session_gets_404(void **state)
{
	Boson__Relay__CloseSessionRequest request = BOSON__RELAY__CLOSE_SESSION_REQUEST__INIT;
	char node[UUID_TEXT_BYTES], session[UUID_TEXT_BYTES], ticket[TICKET_TEXT_MAX_BYTES];
	bool is_done = false;

	(void)state;
	uuid_format(node_id, node);
	uuid_format(other_session, session);
	relay_fixture_ticket(&relay, node_id, other_session, HOUR_MS, 0, ticket);
	assert_int_equal(ask_ticket(other_session, ticket), 101);
	request.node_id = node;
	request.session_id = session;
	boson__relay__relay__close_session(bus_peer_service(relay.relay), &request, on_closed,
					   &is_done);
	relay_fixture_wait(&relay, &is_done);
	int64_t end_ms = clock_monotonic_ms() + 10 * 1000;
	int status;
	while ((status = ask_ticket(other_session, ticket)) == 101 && clock_monotonic_ms() < end_ms)
		; /* the command is on its way to the shard */
	assert_int_equal(status, 404);
}

static void
test_an_unknown_path_gets_404(void **state)
{
	(void)state;
	assert_int_equal(ask_with("/relay/", "/", NULL, 0), 404);
	assert_int_equal(ask_with("/relay/", "/relay//", NULL, 0), 404);
	assert_int_equal(ask_with(" HTTP/1.1", "/ HTTP/1.1", NULL, 0), 404);
	assert_int_equal(ask_with("/relay/6", "/relay/G", NULL, 0), 404);
	assert_int_equal(ask_with("/relay/", "/relay/../relay/", NULL, 0), 404);
}

static void
test_w07_another_version_gets_426_and_is_told_13(void **state)
{
	char head[512] = "";

	(void)state;
	assert_int_equal(ask_with("Version: 13", "Version: 8", head, sizeof(head)), 426);
	assert_non_null(strstr(head, "Sec-WebSocket-Version: 13\r\n"));
	assert_int_equal(ask_with("Sec-WebSocket-Version: 13\r\n", "", NULL, 0), 426);
	assert_int_equal(ask_with("Version: 13", "Version: 013", NULL, 0), 426);
}

static void
test_w09_another_method_gets_405(void **state)
{
	char head[512] = "";

	(void)state;
	assert_int_equal(ask_with("GET ", "POST ", head, sizeof(head)), 405);
	assert_non_null(strstr(head, "Allow: GET\r\n"));
	assert_int_equal(ask_with("GET ", "get ", NULL, 0), 405);
}

static void
test_w11_another_upgrade_gets_400(void **state)
{
	(void)state;
	assert_int_equal(ask_with("Upgrade: websocket", "Upgrade: foo", NULL, 0), 400);
	assert_int_equal(ask_with("Upgrade: websocket", "Upgrade: h2c", NULL, 0), 400);
	assert_int_equal(ask_with("Upgrade: websocket\r\n", "", NULL, 0), 400);
	assert_int_equal(ask_with("Connection: Upgrade", "Connection: close", NULL, 0), 400);
}

static void
test_w13_an_origin_gets_403(void **state)
{
	(void)state;
	assert_int_equal(ask_with("Host: relay", "Host: relay\r\nOrigin: http://evil", NULL, 0),
			 403);
}

static void
test_w15_no_subprotocol_gets_400(void **state)
{
	(void)state;
	assert_int_equal(ask_with("Sec-WebSocket-Protocol: higgs.v1\r\n", "", NULL, 0), 400);
	assert_int_equal(ask_with("higgs.v1", "higgs.v12", NULL, 0), 400);
}

static void
test_w17_a_header_of_20_kib_gets_431(void **state)
{
	static char request[24 * 1024] = "GET / HTTP/1.1\r\nX: ";
	size_t n = strlen(request);
	char many[4096] = "";

	(void)state;
	memset(request + n, 'x', 20 * 1024);
	assert_int_equal(ask(request, n + 20 * 1024, NULL, 0), 431);
	for (int i = 0; i < 70; i++)
		strcat(many, "X: y\r\n");
	strcat(many, "Host: relay");
	assert_int_equal(ask_with("Host: relay", many, NULL, 0), 431);
}

/* W19, for TLS and for the request; the deadline is the configured one. */
static void
test_w19_a_stalled_handshake_is_closed(void **state)
{
	static struct relay_fixture hasty;

	(void)state;
	relay_fixture_start(&hasty, false, "handshake_deadline = 500ms");
	struct raw_leg *leg = raw_leg_connect(&hasty);
	assert_true(raw_leg_write(leg, "GET /relay/", 11));
	assert_int_equal(raw_leg_status(leg, NULL, 0), 0);
	assert_true(leg->is_ended);
	raw_leg_close(&leg);
	relay_fixture_await(&hasty, "upgrades_expired_total", 1);
	relay_fixture_stop(&hasty);
}

static void
test_w19_a_stalled_tls_handshake_is_closed(void **state)
{
	static struct relay_fixture with_tls;
	struct relay_fixture as_plain;

	(void)state;
	relay_fixture_start(&with_tls, true, "handshake_deadline = 500ms");
	as_plain = with_tls;
	as_plain.has_tls = false;
	struct raw_leg *leg = raw_leg_connect(&as_plain);
	/* The start of a ClientHello, and nothing more. */
	assert_true(raw_leg_write(leg, "\x16\x03\x01\x02\x00\x01", 6));
	assert_int_equal(raw_leg_status(leg, NULL, 0), 0);
	assert_true(leg->is_ended);
	raw_leg_close(&leg);
	relay_fixture_stop(&with_tls);
}

static void
test_w21_a_token_in_the_query_gets_400(void **state)
{
	(void)state;
	assert_int_equal(ask_with(" HTTP/1.1", "?token=abc HTTP/1.1", NULL, 0), 400);
	assert_int_equal(ask_with(" HTTP/1.1", "? HTTP/1.1", NULL, 0), 400);
}

/* W23 asks for 429 for a third socket of a session. Here the newest leg wins, so there is never a
 * second: who comes back after his network changed must not wait until his dead leg is noticed. The
 * older is told 4009; 429 is for who takes that place too often (test_relay_contest). */
static void
test_w23_the_newest_leg_of_a_session_wins(void **state)
{
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *first = raw_leg_open(&relay, node_id, session_id);
	uint32_t channel = leg_talk_channel(node, session_id);
	struct raw_leg *second = raw_leg_open(&relay, node_id, session_id);
	uint32_t newer = leg_talk_channel(node, session_id);

	(void)state;
	assert_int_equal(raw_leg_close_code(first), 4009);
	assert_int_not_equal(channel, newer);
	Boson__Link__Control *control = leg_talk_control(node);
	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE);
	assert_int_equal(control->channel_close->channel, channel);
	boson__link__control__free_unpacked(control, NULL);
	leg_talk_exchange(node, second, newer);
	raw_leg_close(&first);
	raw_leg_close(&second);
	raw_leg_close(&node);
}

static void
test_w25_frames_before_the_answer_get_1002(void **state)
{
	char ticket[TICKET_TEXT_MAX_BYTES], request[1024];
	struct raw_leg *leg = raw_leg_connect(&relay);

	(void)state;
	relay_fixture_ticket(&relay, node_id, NULL, HOUR_MS, 0, ticket);
	raw_leg_request(request, sizeof(request) - 8, node_id, ticket);
	strcat(request, "\x89\x80\x01\x02\x03\x04");
	assert_true(raw_leg_write(leg, request, strlen(request)));
	assert_int_equal(raw_leg_status(leg, NULL, 0), 101);
	assert_int_equal(raw_leg_close_code(leg), 1002);
	raw_leg_close(&leg);
}

static void
test_what_is_no_strict_http_gets_400(void **state)
{
	(void)state;
	assert_int_equal(ask_with("Host: relay\r\n", "Host: relay\n", NULL, 0), 400);
	assert_int_equal(ask_with("Host: relay\r\n", "Host: relay\r\n folded\r\n", NULL, 0), 400);
	assert_int_equal(ask_with("Host: relay", "Host: re\x01lay", NULL, 0), 400);
	assert_int_equal(ask_with("Host: relay", "Host : relay", NULL, 0), 400);
	assert_int_equal(ask_with("Host: relay", "Host: relay\r\nHost: relay", NULL, 0), 400);
	assert_int_equal(ask_with("Host: relay\r\n", "", NULL, 0), 400);
	assert_int_equal(ask_with("Host: relay", "Host: relay\r\nContent-Length: 0", NULL, 0), 400);
	assert_int_equal(
		ask_with("Host: relay", "Host: relay\r\nTransfer-Encoding: chunked", NULL, 0), 400);
	assert_int_equal(ask_with("HTTP/1.1", "HTTP/1.0", NULL, 0), 400);
	assert_int_equal(ask_with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", NULL, 0),
			 400);
	assert_int_equal(ask_with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR==", NULL, 0),
			 400);
	assert_int_equal(ask("\x16\x03\x01\x02\x00", 5, NULL, 0), 400);
	assert_int_equal(ask("\r\n\r\n", 4, NULL, 0), 400);
}

static void
test_a_request_may_come_byte_by_byte(void **state)
{
	char ticket[TICKET_TEXT_MAX_BYTES], request[1024];
	struct raw_leg *leg = raw_leg_connect(&relay);

	(void)state;
	relay_fixture_ticket(&relay, node_id, NULL, HOUR_MS, 0, ticket);
	raw_leg_request(request, sizeof(request), node_id, ticket);
	for (size_t i = 0; i < strlen(request); i++)
		assert_true(raw_leg_write(leg, request + i, 1));
	assert_int_equal(raw_leg_status(leg, NULL, 0), 101);
	raw_leg_close(&leg);
}

static void
test_accepts_of_one_address_are_limited(void **state)
{
	static struct relay_fixture strict;
	unsigned refused = 0;

	(void)state;
	/* The last setting of a key is an error, so the fixture's accept_rate is replaced. */
	setenv("BOSON_RELAY_ACCEPT_RATE", "1", 1);
	relay_fixture_start(&strict, false, "accept_burst = 5");
	unsetenv("BOSON_RELAY_ACCEPT_RATE");
	for (int i = 0; i < 12; i++) {
		struct raw_leg *leg = raw_leg_connect(&strict);

		raw_leg_write(leg, "GET / HTTP/1.1\r\n\r\n", 18);
		refused += raw_leg_status(leg, NULL, 0) == 0;
		raw_leg_close(&leg);
	}
	assert_in_range(refused, 1, 7); /* however long the twelve take */
	assert_int_equal(relay_fixture_counter(&strict, "accept_limited_total"), refused);
	relay_fixture_stop(&strict);
}

static void
test_alpn_other_than_http_1_1_is_refused(void **state)
{
	static struct relay_fixture with_tls;
	struct relay_fixture as_plain;

	(void)state;
	relay_fixture_start(&with_tls, true, "");
	as_plain = with_tls;
	as_plain.has_tls = false;
	for (int offers_ours = 0; offers_ours < 2; offers_ours++) {
		struct raw_leg *leg = raw_leg_connect(&as_plain);
		SSL_CTX *context = SSL_CTX_new(TLS_client_method());
		SSL *ssl = SSL_new(context);
		static const unsigned char h2[] = "\x02h2", both[] = "\x02h2\x08http/1.1";

		SSL_set_alpn_protos(ssl, offers_ours ? both : h2,
				    offers_ours ? sizeof(both) - 1 : sizeof(h2) - 1);
		SSL_set_fd(ssl, leg->fd);
		assert_int_equal(SSL_connect(ssl) == 1, offers_ours);
		if (offers_ours) {
			const unsigned char *chosen;
			unsigned int n;

			SSL_get0_alpn_selected(ssl, &chosen, &n);
			assert_int_equal(n, 8);
			assert_memory_equal(chosen, "http/1.1", 8);
			assert_string_equal(SSL_get_cipher_name(ssl), "TLS_AES_128_GCM_SHA256");
		}
		SSL_free(ssl);
		SSL_CTX_free(context);
		raw_leg_close(&leg);
	}
	relay_fixture_stop(&with_tls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_request_gets_101),
		cmocka_unit_test(test_w01_no_expired_or_forged_ticket_gets_401),
		cmocka_unit_test(test_w03_a_ticket_for_another_leg_gets_403),
		cmocka_unit_test(test_w05_a_closed_session_gets_404),
		cmocka_unit_test(test_an_unknown_path_gets_404),
		cmocka_unit_test(test_w07_another_version_gets_426_and_is_told_13),
		cmocka_unit_test(test_w09_another_method_gets_405),
		cmocka_unit_test(test_w11_another_upgrade_gets_400),
		cmocka_unit_test(test_w13_an_origin_gets_403),
		cmocka_unit_test(test_w15_no_subprotocol_gets_400),
		cmocka_unit_test(test_w17_a_header_of_20_kib_gets_431),
		cmocka_unit_test(test_w19_a_stalled_handshake_is_closed),
		cmocka_unit_test(test_w19_a_stalled_tls_handshake_is_closed),
		cmocka_unit_test(test_w21_a_token_in_the_query_gets_400),
		cmocka_unit_test(test_w23_the_newest_leg_of_a_session_wins),
		cmocka_unit_test(test_w25_frames_before_the_answer_get_1002),
		cmocka_unit_test(test_what_is_no_strict_http_gets_400),
		cmocka_unit_test(test_a_request_may_come_byte_by_byte),
		cmocka_unit_test(test_accepts_of_one_address_are_limited),
		cmocka_unit_test(test_alpn_other_than_http_1_1_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, relay_fixture_tear_down);
}
