/*
 * Stock WireGuard apps at another relay than their node's: whole relays, real sockets, the mesh
 * between them over ipc; discovery and routing are stand-ins.
 */
#include "leg_talk.h"
#include "relay_group.h"
#include "udp_talk.h"

#include "relay/relay_control.h"
#include "relay/relay_udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static const uint8_t node_id[UUID_BYTES] = { 0x11, [6] = 0x40, [8] = 0x80, [15] = 1 };
static const uint8_t session_a[UUID_BYTES] = { 0x22, [6] = 0x40, [8] = 0x80, [15] = 2 };
static const uint8_t session_b[UUID_BYTES] = { 0x33, [6] = 0x40, [8] = 0x80, [15] = 3 };

enum { EDGE = 0, HOME = 1, OTHER = 2, HOUR_MS = 3600 * 1000 };

static struct relay_group group;
static struct key node_key;

static int
set_up_with(const char *settings)
{
	struct key secret;

	relay_group_start(&group, 3, false, settings);
	assert_int_equal(key_generate(&secret), 0);
	assert_int_equal(key_public(&secret, &node_key), 0);
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	return set_up_with("udp_listen = 127.0.0.1:0\ndrain = 30s\ngrace = 20s");
}

static int
set_up_shards(void **state)
{
	(void)state;
	return set_up_with("udp_listen = 127.0.0.1:0\nshards = 2\ndrain = 30s\ngrace = 20s");
}

static int
set_up_short_drain(void **state)
{
	(void)state;
	return set_up_with("udp_listen = 127.0.0.1:0\ndrain = 300ms\ngrace = 20s");
}

static int
tear_down(void **state)
{
	(void)state;
	relay_group_stop(&group);
	return 0;
}

static void
bind_at(unsigned at, const uint8_t session_id[UUID_BYTES], const struct udp_app *app)
{
	assert_int_equal(udp_talk_bind(&group.relays[at], session_id, node_id, &node_key, &app->key,
				       HOUR_MS, NULL),
			 BUS_OK);
}

/* The app came from another source: a transport message with its node's index, and an answer. */
static uint32_t
move(struct raw_leg *node, const struct udp_app *moved, uint32_t node_index, uint64_t counter)
{
	uint8_t message[128], got[256];

	udp_talk_transport(message, sizeof(message), node_index, counter);
	udp_app_send(moved, message, sizeof(message));
	uint32_t channel = udp_talk_channel(node, NULL);
	assert_int_equal(udp_talk_node_receive(node, channel, got, sizeof(got)), sizeof(message));
	udp_talk_transport(message, sizeof(message), moved->index, counter);
	udp_talk_node_send(node, channel, message, sizeof(message));
	assert_int_equal(udp_talk_channel(node, session_a), channel);
	assert_int_equal(udp_app_receive(moved, got, sizeof(got)), sizeof(message));
	return channel;
}

/* F26 by way of two relays, and F04: both legs are there beside each other, and go with their node
 * to another relay. */
static void
test_legs_of_one_session_stand_side_by_side(void **state)
{
	struct raw_leg *node = relay_group_open_node(&group, node_id, HOME);
	struct udp_app one = udp_app_open(&group.relays[EDGE], "127.0.1.1", 0);
	struct udp_app moved = udp_app_open(&group.relays[EDGE], "127.0.2.1", 0);

	(void)state;
	moved.index = one.index;
	bind_at(EDGE, session_a, &one);
	uint32_t first = udp_talk_shake_hands(node, &node_key, &one, session_a, 11);
	udp_talk_exchange(node, first, &one, 11, 1);
	uint32_t second = move(node, &moved, 11, 100);
	for (uint64_t i = 2; i < 20; i++) {
		udp_talk_exchange(node, second, &moved, 11, 100 + i);
		udp_talk_exchange(node, first, &one, 11, i);
	}
	assert_int_equal(relay_fixture_counter(&group.relays[HOME], "mesh_clients"), 2);
	relay_group_await_hearing(&group, EDGE, OTHER);
	struct raw_leg *newer = relay_group_open_node(&group, node_id, OTHER);
	first = udp_talk_channel(newer, session_a);
	second = udp_talk_channel(newer, session_a);
	assert_int_not_equal(first, second);
	for (uint64_t i = 20; i < 30; i++) {
		udp_talk_exchange(newer, first, &one, 11, i);
		udp_talk_exchange(newer, second, &moved, 11, 100 + i);
	}
	assert_int_equal(relay_fixture_counter(&group.relays[OTHER], "mesh_clients"), 2);
	udp_app_close(&one);
	udp_app_close(&moved);
	raw_leg_close(&node);
	raw_leg_close(&newer);
}

/* A WebSocket leg at home and UDP legs elsewhere: none takes the other's place, and all end with
 * their session. */
static void
test_udp_legs_take_no_place_of_a_websocket_leg(void **state)
{
	struct raw_leg *node = relay_group_open_node(&group, node_id, HOME);
	struct raw_leg *client = raw_leg_open(&group.relays[HOME], node_id, session_a);
	uint32_t channel = udp_talk_channel(node, session_a);
	struct udp_app app = udp_app_open(&group.relays[EDGE], "127.0.1.1", 0);

	(void)state;
	bind_at(EDGE, session_a, &app);
	uint32_t by_udp = udp_talk_shake_hands(node, &node_key, &app, session_a, 11);
	udp_talk_exchange(node, by_udp, &app, 11, 1);
	leg_talk_exchange(node, client, channel);
	relay_group_await_hearing(&group, EDGE, OTHER);
	struct raw_leg *newer = relay_group_open_node(&group, node_id, OTHER);
	by_udp = udp_talk_channel(newer, session_a);
	udp_talk_exchange(newer, by_udp, &app, 11, 2);
	uint32_t third = udp_talk_channel(newer, session_a); /* from its old home */
	leg_talk_exchange(newer, client, third);
	udp_talk_exchange(newer, by_udp, &app, 11, 3);
	udp_app_close(&app);
	raw_leg_close(&client);
	raw_leg_close(&node);
	raw_leg_close(&newer);
}

static void
on_empty(const Boson__Common__Empty *reply, void *arg)
{
	bool *is_done = arg;

	assert_non_null(reply);
	*is_done = true;
}

static void
test_session_closed_at_home_ends_its_udp_legs_elsewhere(void **state)
{
	Boson__Relay__CloseSessionRequest request = BOSON__RELAY__CLOSE_SESSION_REQUEST__INIT;
	struct raw_leg *node = relay_group_open_node(&group, node_id, HOME);
	struct udp_app one = udp_app_open(&group.relays[EDGE], "127.0.1.1", 0);
	struct udp_app other = udp_app_open(&group.relays[EDGE], "127.0.2.1", 0);
	char node_text[UUID_TEXT_BYTES], session_text[UUID_TEXT_BYTES];
	bool is_done = false;

	(void)state;
	bind_at(EDGE, session_a, &one);
	bind_at(EDGE, session_b, &other);
	uint32_t first = udp_talk_shake_hands(node, &node_key, &one, session_a, 11);
	uint32_t second = udp_talk_shake_hands(node, &node_key, &other, session_b, 12);
	uuid_format(node_id, node_text);
	uuid_format(session_a, session_text);
	request.node_id = node_text;
	request.session_id = session_text;
	boson__relay__relay__close_session(bus_peer_service(group.relays[HOME].relay), &request,
					   on_empty, &is_done);
	relay_fixture_wait(&group.relays[HOME], &is_done);
	Boson__Link__Control *control = leg_talk_control(node);
	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_SESSION_CLOSE);
	boson__link__control__free_unpacked(control, NULL);
	udp_talk_closed(node, first);
	udp_talk_exchange(node, second, &other, 12, 1);
	while (relay_fixture_counter(&group.relays[EDGE], "legs{role=\"udp\"}") != 1)
		;
	udp_app_close(&one);
	udp_app_close(&other);
	raw_leg_close(&node);
}

/* The node's leg is nowhere, then at another relay: what the app said first is not lost. */
static void
test_initiation_waits_until_its_node_is_found(void **state)
{
	struct udp_app app = udp_app_open(&group.relays[EDGE], "127.0.1.1", 0);
	uint8_t message[UDP_TALK_INITIATION_BYTES], got[256];

	(void)state;
	bind_at(EDGE, session_a, &app);
	udp_talk_initiation(message, &node_key, app.index);
	udp_app_send(&app, message, sizeof(message));
	while (relay_group_asked(&group) == 0)
		(void)relay_fixture_counter(&group.relays[EDGE], "mesh_nodes");
	struct raw_leg *node = relay_group_open_node(&group, node_id, HOME);
	uint32_t channel = udp_talk_channel(node, NULL);
	assert_int_equal(udp_talk_node_receive(node, channel, got, sizeof(got)), sizeof(message));
	assert_memory_equal(got, message, sizeof(message));
	udp_talk_response(message, &app.key, 11, app.index);
	udp_talk_node_send(node, channel, message, UDP_TALK_RESPONSE_BYTES);
	assert_int_equal(udp_talk_channel(node, session_a), channel);
	assert_int_equal(udp_app_receive(&app, got, sizeof(got)), UDP_TALK_RESPONSE_BYTES);
	udp_talk_exchange(node, channel, &app, 11, 1);
	udp_app_close(&app);
	raw_leg_close(&node);
}

/* ---- a relay drains (F21) ---- */

/* A stock app cannot be told where to go: its relay carries it to its node's new home meanwhile,
 * and also from where it moves to. */
static void
test_f21_udp_legs_go_on_while_their_relay_drains(void **state)
{
	struct raw_leg *node = relay_group_open_node(&group, node_id, EDGE);
	struct udp_app app = udp_app_open(&group.relays[EDGE], "127.0.1.1", 0);
	struct udp_app moved = udp_app_open(&group.relays[EDGE], "127.0.2.1", 0);

	(void)state;
	moved.index = app.index;
	bind_at(EDGE, session_a, &app);
	uint32_t channel = udp_talk_shake_hands(node, &node_key, &app, session_a, 11);
	relay_group_await_hearing(&group, EDGE, HOME);
	relay_fixture_drain(&group.relays[EDGE]);
	Boson__Link__Control *control = leg_talk_control(node);
	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_DRAIN);
	boson__link__control__free_unpacked(control, NULL);
	udp_talk_exchange(node, channel, &app, 11, 1);
	struct raw_leg *newer =
		relay_group_open_node(&group, node_id, HOME); /* before it lets go of the other */
	channel = udp_talk_channel(newer, session_a);
	raw_leg_close(&node);
	for (uint64_t i = 2; i < 100; i++)
		udp_talk_exchange(newer, channel, &app, 11, i);
	uint32_t second = move(newer, &moved, 11, 200);
	udp_talk_exchange(newer, second, &moved, 11, 201);
	assert_int_equal(relay_fixture_counter(&group.relays[EDGE], "legs{role=\"node\"}"), 0);
	udp_app_close(&app);
	udp_app_close(&moved);
	raw_leg_close(&newer);
}

/* ... for as long as a drain lasts. */
static void
test_f21_drain_ends_in_spite_of_udp_legs(void **state)
{
	struct raw_leg *node = relay_group_open_node(&group, node_id, EDGE);
	struct udp_app app = udp_app_open(&group.relays[EDGE], "127.0.1.1", 0);
	uint8_t message[128];
	ssize_t n;

	(void)state;
	bind_at(EDGE, session_a, &app);
	udp_talk_shake_hands(node, &node_key, &app, session_a, 11);
	relay_fixture_drain(&group.relays[EDGE]);
	udp_talk_transport(message, sizeof(message), 11, 1);
	do /* until nobody has the port any more */
		n = send(app.fd, message, sizeof(message), 0);
	while (n >= 0);
	assert_int_equal(errno, ECONNREFUSED);
	udp_app_close(&app);
	raw_leg_close(&node);
}

/* ---- loops ---- */

static void
send_from(const struct relay_fixture *from, const struct relay_fixture *to, const void *bytes,
	  size_t n)
{
	const struct relay_control *sender = from->state, *receiver = to->state;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	address.sin_port =
		htons((uint16_t)strtoul(strrchr(receiver->udp_endpoint, ':') + 1, NULL, 10));
	assert_int_equal(sendto(sender->shards[0]->udp->fd, bytes, n, 0,
				(const struct sockaddr *)&address, sizeof(address)),
			 n);
}

/* U28: what comes from another relay's UDP port is for nobody, however good it looks. The same
 * datagram of anybody else opens a leg. */
static void
test_u28_datagram_of_another_relay_goes_nowhere(void **state)
{
	struct relay_fixture *relay = &group.relays[EDGE];
	struct raw_leg *node = relay_group_open_node(&group, node_id, EDGE);
	struct udp_app app = udp_app_open(relay, "127.0.1.1", 0);
	uint8_t message[UDP_TALK_INITIATION_BYTES];

	(void)state;
	bind_at(EDGE, session_a, &app);
	relay_group_await_hearing(&group, EDGE, HOME); /* so it knows that one's addresses */
	udp_talk_initiation(message, &node_key, 77);
	send_from(&group.relays[HOME], relay, message, sizeof(message));
	relay_fixture_await(relay, "udp_drops_total{reason=\"loop\"}", 1);
	assert_true(raw_leg_is_quiet(node, 50));
	assert_int_equal(relay_fixture_counter(relay, "udp_legs_total{event=\"opened\"}"), 0);
	udp_app_send(&app, message, sizeof(message));
	(void)udp_talk_channel(node, NULL);
	udp_app_close(&app);
	raw_leg_close(&node);
}

#define BOTH(test)                                                          \
	{ #test " (one shard)", test, set_up, tear_down, NULL },            \
	{                                                                   \
#test " (two shards)", test, set_up_shards, tear_down, NULL \
	}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		BOTH(test_legs_of_one_session_stand_side_by_side),
		BOTH(test_udp_legs_take_no_place_of_a_websocket_leg),
		BOTH(test_session_closed_at_home_ends_its_udp_legs_elsewhere),
		BOTH(test_initiation_waits_until_its_node_is_found),
		BOTH(test_f21_udp_legs_go_on_while_their_relay_drains),
		cmocka_unit_test_setup_teardown(test_f21_drain_ends_in_spite_of_udp_legs,
						set_up_short_drain, tear_down),
		cmocka_unit_test_setup_teardown(test_u28_datagram_of_another_relay_goes_nowhere,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
