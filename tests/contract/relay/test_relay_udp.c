/*
 * Stock WireGuard apps on one UDP port: how it should go, and how sessions end. One shard; the node
 * is a raw leg. U52.
 */
#include "udp_rig.h"

#include "leg_talk.h"
#include "relay/relay_udp_flow.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

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
	udp_rig_bind(session_1, node_a, &key_a, &one);
	udp_rig_bind(session_2, node_a, &key_a, &two);
	udp_rig_bind(session_3, node_b, &key_b, &three);
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
	struct udp_pair pair = udp_rig_open_proven();

	(void)state;
	raw_leg_close(&pair.node);
	relay_fixture_await(&relay, "legs{role=\"udp\"}", 1);
	pair.node = raw_leg_open(&relay, node_a, NULL);
	pair.channel = udp_talk_channel(pair.node, session_1);
	udp_rig_exchange(&pair, 1);
	udp_rig_close(&pair);
}

/* F26, U20: a client that moved is a new leg, which its node's answer makes good. */
static void
test_client_that_moves_goes_on_at_once(void **state)
{
	struct udp_pair pair = udp_rig_open_proven();
	uint8_t message[128], got[256];

	(void)state;
	for (unsigned i = 0; i < 2 * RELAY_UDP_FLOWS_SESSION_MAX; i++) {
		char address[INET_ADDRSTRLEN];

		snprintf(address, sizeof(address), "127.0.%u.1", 10 + i);
		struct udp_app moved = udp_app_open(&relay, address, 0);
		moved.index = pair.app.index;
		udp_talk_transport(message, sizeof(message), pair.index, 100 + i);
		udp_app_send(&moved, message, sizeof(message));
		uint32_t channel = udp_talk_channel(pair.node, NULL);
		assert_int_equal(udp_talk_node_receive(pair.node, channel, got, sizeof(got)),
				 sizeof(message));
		udp_talk_transport(message, sizeof(message), pair.app.index, 100 + i);
		udp_talk_node_send(pair.node, channel, message, sizeof(message));
		assert_int_equal(udp_talk_channel(pair.node, session_1), channel);
		if (i + 1 >= RELAY_UDP_FLOWS_SESSION_MAX) { /* where it was long ago goes */
			Boson__Link__Control *control = leg_talk_control(pair.node);
			assert_int_equal(control->body_case,
					 BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE);
			boson__link__control__free_unpacked(control, NULL);
		}
		assert_int_equal(udp_app_receive(&moved, got, sizeof(got)), sizeof(message));
		udp_talk_exchange(pair.node, channel, &moved, pair.index, 200 + i);
		udp_app_close(&moved);
	}
	udp_rig_close(&pair);
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
	udp_rig_bind(session_1, node_a, &key_a, &app); /* after the handshake, as higgs does */
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
	struct udp_pair pair = udp_rig_open_proven();
	uint8_t message[128];

	(void)state;
	assert_int_equal(udp_talk_unbind(&relay, session_1), BUS_OK);
	udp_talk_closed(pair.node, pair.channel);
	assert_int_equal(udp_talk_unbind(&relay, session_1), BUS_OK);
	udp_talk_transport(message, sizeof(message), pair.index, 5);
	udp_app_send(&pair.app, message, sizeof(message));
	udp_rig_await_drops("index", 1);
	assert_true(raw_leg_is_quiet(pair.node, 50));
	udp_rig_close(&pair);
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
	assert_int_equal(udp_talk_bind(&relay, session_1, node_a, &key_a, &app.key, UDP_RIG_HOUR_MS,
				       "nowhere"),
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
	assert_int_equal(
		udp_talk_bind(&relay, session_1, node_a, &key, &key, UDP_RIG_HOUR_MS, NULL),
		BUS_UNAVAILABLE);
	assert_int_equal(udp_talk_unbind(&relay, session_1), BUS_UNAVAILABLE);
}

static int
set_up_slow(void **state)
{
	(void)state;
	udp_rig_start("rate = 8000");
	return 0;
}

static void
test_U52_more_than_the_sessions_rate_is_dropped(void **state)
{
	struct udp_pair pair = udp_rig_open_proven();
	uint8_t message[1312];

	(void)state;
	for (uint64_t i = 1; i < 200; i++) {
		udp_talk_transport(message, sizeof(message), pair.index, i);
		udp_app_send(&pair.app, message, sizeof(message));
	}
	udp_rig_await_drops("quota", 100);
	udp_rig_close(&pair);
}

#define UDP_TEST(test) cmocka_unit_test_setup_teardown(test, udp_rig_set_up, udp_rig_tear_down)

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
						udp_rig_tear_down),
		cmocka_unit_test_setup_teardown(test_U52_more_than_the_sessions_rate_is_dropped,
						set_up_slow, udp_rig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
