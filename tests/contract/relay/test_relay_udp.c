/*
 * Stock WireGuard apps on one UDP port: whose datagrams they are, who may answer whom, and what a
 * stranger gets: nothing. One shard; the node is a raw leg. T15 T16 T17 T18 and the rows U.. of the
 * bad inputs; those that need no relay are in the unit test of the shapes.
 */
#include "relay_fixture.h"
#include "udp_talk.h"

#include "leg/leg_frame.h"
#include "leg_talk.h"
#include "loop/clock.h"
#include "relay/relay_control.h"
#include "relay/relay_udp_flow.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const uint8_t node_a[UUID_BYTES] = "node-id-0000000a";
static const uint8_t node_b[UUID_BYTES] = "node-id-0000000b";
static const uint8_t session_1[UUID_BYTES] = "session-00000001";
static const uint8_t session_2[UUID_BYTES] = "session-00000002";
static const uint8_t session_3[UUID_BYTES] = "session-00000003";

enum { HOUR_MS = 3600 * 1000 };

static struct relay_fixture relay;
static struct key key_a, key_b; /* of the nodes */

static int
set_up(void **state)
{
	struct key secret;

	(void)state;
	relay_fixture_start(&relay, false, "grace = 3s\nudp_listen = 127.0.0.1:0");
	assert_int_equal(key_generate(&secret), 0);
	assert_int_equal(key_public(&secret, &key_a), 0);
	assert_int_equal(key_generate(&secret), 0);
	assert_int_equal(key_public(&secret, &key_b), 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	relay_fixture_stop(&relay);
	return 0;
}

static void
bind_one(const uint8_t session[UUID_BYTES], const uint8_t node[UUID_BYTES], const struct key *key,
	 const struct udp_app *app)
{
	assert_int_equal(udp_talk_bind(&relay, session, node, key, &app->key, HOUR_MS, NULL),
			 BUS_OK);
}

static uint64_t
drops(const char *reason)
{
	char name[64];

	snprintf(name, sizeof(name), "udp_drops_total{reason=\"%s\"}", reason);
	return relay_fixture_counter(&relay, name);
}

/* What was dropped so far for a reason; then it must grow to n more. */
static void
await_drops(const char *reason, uint64_t n)
{
	char name[64];

	snprintf(name, sizeof(name), "udp_drops_total{reason=\"%s\"}", reason);
	relay_fixture_await(&relay, name, n);
}

/* ---- how it should go ---- */

static void
test_clients_of_two_nodes_share_the_port(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct raw_leg *b = raw_leg_open(&relay, node_b, NULL);
	struct udp_app one = udp_app_open(&relay, "127.0.1.1", 0);
	struct udp_app two = udp_app_open(&relay, "127.0.1.1", 0); /* behind the same NAT */
	struct udp_app three = udp_app_open(&relay, "127.0.2.1", 0);

	(void)state;
	bind_one(session_1, node_a, &key_a, &one);
	bind_one(session_2, node_a, &key_a, &two);
	bind_one(session_3, node_b, &key_b, &three);
	uint32_t first = udp_talk_shake_hands(a, &key_a, &one, session_1, 11);
	uint32_t second = udp_talk_shake_hands(a, &key_a, &two, session_2, 12);
	uint32_t third = udp_talk_shake_hands(b, &key_b, &three, session_3, 13);
	assert_int_not_equal(first, second);
	for (uint64_t i = 1; i < 10; i++) {
		udp_talk_exchange(a, first, &one, 11, i);
		udp_talk_exchange(a, second, &two, 12, i);
		udp_talk_exchange(b, third, &three, 13, i);
	}
	udp_app_close(&one);
	udp_app_close(&two);
	udp_app_close(&three);
	raw_leg_close(&a);
	raw_leg_close(&b);
}

/* F25: the node's next leg has new channels, and each is told whose it is. */
static void
test_legs_outlive_their_nodes_leg(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	raw_leg_close(&a);
	relay_fixture_await(&relay, "legs{role=\"udp\"}", 1);
	a = raw_leg_open(&relay, node_a, NULL);
	uint32_t channel = udp_talk_channel(a, session_1);
	udp_talk_exchange(a, channel, &app, 11, 1);
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* F26, U20: a client that moved is a new leg, which its node's answer makes good. */
static void
test_client_that_moves_goes_on_at_once(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	uint8_t message[128], got[256];

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	for (unsigned i = 0; i < 2 * RELAY_UDP_FLOWS_SESSION_MAX; i++) {
		char address[INET_ADDRSTRLEN];

		snprintf(address, sizeof(address), "127.0.%u.1", 10 + i);
		struct udp_app moved = udp_app_open(&relay, address, 0);
		moved.index = app.index;
		udp_talk_transport(message, sizeof(message), 11, 100 + i);
		udp_app_send(&moved, message, sizeof(message));
		uint32_t channel = udp_talk_channel(a, NULL);
		assert_int_equal(udp_talk_node_receive(a, channel, got, sizeof(got)),
				 sizeof(message));
		udp_talk_transport(message, sizeof(message), app.index, 100 + i);
		udp_talk_node_send(a, channel, message, sizeof(message));
		assert_int_equal(udp_talk_channel(a, session_1), channel);
		if (i + 1 >= RELAY_UDP_FLOWS_SESSION_MAX) { /* where it was long ago goes */
			Boson__Link__Control *control = leg_talk_control(a);
			assert_int_equal(control->body_case,
					 BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE);
			boson__link__control__free_unpacked(control, NULL);
		}
		assert_int_equal(udp_app_receive(&moved, got, sizeof(got)), sizeof(message));
		udp_talk_exchange(a, channel, &moved, 11, 200 + i);
		udp_app_close(&moved);
	}
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* A session that goes on by UDP after it was a WebSocket's: the node's answers were heard there. */
static void
test_client_of_a_websocket_leg_goes_on_by_udp(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_a, session_1);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	uint8_t message[UDP_TALK_RESPONSE_BYTES], got[256];
	struct raw_frame frame;

	(void)state;
	uint32_t channel = udp_talk_channel(a, session_1);
	udp_talk_response(message, &app.key, 77, app.index);
	udp_talk_node_send(a, channel, message, sizeof(message));
	assert_true(raw_leg_receive(client, &frame));
	bind_one(session_1, node_a, &key_a, &app); /* after the handshake, as higgs does */
	udp_talk_transport(got, 96, 77, 1);
	udp_app_send(&app, got, 96);
	uint32_t by_udp = udp_talk_channel(a, NULL);
	assert_int_not_equal(by_udp, channel);
	assert_int_equal(udp_talk_node_receive(a, by_udp, got, sizeof(got)), 96);
	udp_app_close(&app);
	raw_leg_close(&client);
	raw_leg_close(&a);
}

/* ---- sessions end ---- */

static void
test_closed_session_loses_its_legs(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	uint8_t message[128];

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	uint32_t channel = udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	assert_int_equal(udp_talk_unbind(&relay, session_1), BUS_OK);
	udp_talk_closed(a, channel);
	assert_int_equal(udp_talk_unbind(&relay, session_1), BUS_OK);
	udp_talk_transport(message, sizeof(message), 11, 5);
	udp_app_send(&app, message, sizeof(message));
	await_drops("index", 1);
	assert_true(raw_leg_is_quiet(a, 50));
	udp_app_close(&app);
	raw_leg_close(&a);
}

static void
test_session_that_ends_loses_its_legs(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);

	(void)state;
	assert_int_equal(udp_talk_bind(&relay, session_1, node_a, &key_a, &app.key, 2500, NULL),
			 BUS_OK);
	uint32_t channel = udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	udp_talk_closed(a, channel);
	udp_app_close(&app);
	raw_leg_close(&a);
}

static void
test_binding_that_makes_no_sense_is_refused(void **state)
{
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);

	(void)state;
	assert_int_equal(udp_talk_bind(&relay, session_1, node_a, &key_a, &app.key, -1, NULL),
			 BUS_INVALID);
	assert_int_equal(
		udp_talk_bind(&relay, session_1, node_a, &key_a, &app.key, HOUR_MS, "nowhere"),
		BUS_OK); /* a hint only */
	udp_app_close(&app);
}

static int
set_up_deaf(void **state)
{
	(void)state;
	relay_fixture_start(&relay, false, "");
	return 0;
}

static void
test_relay_without_udp_says_so(void **state)
{
	struct key key = { .bytes = { 1 } };

	(void)state;
	assert_int_equal(udp_talk_bind(&relay, session_1, node_a, &key, &key, HOUR_MS, NULL),
			 BUS_UNAVAILABLE);
	assert_int_equal(udp_talk_unbind(&relay, session_1), BUS_UNAVAILABLE);
}

static int
set_up_slow(void **state)
{
	set_up(state);
	tear_down(state);
	relay_fixture_start(&relay, false, "rate = 8000\nudp_listen = 127.0.0.1:0");
	return 0;
}

static void
test_U52_more_than_the_sessions_rate_is_dropped(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	uint8_t message[1312];

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	for (uint64_t i = 1; i < 200; i++) {
		udp_talk_transport(message, sizeof(message), 11, i);
		udp_app_send(&app, message, sizeof(message));
	}
	await_drops("quota", 100);
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* ---- T15 ---- */

static void
test_T15_unproven_source_is_sent_no_more_than_it_sent(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	uint8_t message[1312], got[2048];

	(void)state; /* U46 */
	bind_one(session_1, node_a, &key_a, &app);
	udp_talk_initiation(message, &key_a, app.index);
	udp_app_send(&app, message, UDP_TALK_INITIATION_BYTES);
	uint32_t channel = udp_talk_channel(a, NULL);
	udp_talk_node_receive(a, channel, got, sizeof(got));
	/* Nobody has vouched for it: data is not let out, a cookie is. */
	udp_talk_transport(message, sizeof(message), app.index, 0);
	udp_talk_node_send(a, channel, message, sizeof(message));
	await_drops("unproven", 1);
	udp_talk_cookie(message, app.index);
	udp_talk_node_send(a, channel, message, UDP_TALK_COOKIE_BYTES);
	assert_int_equal(udp_app_receive(&app, got, sizeof(got)), UDP_TALK_COOKIE_BYTES);
	udp_talk_node_send(a, channel, message, UDP_TALK_COOKIE_BYTES);
	assert_int_equal(udp_app_receive(&app, got, sizeof(got)), UDP_TALK_COOKIE_BYTES);
	udp_talk_node_send(a, channel, message, UDP_TALK_COOKIE_BYTES); /* 192 of 148 bytes */
	await_drops("unproven", 2);
	/* A cookie vouches for nobody. */
	assert_int_equal(relay_fixture_counter(&relay, "udp_legs_total{event=\"validated\"}"), 0);
	/* With another initiation there is room for an answer, and for no more. */
	udp_talk_initiation(message, &key_a, app.index);
	udp_app_send(&app, message, UDP_TALK_INITIATION_BYTES);
	udp_talk_node_receive(a, channel, got, sizeof(got));
	udp_talk_response(message, &app.key, 11, app.index);
	udp_talk_node_send(a, channel, message, UDP_TALK_RESPONSE_BYTES);
	assert_int_equal(udp_talk_channel(a, session_1), channel);
	assert_int_equal(udp_app_receive(&app, got, sizeof(got)), UDP_TALK_RESPONSE_BYTES);
	udp_talk_transport(message, sizeof(message), app.index, 0);
	udp_talk_node_send(a, channel, message, sizeof(message));
	await_drops("unproven", 3);
	/* The answer has arrived: it is who it says. */
	udp_talk_exchange(a, channel, &app, 11, 0);
	assert_true(udp_app_is_quiet(&app, 50));
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* ---- T16 ---- */

/* U10: the same initiation a thousand times: a burst of five, then twenty a second. */
static void
test_U10_repeated_initiation_is_rationed(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	uint8_t message[UDP_TALK_INITIATION_BYTES];
	int64_t begin_ms = clock_monotonic_ms();

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	udp_talk_initiation(message, &key_a, app.index);
	for (int i = 0; i < 1000; i++)
		udp_app_send(&app, message, sizeof(message));
	await_drops("rate", 1);
	uint64_t passed;
	do /* until all thousand have been looked at */
		passed = relay_fixture_counter(&relay, "datagrams_total{type=\"initiation\"}");
	while (passed + drops("rate") < 1000);
	int64_t took_ms = clock_monotonic_ms() - begin_ms;
	assert_true(passed >= RELAY_UDP_BURST);
	assert_true(passed <= (uint64_t)(RELAY_UDP_BURST + took_ms * RELAY_UDP_RATE / 1000 + 1));
	udp_app_close(&app);
	raw_leg_close(&a);
}

static void
test_T16_flood_of_sources_costs_no_proven_leg_its_place(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	uint8_t message[UDP_TALK_INITIATION_BYTES];
	enum { SOURCES = 2 * RELAY_UDP_HALF_OPEN_NODE_MAX };
	uint32_t halves[SOURCES];

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	uint32_t channel = udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	for (unsigned i = 0; i < SOURCES; i++) {
		char address[INET_ADDRSTRLEN];
		struct udp_app other;
		uint8_t got[256];

		snprintf(address, sizeof(address), "127.%u.%u.7", 1 + i / 250, 1 + i % 250);
		other = udp_app_open(&relay, address, 0);
		udp_talk_initiation(message, &key_a, i);
		udp_app_send(&other, message, sizeof(message));
		uint32_t half = udp_talk_channel(a, NULL);
		udp_talk_node_receive(a, half, got, sizeof(got));
		halves[i] = half;
		if (i >= RELAY_UDP_HALF_OPEN_NODE_MAX) /* the oldest makes way */
			udp_talk_closed(a, halves[i - RELAY_UDP_HALF_OPEN_NODE_MAX]);
		udp_app_close(&other);
	}
	relay_fixture_await(&relay, "udp_legs_total{event=\"evicted\"}",
			    SOURCES - RELAY_UDP_HALF_OPEN_NODE_MAX);
	assert_int_equal(relay_fixture_counter(&relay, "legs{role=\"udp\"}"),
			 RELAY_UDP_HALF_OPEN_NODE_MAX + 1);
	udp_talk_exchange(a, channel, &app, 11, 1);
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* ---- T17 ---- */

/* An index that was guessed opens a leg of the guesser's own, which nobody answers; the client's
 * leg stays what it is. P08: no source is attached to a session before its node has answered it.
 * U20: ten a second until it is answered. */
static void
test_T17_guessed_index_moves_no_leg(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	struct udp_app thief = udp_app_open(&relay, "127.0.3.1", 0);
	uint8_t message[96], got[2048];

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	uint32_t channel = udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	udp_talk_transport(message, sizeof(message), 11, 900);
	udp_app_send(&thief, message, sizeof(message));
	uint32_t stolen = udp_talk_channel(a, NULL);
	assert_int_not_equal(stolen, channel);
	assert_int_equal(udp_talk_node_receive(a, stolen, got, sizeof(got)), sizeof(message));
	for (uint64_t i = 1; i < 20; i++)
		udp_talk_exchange(a, channel, &app, 11, i);
	assert_true(udp_app_is_quiet(&thief, 0));
	for (int i = 0; i < 100; i++)
		udp_app_send(&thief, message, sizeof(message));
	await_drops("rate", 80);
	assert_true(udp_app_is_quiet(&thief, 0));
	udp_app_close(&thief);
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* U48: the same index at two nodes opens nothing for a stranger, and each client keeps its own. */
static void
test_U48_same_index_at_two_nodes_crosses_nothing(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct raw_leg *b = raw_leg_open(&relay, node_b, NULL);
	struct udp_app one = udp_app_open(&relay, "127.0.1.1", 0);
	struct udp_app two = udp_app_open(&relay, "127.0.2.1", 0);
	struct udp_app moved = udp_app_open(&relay, "127.0.3.1", 0);
	uint8_t message[96];

	(void)state;
	bind_one(session_1, node_a, &key_a, &one);
	bind_one(session_2, node_b, &key_b, &two);
	uint32_t first = udp_talk_shake_hands(a, &key_a, &one, session_1, 4711);
	uint32_t second = udp_talk_shake_hands(b, &key_b, &two, session_2, 4711);
	udp_talk_exchange(a, first, &one, 4711, 1);
	udp_talk_exchange(b, second, &two, 4711, 1);
	udp_talk_transport(message, sizeof(message), 4711, 2);
	udp_app_send(&moved, message, sizeof(message));
	await_drops("index", 1);
	assert_true(raw_leg_is_quiet(a, 20));
	assert_true(raw_leg_is_quiet(b, 20));
	udp_app_close(&one);
	udp_app_close(&two);
	udp_app_close(&moved);
	raw_leg_close(&a);
	raw_leg_close(&b);
}

/* U50: a client that uses another session's index on its own leg. */
static void
test_U50_index_of_another_session_is_dropped(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app one = udp_app_open(&relay, "127.0.1.1", 0);
	struct udp_app two = udp_app_open(&relay, "127.0.2.1", 0);
	uint8_t message[96];

	(void)state;
	bind_one(session_1, node_a, &key_a, &one);
	bind_one(session_2, node_a, &key_a, &two);
	udp_talk_shake_hands(a, &key_a, &one, session_1, 11);
	uint32_t second = udp_talk_shake_hands(a, &key_a, &two, session_2, 12);
	udp_talk_transport(message, sizeof(message), 12, 9);
	udp_app_send(&one, message, sizeof(message));
	await_drops("index", 1);
	udp_talk_exchange(a, second, &two, 12, 1);
	udp_app_close(&one);
	udp_app_close(&two);
	raw_leg_close(&a);
}

/* ---- T18 ---- */

static size_t
fill_shape(uint8_t *to, uint8_t type, size_t n)
{
	memset(to, 0x5a, n);
	memset(to, 0, n < 4 ? n : 4);
	to[0] = type;
	return n;
}

/* P08: the only session there is is not the stranger's. */
static void
test_T18_junk_reaches_no_node(void **state)
{
	/* U02 U04 U06 U08 U12 U14 U16 U18 U22 U36, and U38 to U44: there is no registration. */
	static const struct {
		uint8_t type;
		size_t n;
		const char *reason;
	} rows[] = {
		{ 1, 1, "short" },    { 1, 2, "short" },    { 4, 3, "short" },
		{ 5, 148, "type" },   { 255, 148, "type" }, { 0, 64, "type" },
		{ 1, 147, "length" }, { 1, 149, "length" }, { 2, 91, "length" },
		{ 2, 93, "length" },  { 4, 33, "length" },  { 1, 148, "mac1" },
		{ 2, 92, "index" },   { 3, 64, "index" },   { 4, 128, "index" },
		{ 0x16, 80, "type" }, { 0x30, 48, "type" }, { 0x17, 48, "type" },
	};
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	struct udp_app stranger = udp_app_open(&relay, "127.0.5.1", 0);
	uint8_t message[256];

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t before = drops(rows[i].reason);

		udp_app_send(&stranger, message, fill_shape(message, rows[i].type, rows[i].n));
		await_drops(rows[i].reason, before + 1);
	}
	/* mac1 of a node that is not served here; reserved bytes; nothing at all. */
	uint64_t before = drops("mac1");
	udp_talk_initiation(message, &key_b, 1);
	udp_app_send(&stranger, message, UDP_TALK_INITIATION_BYTES);
	await_drops("mac1", before + 1);
	udp_talk_initiation(message, &key_a, 1);
	message[2] = 1;
	udp_app_send(&stranger, message, UDP_TALK_INITIATION_BYTES);
	await_drops("reserved", 1);
	before = drops("short");
	udp_app_send(&stranger, message, 0);
	await_drops("short", before + 1);
	assert_true(raw_leg_is_quiet(a, 50));
	assert_true(udp_app_is_quiet(&stranger, 0));
	udp_app_close(&stranger);
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* The same from one who has a leg: it helps nothing. */
static void
test_T18_junk_of_a_known_source_reaches_no_node(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	static uint8_t message[65507];

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	uint32_t channel = udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	udp_talk_initiation(message, &key_b, app.index); /* U08 */
	udp_app_send(&app, message, UDP_TALK_INITIATION_BYTES);
	await_drops("mac1", 1);
	udp_talk_response(message, &key_b, app.index, 11); /* U14 */
	udp_app_send(&app, message, UDP_TALK_RESPONSE_BYTES);
	await_drops("mac1", 2);
	udp_talk_cookie(message, 99); /* U16 */
	udp_app_send(&app, message, UDP_TALK_COOKIE_BYTES);
	await_drops("index", 1);
	udp_talk_transport(message, 64, 11, UINT64_MAX - 8192); /* U22 */
	udp_app_send(&app, message, 64);
	await_drops("counter", 1);
	fill_shape(message, 4, sizeof(message)); /* U24 */
	udp_app_send(&app, message, sizeof(message));
	await_drops("size", 1);
	assert_true(raw_leg_is_quiet(a, 50));
	udp_talk_exchange(a, channel, &app, 11, 5);
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* What a node says is looked at, too: an answer for none of its sessions goes to nobody. */
static void
test_answer_for_no_session_goes_to_nobody(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	uint8_t message[UDP_TALK_INITIATION_BYTES], got[256];

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	udp_talk_initiation(message, &key_a, app.index);
	udp_app_send(&app, message, sizeof(message));
	uint32_t channel = udp_talk_channel(a, NULL);
	udp_talk_node_receive(a, channel, got, sizeof(got));
	udp_talk_response(message, &key_b, 11, app.index);
	udp_talk_node_send(a, channel, message, UDP_TALK_RESPONSE_BYTES);
	await_drops("mac1", 1);
	assert_true(udp_app_is_quiet(&app, 20));
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* ---- the socket ---- */

/* U54: a client whose port is gone answers with ICMP errors. U60 is the same from the sender's
 * side: what the system does not take is counted or lost, and nothing stops. */
static void
test_U54_unreachable_client_disturbs_nobody(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	struct udp_app gone = udp_app_open(&relay, "127.0.2.1", 0);
	uint8_t message[128];

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	bind_one(session_2, node_a, &key_a, &gone);
	uint32_t channel = udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	uint32_t dead = udp_talk_shake_hands(a, &key_a, &gone, session_2, 12);
	udp_app_close(&gone);
	for (unsigned i = 0; i < 200; i++) {
		udp_talk_transport(message, sizeof(message), gone.index, i);
		udp_talk_node_send(a, dead, message, sizeof(message));
	}
	for (uint64_t i = 1; i < 20; i++)
		udp_talk_exchange(a, channel, &app, 11, i);
	assert_int_equal(relay_fixture_counter(&relay, "legs{role=\"udp\"}"), 2);
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* U56: datagrams of mixed sizes, sent and joined as one bundle, arrive as they were. */
static void
test_U56_bundle_is_split_as_it_was_sent(void **state)
{
	static const size_t sizes[] = { 1312, 1312, 1312, 96, 1312, 32, 32, 640, 1312 };
	enum { COUNT = sizeof(sizes) / sizeof(*sizes) };
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	uint8_t message[LEG_MESSAGE_MAX_BYTES], got[2048];
	uint8_t datagrams[COUNT][1312];
	struct leg_writer writer;

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	uint32_t channel = udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	/* Down: one message of the node, runs of equal size are one send. */
	leg_writer_init(&writer, true, channel, message, sizeof(message));
	for (size_t i = 0; i < COUNT; i++) {
		udp_talk_transport(datagrams[i], sizes[i], app.index, i);
		assert_int_equal(leg_writer_add(&writer, datagrams[i], sizes[i]), 0);
	}
	assert_true(raw_leg_send(a, 0x82, message, writer.n));
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(udp_app_receive(&app, got, sizeof(got)), sizes[i]);
		assert_memory_equal(got, datagrams[i], sizes[i]);
	}
	/* Up: what the kernel joined on its way. */
	struct iovec parts[3] = { { datagrams[0], 1312 },
				  { datagrams[1], 1312 },
				  { datagrams[3], 96 } };
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control = { .bytes = { 0 } };
	struct msghdr header = { .msg_iov = parts,
				 .msg_iovlen = 3,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	const uint16_t segment = 1312;
	for (size_t i = 0; i < 4; i++)
		udp_talk_transport(datagrams[i], sizes[i], 11, 50 + i);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = 103; /* UDP_SEGMENT */
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	assert_int_equal(sendmsg(app.fd, &header, 0), 1312 + 1312 + 96);
	struct leg_reader reader;
	struct raw_frame frame;
	const uint8_t *datagram;
	size_t n, seen = 0;
	static const size_t order[] = { 0, 1, 3 };
	while (seen < 3) {
		assert_true(raw_leg_receive(a, &frame));
		assert_int_equal(leg_reader_init(&reader, true, frame.payload, frame.n), 0);
		while (leg_reader_next(&reader, &datagram, &n) == 1) {
			assert_int_equal(n, sizes[order[seen]]);
			assert_memory_equal(datagram, datagrams[order[seen]], n);
			seen++;
		}
	}
	udp_app_close(&app);
	raw_leg_close(&a);
}

/* U58: a mark of congestion on the way is no reason to fall. */
static void
test_U58_congestion_mark_is_taken(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	int congestion_experienced = 3;

	(void)state;
	bind_one(session_1, node_a, &key_a, &app);
	assert_int_equal(setsockopt(app.fd, IPPROTO_IP, IP_TOS, &congestion_experienced,
				    sizeof(congestion_experienced)),
			 0);
	udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	udp_app_close(&app);
	raw_leg_close(&a);
}

#define UDP_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		UDP_TEST(test_clients_of_two_nodes_share_the_port),
		UDP_TEST(test_legs_outlive_their_nodes_leg),
		UDP_TEST(test_client_that_moves_goes_on_at_once),
		UDP_TEST(test_client_of_a_websocket_leg_goes_on_by_udp),
		UDP_TEST(test_closed_session_loses_its_legs),
		UDP_TEST(test_session_that_ends_loses_its_legs),
		UDP_TEST(test_binding_that_makes_no_sense_is_refused),
		cmocka_unit_test_setup_teardown(test_relay_without_udp_says_so, set_up_deaf,
						tear_down),
		cmocka_unit_test_setup_teardown(test_U52_more_than_the_sessions_rate_is_dropped,
						set_up_slow, tear_down),
		UDP_TEST(test_T15_unproven_source_is_sent_no_more_than_it_sent),
		UDP_TEST(test_U10_repeated_initiation_is_rationed),
		UDP_TEST(test_T16_flood_of_sources_costs_no_proven_leg_its_place),
		UDP_TEST(test_T17_guessed_index_moves_no_leg),
		UDP_TEST(test_U48_same_index_at_two_nodes_crosses_nothing),
		UDP_TEST(test_U50_index_of_another_session_is_dropped),
		UDP_TEST(test_T18_junk_reaches_no_node),
		UDP_TEST(test_T18_junk_of_a_known_source_reaches_no_node),
		UDP_TEST(test_answer_for_no_session_goes_to_nobody),
		UDP_TEST(test_U54_unreachable_client_disturbs_nobody),
		UDP_TEST(test_U56_bundle_is_split_as_it_was_sent),
		UDP_TEST(test_U58_congestion_mark_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
