/*
 * A shard's side of the mesh: who joins by way of which link, who makes way for whom, and what the
 * other ends hear of it.
 */
#include "mesh_rig.h"
#include "shard_leg.h"

#include "loop/clock.h"
#include "relay/relay_drops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- clients of other relays ---- */

/* F04, W23: which one is the newer is said by when they came, wherever that was. */
static void
test_of_two_legs_of_a_session_the_one_that_came_later_stays(void **state)
{
	struct relay_leg *own;
	int node = mesh_rig_attach(0, NULL), client = mesh_rig_attach('a', &own);
	uint64_t generation = own->channel->generation;

	(void)state;
	mesh_rig_say_open(0, mesh_rig_node, 5, 'a', generation - 1);
	assert_int_equal(mesh_rig.heard_n, 1);
	mesh_rig_assert_heard(0, 0, false, 5, 4009);
	mesh_rig_say_open(0, mesh_rig_node, 6, 'a',
			  generation); /* itself, back from where it went */
	mesh_rig_assert_heard(0, 0, false, 6, 4009);
	assert_int_equal(mesh_rig_code_at(client), 0);
	mesh_rig_say_open(0, mesh_rig_node, 7, 'a', generation + 1);
	assert_int_equal(mesh_rig.heard_n, 0);
	assert_int_equal(mesh_rig_code_at(client), 4009);
	/* The same leg by another way: the newer way is the one that works. */
	mesh_rig_say_open(2, mesh_rig_node, 9, 'a', generation + 1);
	assert_int_equal(mesh_rig.heard_n, 1);
	mesh_rig_assert_heard(0, 0, false, 7, 4009);
	close(client);
	close(node);
}

/* One of UDP has no moment and takes nobody's place: only it may turn out to be another's. */
static void
test_a_channels_session_changes_only_where_it_takes_no_place(void **state)
{
	int node = mesh_rig_attach(0, NULL);

	(void)state;
	mesh_rig_say_open(0, mesh_rig_node, 5, 'a', 100);
	assert_string_equal(mesh_rig_word_at(node).session, mesh_rig_session_text('a'));
	mesh_rig_say_open(0, mesh_rig_node, 5, 'b', 100);
	mesh_rig_say_open(0, mesh_rig_node, 6, 'c', 0);
	assert_string_equal(mesh_rig_word_at(node).session, mesh_rig_session_text('c'));
	mesh_rig_say_open(0, mesh_rig_node, 6, 'd', 0);
	assert_string_equal(mesh_rig_word_at(node).session, mesh_rig_session_text('d'));
	close(node);
}

static void
test_a_relay_that_goes_another_way_gives_up_all_its_channels(void **state)
{
	int node = mesh_rig_attach(0, NULL);

	(void)state;
	mesh_rig_say_open(0, mesh_rig_node, 5, 'a', 100);
	mesh_rig_say_open(0, mesh_rig_node, 6, 'b', 100);
	mesh_rig_say_open(2, mesh_rig_node, 5, 'c', 100);
	for (unsigned i = 0; i < 3; i++)
		assert_true(mesh_rig_word_at(node).is_open);
	mesh_rig_say_close(0, 0, 0);
	for (unsigned i = 0; i < 2; i++)
		assert_false(mesh_rig_word_at(node).is_open);
	uint8_t payload[125];
	size_t n;
	assert_int_equal(shard_leg_next_frame(node, payload, &n), 0); /* the third stays */
	close(node);
}

/* T22: as many clients as another relay says to have, it does not keep a node from those who come
 * to the node's own relay. */
static void
test_T22_clients_of_other_relays_leave_room_for_a_nodes_own(void **state)
{
	const uint32_t most = shard_alone_settings.channels_max / 4 * 3;
	int node = mesh_rig_attach(0, NULL);

	(void)state;
	for (uint32_t i = 1; i <= most; i++) {
		mesh_rig_say_open(i % 2 * 2, mesh_rig_node, i, 'a', 0);
		assert_int_equal(mesh_rig.heard_n, 0);
	}
	mesh_rig_say_open(0, mesh_rig_node, most + 1, 'a', 0);
	mesh_rig_assert_heard(0, 0, false, most + 1, 1013);
	assert_int_equal(mesh_rig.peer.clients, most);
	assert_int_equal(relay_counter_get(&mesh_rig.shard->counters, RELAY_MESH_REFUSED_CHANNELS),
			 1);
	int client = mesh_rig_attach('b', NULL);
	mesh_rig_say_close(0, 2, 0);
	mesh_rig_say_open(0, mesh_rig_node, most + 1, 'c', 100);
	assert_int_equal(mesh_rig.heard_n, 0);
	mesh_rig_say_open(2, mesh_rig_node, most + 2, 'c', 200); /* takes its own place */
	mesh_rig_assert_heard(0, 0, false, most + 1, 4009);
	assert_int_equal(mesh_rig.heard_n, 1);
	close(client);
	close(node);
}

/* T22: over all nodes and links, one relay has as many channels as legs may be here. */
static void
test_T22_a_relay_has_so_many_channels_here(void **state)
{
	const uint32_t before = shard_alone_settings.legs_max - 1;
	int node = mesh_rig_attach(0, NULL);

	(void)state;
	mesh_rig.peer.clients = before; /* at other nodes */
	mesh_rig_say_open(0, mesh_rig_node, 5, 'a', 0);
	assert_int_equal(mesh_rig.heard_n, 0);
	mesh_rig_say_open(2, mesh_rig_node, 6, 'b', 0);
	mesh_rig_assert_heard(0, 2, false, 6, 1013);
	assert_int_equal(mesh_rig.peer.clients, before + 1);
	mesh_rig_say_close(0, 5, 0);
	assert_int_equal(mesh_rig.peer.clients, before);
	assert_int_equal(mesh_rig.peer.messages, 0);
	mesh_rig_say_open(2, mesh_rig_node, 7, 'b', 0);
	assert_int_equal(mesh_rig.peer.clients, before + 1);
	close(node);
}

/* T22: it opens and closes without end. The node hears of no more than so many. */
static void
test_T22_a_relay_opens_so_many_channels_in_a_time(void **state)
{
	int node = mesh_rig_attach(0, NULL);

	(void)state;
	mesh_rig.peer.opens = 1;
	mesh_rig_say_open(0, mesh_rig_node, 5, 'a', 0);
	mesh_rig_say_close(0, 5, 0);
	assert_true(mesh_rig_word_at(node).is_open);
	assert_false(mesh_rig_word_at(node).is_open);
	mesh_rig_say_open(0, mesh_rig_node, 6, 'a', 0);
	mesh_rig_assert_heard(0, 0, false, 6, 1013);
	uint8_t payload[125];
	size_t n;
	assert_int_equal(shard_leg_next_frame(node, payload, &n), 0);
	assert_int_equal(mesh_rig.peer.clients, 0);
	assert_int_equal(mesh_rig.peer.opens, 0);
	mesh_rig.peer.opens = 1;
	mesh_rig_say_open(0, mesh_rig_node, 7, 'a', 0);
	assert_true(mesh_rig_word_at(node).is_open);
	close(node);
}

/* T22: a leg that another relay says will come one day has come now, and makes way for a later one.
 */
static void
test_T22_a_leg_of_the_far_future_is_replaced_like_any_other(void **state)
{
	int node = mesh_rig_attach(0, NULL);

	(void)state;
	mesh_rig_say_open(0, mesh_rig_node, 5, 'a', UINT64_MAX);
	assert_int_equal(mesh_rig.heard_n, 0);
	mesh_rig_say_open(2, mesh_rig_node, 6, 'a', (uint64_t)clock_wall_us() + 1000 * 1000);
	assert_int_equal(mesh_rig.heard_n, 1);
	mesh_rig_assert_heard(0, 0, false, 5, 4009);
	close(node);
}

static void
test_what_is_another_shards_is_left_to_it(void **state)
{
	uint8_t other[UUID_BYTES] = "another shard's.";

	(void)state;
	mesh_rig.shard->count = 2;
	while (relay_shard_of(other, 2) != 1)
		other[15]++;
	mesh_rig_say_open(0, other, 5, 'a', 100);
	assert_int_equal(mesh_rig.heard_n, 0);
	while (relay_shard_of(other, 2) != 0)
		other[15]++;
	mesh_rig_say_open(0, other, 5, 'a', 100);
	mesh_rig_assert_heard(0, 0, false, 5, 0); /* "node is not here" */
	mesh_rig.shard->count = 1;
}

/* ---- nodes that are elsewhere ---- */

static void
test_a_way_to_an_older_leg_of_the_node_is_not_taken(void **state)
{
	int client = mesh_rig_attach('a', NULL);

	(void)state;
	mesh_rig_tie(1, 100);
	assert_int_equal(mesh_rig.heard_n, 1);
	mesh_rig_assert_heard(0, 1, true, 0, 0);
	mesh_rig_tie(3, 99);
	assert_int_equal(mesh_rig.heard_n, 0);
	mesh_rig_tie(3, 101);
	assert_int_equal(mesh_rig.heard_n, 2); /* the older way is told, too */
	assert_int_equal(mesh_rig.heard[0].is_open + mesh_rig.heard[1].is_open, 1);
	close(client);
}

/* Two relays are one hop. Those of other relays who wait here are sent away, and not passed on. */
static void
test_clients_of_other_relays_are_not_passed_on(void **state)
{
	int node = mesh_rig_attach(0, NULL), client;
	unsigned opened = 0, sent_away = 0;

	(void)state;
	mesh_rig_say_open(0, mesh_rig_node, 5, 'a', 100);
	client = mesh_rig_attach('b', NULL);
	close(node);
	mesh_rig_turn(NULL);
	mesh_rig_tie(1, INT64_MAX);
	for (unsigned i = 0; i < mesh_rig.heard_n; i++) {
		const struct mesh_rig_word *word = &mesh_rig.heard[i];

		opened += word->is_open;
		if (word->is_open)
			assert_string_equal(word->session, mesh_rig_session_text('b'));
		sent_away += word->link == 0 && !word->is_open && word->channel == 5;
	}
	assert_int_equal(opened, 1);
	assert_int_equal(sent_away, 1);
	mesh_rig_say_open(0, mesh_rig_node, 6, 'c', 100);
	assert_int_equal(mesh_rig.heard_n, 1);
	mesh_rig_assert_heard(0, 0, false, 6, 0);
	close(client);
}

static void
test_a_node_is_sought_as_long_as_clients_of_this_relay_wait(void **state)
{
	int node = mesh_rig_attach(0, NULL), client;

	(void)state;
	mesh_rig_say_open(0, mesh_rig_node, 5, 'a', 100);
	close(node);
	mesh_rig_turn(NULL);
	assert_int_equal(mesh_rig.sought, 0); /* those of others are theirs to care for */
	client = mesh_rig_attach('b', NULL);
	assert_int_equal(mesh_rig.sought, 1);
	mesh_rig_say_close(0, 5, 0);
	assert_int_equal(mesh_rig.sought + mesh_rig.settled, 0);
	close(client);
	mesh_rig_turn(NULL);
	assert_int_equal(mesh_rig.settled, 1);
	client = mesh_rig_attach('b', NULL);
	assert_int_equal(mesh_rig.sought, 1);
	close(client);
}

static void
test_a_way_ends_with_the_last_client(void **state)
{
	int client = mesh_rig_attach('a', NULL);

	(void)state;
	mesh_rig_tie(1, 100);
	close(client);
	mesh_rig_turn(NULL);
	assert_in_range(mesh_rig.heard_n, 1, MESH_RIG_HEARD_MAX);
	mesh_rig_assert_heard(mesh_rig.heard_n - 1, 1, false, 0, 0);
	assert_int_equal(mesh_rig.shard->directory.nodes.count, 0);
}

/* A sender is told what it lost where its leg is; between relays nobody asks. */
static void
test_losses_are_not_told_over_a_link(void **state)
{
	struct relay_leg *leg;
	int client = mesh_rig_attach('a', &leg);

	(void)state;
	mesh_rig_tie(1, 100);
	relay_drops_note(mesh_rig.shard, &leg->channel->to_client,
			 BOSON__LINK__LIMITED__REASON__QUEUE, 1, 0);
	mesh_rig_turn(NULL);
	assert_int_equal(mesh_rig.heard_n, 0);
	close(client);
}

/* The home says of a channel why it goes: with a code the client goes with it, without one the way
 * alone was wrong. */
static void
test_a_home_that_gives_up_loses_the_way_but_not_the_client(void **state)
{
	int client = mesh_rig_attach('a', NULL);

	(void)state;
	mesh_rig_tie(1, 100);
	mesh_rig_say_close(1, 0, 0);
	assert_int_equal(mesh_rig.sought, 1);
	assert_int_equal(mesh_rig_code_at(client), 0);
	mesh_rig_tie(1, 100);
	uint32_t channel = mesh_rig.heard[mesh_rig.heard_n - 1].channel;
	mesh_rig_say_close(1, channel, 0);
	assert_int_equal(mesh_rig.sought, 1);
	assert_int_equal(mesh_rig_code_at(client), 0);
	mesh_rig_tie(1, 100);
	channel = mesh_rig.heard[mesh_rig.heard_n - 1].channel;
	mesh_rig_say_close(1, channel, 4404);
	assert_int_equal(mesh_rig_code_at(client), 4404);
	close(client);
}

/* T22: a home relay names a code that no close frame may have. */
static void
test_T22_a_home_relay_does_not_choose_any_code(void **state)
{
	static const uint32_t codes[] = { 1, 1005, 1006, 4400, 65535, 65536 + 4404, UINT32_MAX };

	(void)state;
	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		int client = mesh_rig_attach('a', NULL);

		mesh_rig_tie(1, 100 + i);
		mesh_rig_say_close(1, mesh_rig.heard[mesh_rig.heard_n - 1].channel, codes[i]);
		assert_int_equal(mesh_rig_code_at(client), 1013);
		close(client);
		mesh_rig_turn(NULL);
	}
}

static void
test_f48_a_leg_goes_only_if_it_is_the_one_that_was_beaten(void **state)
{
	struct relay_leg *leg;
	int node = mesh_rig_attach(0, &leg);
	struct relay_message *message = relay_message_new(RELAY_NODE_MOVED, mesh_rig_node, 0);

	(void)state;
	message->generation = leg->node->generation - 1;
	mesh_rig_turn(message);
	assert_int_equal(mesh_rig_code_at(node), 0);
	message = relay_message_new(RELAY_NODE_MOVED, mesh_rig_node, 0);
	message->generation = leg->node->generation;
	mesh_rig_turn(message);
	assert_int_equal(mesh_rig_code_at(node), 4009);
	close(node);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, mesh_rig_set_up, mesh_rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_of_two_legs_of_a_session_the_one_that_came_later_stays),
		EACH(test_a_channels_session_changes_only_where_it_takes_no_place),
		EACH(test_a_relay_that_goes_another_way_gives_up_all_its_channels),
		EACH(test_T22_clients_of_other_relays_leave_room_for_a_nodes_own),
		EACH(test_T22_a_relay_has_so_many_channels_here),
		EACH(test_T22_a_relay_opens_so_many_channels_in_a_time),
		EACH(test_T22_a_leg_of_the_far_future_is_replaced_like_any_other),
		EACH(test_what_is_another_shards_is_left_to_it),
		EACH(test_a_way_to_an_older_leg_of_the_node_is_not_taken),
		EACH(test_clients_of_other_relays_are_not_passed_on),
		EACH(test_a_node_is_sought_as_long_as_clients_of_this_relay_wait),
		EACH(test_a_way_ends_with_the_last_client),
		EACH(test_losses_are_not_told_over_a_link),
		EACH(test_a_home_that_gives_up_loses_the_way_but_not_the_client),
		EACH(test_T22_a_home_relay_does_not_choose_any_code),
		EACH(test_f48_a_leg_goes_only_if_it_is_the_one_that_was_beaten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
