/*
 * Strangers and clients of one UDP port that do what stock WireGuard apps do not: whose datagrams
 * they are, who may answer whom, and what a stranger gets: nothing. One shard; the node is a raw
 * leg. T15 T16 T17; U10 U20 U46 U48 U50.
 */
#include "leg_talk.h"
#include "udp_rig.h"

#include "loop/clock.h"
#include "relay/relay_udp_flow.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

/* ---- T15 ---- */

static void
test_T15_unproven_source_is_sent_no_more_than_it_sent(void **state)
{
	struct udp_pair pair = udp_rig_open();
	uint8_t message[1312], got[2048];

	(void)state; /* U46 */
	udp_talk_initiation(message, &key_a, pair.app.index);
	udp_app_send(&pair.app, message, UDP_TALK_INITIATION_BYTES);
	pair.channel = udp_talk_channel(pair.node, NULL);
	udp_talk_node_receive(pair.node, pair.channel, got, sizeof(got));
	/* A node's own initiation answers nothing, though it would fit. */
	udp_talk_initiation(message, &pair.app.key, pair.index);
	udp_talk_node_send(pair.node, pair.channel, message, UDP_TALK_INITIATION_BYTES);
	udp_rig_await_drops("unproven", 1);
	/* Nobody has vouched for it: data is not let out, a cookie is. */
	udp_talk_transport(message, sizeof(message), pair.app.index, 0);
	udp_talk_node_send(pair.node, pair.channel, message, sizeof(message));
	udp_rig_await_drops("unproven", 2);
	udp_talk_cookie(message, pair.app.index);
	udp_talk_node_send(pair.node, pair.channel, message, UDP_TALK_COOKIE_BYTES);
	assert_int_equal(udp_app_receive(&pair.app, got, sizeof(got)), UDP_TALK_COOKIE_BYTES);
	udp_talk_node_send(pair.node, pair.channel, message, UDP_TALK_COOKIE_BYTES);
	assert_int_equal(udp_app_receive(&pair.app, got, sizeof(got)), UDP_TALK_COOKIE_BYTES);
	/* 192 of 148 bytes */
	udp_talk_node_send(pair.node, pair.channel, message, UDP_TALK_COOKIE_BYTES);
	udp_rig_await_drops("unproven", 3);
	/* A cookie vouches for nobody. */
	assert_int_equal(relay_fixture_counter(&relay, "udp_legs_total{event=\"validated\"}"), 0);
	/* With another initiation there is room for an answer, and for no more. */
	udp_talk_initiation(message, &key_a, pair.app.index);
	udp_app_send(&pair.app, message, UDP_TALK_INITIATION_BYTES);
	udp_talk_node_receive(pair.node, pair.channel, got, sizeof(got));
	udp_talk_response(message, &pair.app.key, pair.index, pair.app.index);
	udp_talk_node_send(pair.node, pair.channel, message, UDP_TALK_RESPONSE_BYTES);
	assert_int_equal(udp_talk_channel(pair.node, session_1), pair.channel);
	assert_int_equal(udp_app_receive(&pair.app, got, sizeof(got)), UDP_TALK_RESPONSE_BYTES);
	udp_talk_transport(message, sizeof(message), pair.app.index, 0);
	udp_talk_node_send(pair.node, pair.channel, message, sizeof(message));
	udp_rig_await_drops("unproven", 4);
	/* Another initiation says nothing of whether the answer arrived there. */
	udp_talk_initiation(message, &key_a, pair.app.index);
	udp_app_send(&pair.app, message, UDP_TALK_INITIATION_BYTES);
	udp_talk_node_receive(pair.node, pair.channel, got, sizeof(got));
	udp_talk_transport(message, sizeof(message), pair.app.index, 0);
	udp_talk_node_send(pair.node, pair.channel, message, sizeof(message));
	udp_rig_await_drops("unproven", 5);
	/* The answer has arrived: it is who it says. */
	udp_rig_exchange(&pair, 0);
	assert_true(udp_app_is_quiet(&pair.app, 50));
	udp_rig_close(&pair);
}

/* ---- T16 ---- */

/* U10: the same initiation a thousand times: a burst of five, then twenty a second. */
static void
test_U10_repeated_initiation_is_rationed(void **state)
{
	struct udp_pair pair = udp_rig_open();
	uint8_t message[UDP_TALK_INITIATION_BYTES];
	int64_t begin_ms = clock_monotonic_ms();

	(void)state;
	udp_talk_initiation(message, &key_a, pair.app.index);
	for (int i = 0; i < 1000; i++)
		udp_app_send(&pair.app, message, sizeof(message));
	udp_rig_await_drops("rate", 1);
	uint64_t passed;
	do /* until all thousand have been looked at */
		passed = relay_fixture_counter(&relay, "datagrams_total{type=\"initiation\"}");
	while (passed + udp_rig_drops("rate") < 1000);
	int64_t took_ms = clock_monotonic_ms() - begin_ms;
	assert_true(passed >= RELAY_UDP_BURST);
	assert_true(passed <= (uint64_t)(RELAY_UDP_BURST + took_ms * RELAY_UDP_RATE / 1000 + 1));
	udp_rig_close(&pair);
}

/* Whether there is a leg for the source, which costs the oldest its place if there is one too many;
 * else it was asked to show that it is there. */
static bool
opens_leg(const struct udp_pair *pair, const struct udp_app *source, uint32_t *channels, unsigned n)
{
	static const char opened[] = "udp_legs_total{event=\"opened\"}";
	uint8_t message[UDP_TALK_INITIATION_BYTES], got[256];
	uint64_t before = relay_fixture_counter(&relay, opened);
	uint64_t cookies = relay_fixture_counter(&relay, "udp_cookies_total");

	udp_talk_initiation(message, &key_a, source->index);
	udp_app_send(source, message, sizeof(message));
	do
		if (relay_fixture_counter(&relay, "udp_cookies_total") != cookies)
			return false;
	while (relay_fixture_counter(&relay, opened) == before);
	channels[n] = udp_talk_channel(pair->node, NULL);
	udp_talk_node_receive(pair->node, channels[n], got, sizeof(got));
	if (n >= RELAY_UDP_HALF_OPEN_NODE_MAX)
		udp_talk_closed(pair->node, channels[n - RELAY_UDP_HALF_OPEN_NODE_MAX]);
	return true;
}

static void
test_T16_flood_of_sources_costs_no_proven_leg_its_place(void **state)
{
	enum { SOURCES = 2 * RELAY_UDP_HALF_OPEN_NODE_MAX };
	struct udp_pair pair = udp_rig_open_proven();
	uint32_t channels[SOURCES];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < SOURCES; i++) {
		char address[INET_ADDRSTRLEN];

		snprintf(address, sizeof(address), "127.%u.%u.7", 1 + i / 250, 1 + i % 250);
		struct udp_app other = udp_app_open(&relay, address, 0);
		n += opens_leg(&pair, &other, channels, n);
		udp_app_close(&other);
	}
	assert_true(n >= RELAY_UDP_HALF_OPEN_NODE_MAX);
	assert_int_equal(relay_fixture_counter(&relay, "udp_legs_total{event=\"evicted\"}"),
			 n - RELAY_UDP_HALF_OPEN_NODE_MAX);
	assert_int_equal(relay_fixture_counter(&relay, "legs{role=\"udp\"}"),
			 RELAY_UDP_HALF_OPEN_NODE_MAX + 1);
	udp_rig_exchange(&pair, 1);
	udp_rig_close(&pair);
}

/* Whoever knows an index opens legs of one prefix at the rate of anybody, from any ports. */
static void
test_T16_strangers_with_an_index_are_rationed_by_prefix(void **state)
{
	enum { STRANGERS = 40 };
	struct udp_pair pair = udp_rig_open_proven();
	uint8_t message[96];

	(void)state;
	udp_talk_transport(message, sizeof(message), pair.index, 900);
	for (unsigned i = 0; i < STRANGERS; i++) {
		struct udp_app stranger = udp_app_open(&relay, "127.0.7.1", 0);
		udp_app_send(&stranger, message, sizeof(message));
		udp_app_close(&stranger);
	}
	udp_rig_await_drops("rate", STRANGERS / 2);
	udp_rig_close(&pair);
}

/* ---- T17 ---- */

/* An index that was guessed opens a leg of the guesser's own, which nobody answers; the client's
 * leg stays what it is. P08: no source is attached to a session before its node has answered it.
 * U20: ten a second until it is answered. */
static void
test_T17_guessed_index_moves_no_leg(void **state)
{
	struct udp_pair pair = udp_rig_open_proven();
	struct udp_app thief = udp_app_open(&relay, "127.0.3.1", 0);
	uint8_t message[96], got[2048];

	(void)state;
	udp_talk_transport(message, sizeof(message), pair.index, 900);
	udp_app_send(&thief, message, sizeof(message));
	uint32_t stolen = udp_talk_channel(pair.node, NULL);
	assert_int_not_equal(stolen, pair.channel);
	assert_int_equal(udp_talk_node_receive(pair.node, stolen, got, sizeof(got)),
			 sizeof(message));
	for (uint64_t i = 1; i < 20; i++)
		udp_rig_exchange(&pair, i);
	assert_true(udp_app_is_quiet(&thief, 0));
	for (int i = 0; i < 100; i++)
		udp_app_send(&thief, message, sizeof(message));
	udp_rig_await_drops("rate", 80);
	assert_true(udp_app_is_quiet(&thief, 0));
	udp_app_close(&thief);
	udp_rig_close(&pair);
}

/* An index that many sources use is known to too many: each beyond the 64 that may be half open is
 * counted as an alarm, and costs one of its own kind its place. */
static void
test_T17_index_that_many_use_raises_an_alarm(void **state)
{
	enum { BEYOND = 7, THIEVES = RELAY_UDP_HALF_OPEN_SESSION_MAX + BEYOND };
	struct udp_pair pair = udp_rig_open_proven();
	uint8_t message[96], got[256];

	(void)state;
	for (unsigned i = 0; i < THIEVES; i++) {
		char address[INET_ADDRSTRLEN];

		snprintf(address, sizeof(address), "127.1.%u.7", 1 + i);
		struct udp_app thief = udp_app_open(&relay, address, 0);
		udp_talk_transport(message, sizeof(message), pair.index, 900 + i);
		udp_app_send(&thief, message, sizeof(message));
		udp_talk_node_receive(pair.node, udp_talk_channel(pair.node, NULL), got,
				      sizeof(got));
		if (i + 1 == RELAY_UDP_HALF_OPEN_SESSION_MAX)
			assert_int_equal(relay_fixture_counter(&relay, "udp_alarms_total"), 0);
		if (i >= RELAY_UDP_HALF_OPEN_SESSION_MAX) {
			Boson__Link__Control *control = leg_talk_control(pair.node);
			assert_int_equal(control->body_case,
					 BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE);
			assert_int_not_equal(control->channel_close->channel, pair.channel);
			boson__link__control__free_unpacked(control, NULL);
		}
		udp_app_close(&thief);
	}
	assert_int_equal(relay_fixture_counter(&relay, "udp_alarms_total"), BEYOND);
	assert_int_equal(relay_fixture_counter(&relay, "legs{role=\"udp\"}"),
			 RELAY_UDP_HALF_OPEN_SESSION_MAX + 1);
	udp_rig_exchange(&pair, 1);
	udp_rig_close(&pair);
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
	udp_rig_bind(session_1, node_a, &key_a, &one);
	udp_rig_bind(session_2, node_b, &key_b, &two);
	uint32_t first = udp_talk_shake_hands(a, &key_a, &one, session_1, 4711);
	uint32_t second = udp_talk_shake_hands(b, &key_b, &two, session_2, 4711);
	udp_talk_exchange(a, first, &one, 4711, 1);
	udp_talk_exchange(b, second, &two, 4711, 1);
	udp_talk_transport(message, sizeof(message), 4711, 2);
	udp_app_send(&moved, message, sizeof(message));
	udp_rig_await_drops("index", 1);
	assert_true(raw_leg_is_quiet(a, 20));
	assert_true(raw_leg_is_quiet(b, 20));
	udp_app_close(&one);
	udp_app_close(&two);
	udp_app_close(&moved);
	raw_leg_close(&a);
	raw_leg_close(&b);
}

/* U48: nor does a half-open leg of one node become that of another node's session. */
static void
test_U48_index_of_another_node_is_none_here(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct raw_leg *b = raw_leg_open(&relay, node_b, NULL);
	struct udp_app one = udp_app_open(&relay, "127.0.1.1", 0);
	struct udp_app two = udp_app_open(&relay, "127.0.2.1", 0);
	uint8_t message[UDP_TALK_INITIATION_BYTES], got[256];

	(void)state;
	udp_rig_bind(session_1, node_a, &key_a, &one);
	udp_rig_bind(session_2, node_b, &key_b, &two);
	uint32_t second = udp_talk_shake_hands(b, &key_b, &two, session_2, 12);
	udp_talk_initiation(message, &key_a, one.index);
	udp_app_send(&one, message, sizeof(message));
	udp_talk_node_receive(a, udp_talk_channel(a, NULL), got, sizeof(got));
	udp_talk_transport(message, 96, 12, 9);
	udp_app_send(&one, message, 96);
	udp_rig_await_drops("index", 1);
	assert_true(raw_leg_is_quiet(a, 0));
	udp_talk_exchange(b, second, &two, 12, 1);
	udp_app_close(&one);
	udp_app_close(&two);
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
	udp_rig_bind(session_1, node_a, &key_a, &one);
	udp_rig_bind(session_2, node_a, &key_a, &two);
	udp_talk_shake_hands(a, &key_a, &one, session_1, 11);
	uint32_t second = udp_talk_shake_hands(a, &key_a, &two, session_2, 12);
	udp_talk_transport(message, sizeof(message), 12, 9);
	udp_app_send(&one, message, sizeof(message));
	udp_rig_await_drops("index", 1);
	udp_talk_exchange(a, second, &two, 12, 1);
	udp_app_close(&one);
	udp_app_close(&two);
	raw_leg_close(&a);
}

/* A half-open leg is nobody's yet: one that a stranger opened in a client's name, for another node,
 * is not in the client's way; junk that is for no node takes nobody's. */
static void
test_T17_half_open_leg_of_another_node_is_in_nobodys_way(void **state)
{
	struct raw_leg *a = raw_leg_open(&relay, node_a, NULL);
	struct raw_leg *b = raw_leg_open(&relay, node_b, NULL);
	struct udp_app app = udp_app_open(&relay, "127.0.1.1", 0);
	struct udp_app other = udp_app_open(&relay, "127.0.2.1", 0);
	struct key nobody = { .bytes = { 7 } };
	uint8_t message[UDP_TALK_INITIATION_BYTES], got[256];

	(void)state;
	udp_rig_bind(session_1, node_a, &key_a, &app);
	udp_rig_bind(session_2, node_b, &key_b, &other);
	udp_talk_initiation(message, &key_b, 5);
	udp_app_send(&app, message, sizeof(message));
	uint32_t channel = udp_talk_channel(b, NULL);
	udp_talk_node_receive(b, channel, got, sizeof(got));
	udp_talk_initiation(message, &nobody, 6);
	udp_app_send(&app, message, sizeof(message));
	udp_rig_await_drops("mac1", 1);
	assert_true(raw_leg_is_quiet(b, 0));
	uint32_t mine = udp_talk_shake_hands(a, &key_a, &app, session_1, 11);
	udp_talk_closed(b, channel);
	udp_talk_exchange(a, mine, &app, 11, 1);
	udp_app_close(&app);
	udp_app_close(&other);
	raw_leg_close(&a);
	raw_leg_close(&b);
}

/* Forged initiations with a wrong mac1 do not use up what a client's own may: WireGuard needs one
 * every two minutes. */
static void
test_T18_junk_in_a_clients_name_costs_it_no_handshake(void **state)
{
	struct udp_pair pair = udp_rig_open_proven();
	uint8_t message[UDP_TALK_INITIATION_BYTES], got[256];

	(void)state;
	udp_talk_initiation(message, &key_b, pair.app.index);
	for (unsigned i = 0; i < 200; i++)
		udp_app_send(&pair.app, message, sizeof(message));
	udp_talk_initiation(message, &key_a, pair.app.index);
	udp_app_send(&pair.app, message, sizeof(message));
	udp_rig_await_drops("mac1", 200);
	assert_int_equal(udp_talk_node_receive(pair.node, pair.channel, got, sizeof(got)),
			 sizeof(message));
	assert_int_equal(udp_rig_drops("rate"), 0);
	udp_rig_close(&pair);
}

#define UDP_TEST(test) cmocka_unit_test_setup_teardown(test, udp_rig_set_up, udp_rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		UDP_TEST(test_T15_unproven_source_is_sent_no_more_than_it_sent),
		UDP_TEST(test_U10_repeated_initiation_is_rationed),
		UDP_TEST(test_T16_flood_of_sources_costs_no_proven_leg_its_place),
		UDP_TEST(test_T16_strangers_with_an_index_are_rationed_by_prefix),
		UDP_TEST(test_T17_guessed_index_moves_no_leg),
		UDP_TEST(test_T17_index_that_many_use_raises_an_alarm),
		UDP_TEST(test_U48_same_index_at_two_nodes_crosses_nothing),
		UDP_TEST(test_U48_index_of_another_node_is_none_here),
		UDP_TEST(test_U50_index_of_another_session_is_dropped),
		UDP_TEST(test_T17_half_open_leg_of_another_node_is_in_nobodys_way),
		UDP_TEST(test_T18_junk_in_a_clients_name_costs_it_no_handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
