/*
 * Client legs and node legs at different relays of a group: whole relays, real sockets, the mesh
 * between them over ipc; discovery and routing are stand-ins.
 */
#include "leg_talk.h"
#include "relay_group.h"

#include "leg/leg_frame.h"
#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t node_id[UUID_BYTES] = { 0x11, [6] = 0x40, [8] = 0x80, [15] = 1 };
static const uint8_t session_a[UUID_BYTES] = { 0x22, [6] = 0x40, [8] = 0x80, [15] = 2 };
static const uint8_t session_b[UUID_BYTES] = { 0x33, [6] = 0x40, [8] = 0x80, [15] = 3 };

enum { EDGE = 0, HOME = 1, OTHER = 2 };

static struct relay_group group;

static int
set_up_with(bool has_tls, const char *settings)
{
	relay_group_start(&group, 3, has_tls, settings);
	return 0;
}

static int
set_up_one(void **state)
{
	(void)state;
	return set_up_with(false, "drain = 300ms\ngrace = 20s");
}

static int
set_up_two_tls(void **state)
{
	(void)state;
	return set_up_with(true, "shards = 2\ndrain = 300ms\ngrace = 20s");
}

static int
tear_down(void **state)
{
	(void)state;
	relay_group_stop(&group);
	return 0;
}

/* The channel that is opened for the session, past closes of older ones. */
static uint32_t
channel_of(struct raw_leg *node, const uint8_t *session_id)
{
	char want[UUID_TEXT_BYTES];
	uint32_t channel = 0;

	uuid_format(session_id, want);
	while (channel == 0) {
		Boson__Link__Control *control = leg_talk_control(node);

		if (control->body_case == BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN &&
		    strcmp(control->channel_open->session_id, want) == 0)
			channel = control->channel_open->channel;
		boson__link__control__free_unpacked(control, NULL);
	}
	return channel;
}

static void
test_a_client_reaches_its_node_through_another_relay(void **state)
{
	struct raw_leg *node = relay_group_open_node(&group, node_id, HOME);
	struct raw_leg *client = raw_leg_open(&group.relays[EDGE], node_id, session_a);
	uint32_t channel = channel_of(node, session_a);
	uint8_t message[32 * 1024];
	struct raw_frame frame;

	(void)state;
	for (int i = 0; i < 50; i++)
		leg_talk_exchange(node, client, channel);
	/* A whole batch stays one message. */
	size_t n = leg_talk_message(message, 0, 16, 1408);
	assert_true(raw_leg_send(client, 0x82, message, n));
	assert_true(raw_leg_receive(node, &frame));
	assert_int_equal(frame.n, n + 4);
	assert_memory_equal(frame.payload + 5, message + 1, n - 1);
	assert_int_equal(relay_fixture_counter(&group.relays[EDGE], "mesh_nodes"), 1);
	assert_int_equal(relay_fixture_counter(&group.relays[HOME], "mesh_clients"), 1);
	assert_int_equal(relay_fixture_counter(&group.relays[HOME], "legs{role=\"client\"}"), 0);
	raw_leg_close(&client);
	relay_fixture_await(&group.relays[EDGE], "legs_closed_total{reason=\"peer\"}", 1);
	Boson__Link__Control *control = leg_talk_control(node);
	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE);
	assert_int_equal(control->channel_close->channel, channel);
	boson__link__control__free_unpacked(control, NULL);
	raw_leg_close(&node);
}

/* Sessions of two relays, and one at home, on the same node's leg. */
static void
test_clients_of_several_relays_share_a_node(void **state)
{
	static const uint8_t session_c[UUID_BYTES] = { 0x44, [6] = 0x40, [8] = 0x80, [15] = 4 };
	struct raw_leg *node = relay_group_open_node(&group, node_id, HOME);
	struct raw_leg *a = raw_leg_open(&group.relays[EDGE], node_id, session_a);
	uint32_t channel_a = channel_of(node, session_a);
	struct raw_leg *b = raw_leg_open(&group.relays[OTHER], node_id, session_b);
	uint32_t channel_b = channel_of(node, session_b);
	struct raw_leg *c = raw_leg_open(&group.relays[HOME], node_id, session_c);
	uint32_t channel_c = channel_of(node, session_c);

	(void)state;
	for (int i = 0; i < 10; i++) {
		leg_talk_exchange(node, a, channel_a);
		leg_talk_exchange(node, b, channel_b);
		leg_talk_exchange(node, c, channel_c);
	}
	raw_leg_close(&a);
	raw_leg_close(&b);
	raw_leg_close(&c);
	raw_leg_close(&node);
}

/* The client waits first; the node's leg comes to another relay, and that relay says so. */
static void
test_a_client_that_waits_hears_where_its_node_came(void **state)
{
	struct raw_leg *client = raw_leg_open(&group.relays[EDGE], node_id, session_a);

	(void)state;
	relay_group_await_hearing(&group, EDGE, OTHER);
	while (relay_group_asked(&group) == 0)
		(void)relay_fixture_counter(&group.relays[EDGE], "mesh_nodes");
	struct raw_leg *node = relay_group_open_node(&group, node_id, OTHER);
	leg_talk_exchange(node, client, channel_of(node, session_a));
	raw_leg_close(&client);
	raw_leg_close(&node);
}

/* F04: the node's leg comes to another relay: the client's leg stays and goes on. */
static void
test_f04_clients_follow_their_node_to_another_relay(void **state)
{
	struct raw_leg *node = relay_group_open_node(&group, node_id, HOME);
	struct raw_leg *client = raw_leg_open(&group.relays[EDGE], node_id, session_a);
	struct raw_leg *newer;

	(void)state;
	relay_group_await_hearing(&group, EDGE, OTHER);
	leg_talk_exchange(node, client, channel_of(node, session_a));
	/* Make before break: the newer leg is taken while the older still is there. */
	newer = relay_group_open_node(&group, node_id, OTHER);
	leg_talk_exchange(newer, client, channel_of(newer, session_a));
	raw_leg_close(&node);
	/* To the client's own relay: no mesh any more. */
	node = relay_group_open_node(&group, node_id, EDGE);
	leg_talk_exchange(node, client, channel_of(node, session_a));
	raw_leg_close(&newer);
	while (relay_fixture_counter(&group.relays[EDGE], "mesh_nodes") != 0)
		;
	/* And away again. */
	newer = relay_group_open_node(&group, node_id, HOME);
	raw_leg_close(&node);
	leg_talk_exchange(newer, client, channel_of(newer, session_a));
	raw_leg_close(&client);
	raw_leg_close(&newer);
}

/* F04: the home relay dies. The client's leg is not touched, and passes data when the node is back
 * at another one. */
static void
test_f04_a_clients_leg_outlives_its_nodes_relay(void **state)
{
	struct raw_leg *node = relay_group_open_node(&group, node_id, HOME);
	struct raw_leg *client = raw_leg_open(&group.relays[EDGE], node_id, session_a);

	(void)state;
	leg_talk_exchange(node, client, channel_of(node, session_a));
	relay_group_kill(&group, HOME);
	raw_leg_close(&node);
	node = relay_group_open_node(&group, node_id, OTHER);
	leg_talk_exchange(node, client, channel_of(node, session_a));
	raw_leg_close(&client);
	raw_leg_close(&node);
}

/* A session moves from one relay to another: its newest leg wins, wherever it is. */
static void
test_the_newest_leg_of_a_session_wins_across_relays(void **state)
{
	struct raw_leg *node = relay_group_open_node(&group, node_id, HOME);
	struct raw_leg *older = raw_leg_open(&group.relays[EDGE], node_id, session_a);
	struct raw_leg *newer;

	(void)state;
	leg_talk_exchange(node, older, channel_of(node, session_a));
	newer = raw_leg_open(&group.relays[OTHER], node_id, session_a);
	uint32_t channel = channel_of(node, session_a);
	assert_int_equal(raw_leg_close_code(older), 4009);
	Boson__Link__Control *control = leg_talk_control(node);
	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE);
	boson__link__control__free_unpacked(control, NULL);
	leg_talk_exchange(node, newer, channel);
	raw_leg_close(&older);
	raw_leg_close(&newer);
	raw_leg_close(&node);
}

static void
on_empty(const Boson__Common__Empty *reply, void *arg)
{
	bool *is_done = arg;

	assert_non_null(reply);
	*is_done = true;
}

/* What the home relay is told of a session reaches the client's leg elsewhere. */
static void
test_a_session_closed_at_home_closes_its_leg_elsewhere(void **state)
{
	struct raw_leg *node = relay_group_open_node(&group, node_id, HOME);
	struct raw_leg *client = raw_leg_open(&group.relays[EDGE], node_id, session_a);
	Boson__Relay__CloseSessionRequest request = BOSON__RELAY__CLOSE_SESSION_REQUEST__INIT;
	char node_text[UUID_TEXT_BYTES], session_text[UUID_TEXT_BYTES];
	bool is_done = false;

	(void)state;
	leg_talk_exchange(node, client, channel_of(node, session_a));
	uuid_format(node_id, node_text);
	uuid_format(session_a, session_text);
	request.node_id = node_text;
	request.session_id = session_text;
	request.reason = (char[]){ "test" };
	boson__relay__relay__close_session(bus_peer_service(group.relays[HOME].relay), &request,
					   on_empty, &is_done);
	relay_fixture_wait(&group.relays[HOME], &is_done);
	assert_int_equal(raw_leg_close_code(client), 4404);
	raw_leg_close(&client);
	raw_leg_close(&node);
}

/* Routing is wrong, or late: the relay that is asked has no leg of the node either. The client
 * waits; no relay passes it on to a third one. */
static void
test_a_relay_without_the_nodes_leg_passes_nobody_on(void **state)
{
	struct raw_leg *waiting = raw_leg_open(&group.relays[HOME], node_id, session_b);
	struct raw_leg *client;

	(void)state;
	relay_group_locate(&group, node_id, HOME);
	client = raw_leg_open(&group.relays[EDGE], node_id, session_a);
	relay_fixture_await(&group.relays[EDGE], "mesh_links", 1);
	struct raw_leg *node = relay_group_open_node(&group, node_id, OTHER);
	uint32_t channels[2] = { 0 };
	for (int i = 0; i < 2; i++) {
		Boson__Link__Control *control = leg_talk_control(node);
		char text[UUID_TEXT_BYTES];

		uuid_format(session_a, text);
		assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN);
		channels[strcmp(control->channel_open->session_id, text) == 0 ? 0 : 1] =
			control->channel_open->channel;
		boson__link__control__free_unpacked(control, NULL);
	}
	leg_talk_exchange(node, client, channels[0]);
	leg_talk_exchange(node, waiting, channels[1]);
	assert_int_equal(relay_fixture_counter(&group.relays[HOME], "mesh_clients"), 0);
	assert_int_equal(relay_fixture_counter(&group.relays[OTHER], "mesh_clients"), 2);
	raw_leg_close(&client);
	raw_leg_close(&waiting);
	raw_leg_close(&node);
}

#define BOTH(test)                                                                \
	{ #test " (one shard)", test, set_up_one, tear_down, NULL },              \
	{                                                                         \
#test " (two shards, TLS)", test, set_up_two_tls, tear_down, NULL \
	}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		BOTH(test_a_client_reaches_its_node_through_another_relay),
		BOTH(test_clients_of_several_relays_share_a_node),
		BOTH(test_a_client_that_waits_hears_where_its_node_came),
		BOTH(test_f04_clients_follow_their_node_to_another_relay),
		BOTH(test_f04_a_clients_leg_outlives_its_nodes_relay),
		BOTH(test_the_newest_leg_of_a_session_wins_across_relays),
		BOTH(test_a_session_closed_at_home_closes_its_leg_elsewhere),
		BOTH(test_a_relay_without_the_nodes_leg_passes_nobody_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
