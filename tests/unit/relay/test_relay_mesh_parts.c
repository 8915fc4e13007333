/*
 * The mesh's models: sections on the wire, a link's queue and credit, where nodes are at home.
 */
#include "relay/relay_homes.h"
#include "relay/relay_mesh_link.h"
#include "relay/relay_mesh_wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t node_a[UUID_BYTES] = "node-a", node_b[UUID_BYTES] = "node-b";

static size_t
put_section(uint8_t *at, const uint8_t *node_id, const char *text)
{
	relay_mesh_section_write(at, node_id, strlen(text));
	memcpy(at + RELAY_MESH_SECTION_BYTES, text, strlen(text));
	return RELAY_MESH_SECTION_BYTES + strlen(text);
}

static void
test_sections_are_read_as_they_were_written(void **state)
{
	uint8_t bytes[256], *at = bytes;
	struct relay_mesh_section section;
	size_t n = put_section(bytes, node_a, "one");

	(void)state;
	n += put_section(bytes + n, node_b, "three");
	assert_int_equal(relay_mesh_section_next(&at, bytes + n, &section), 1);
	assert_memory_equal(section.node_id, node_a, UUID_BYTES);
	assert_int_equal(section.n, 3);
	assert_int_equal(relay_mesh_section_next(&at, bytes + n, &section), 1);
	assert_memory_equal(section.message, "three", 5);
	assert_int_equal(relay_mesh_section_next(&at, bytes + n, &section), 0);
}

static void
test_a_section_that_is_cut_short_is_none(void **state)
{
	uint8_t bytes[256];
	struct relay_mesh_section section;
	size_t n = put_section(bytes, node_a, "one");

	(void)state;
	for (size_t cut = 1; cut < n; cut++) {
		uint8_t *at = bytes;

		assert_int_equal(relay_mesh_section_next(&at, bytes + cut, &section), -EBADMSG);
	}
	uint8_t *at = bytes;
	relay_mesh_put32(bytes + UUID_BYTES, 0);
	assert_int_equal(relay_mesh_section_next(&at, bytes + n, &section), -EBADMSG);
	relay_mesh_put32(bytes + UUID_BYTES, UINT32_MAX);
	assert_int_equal(relay_mesh_section_next(&at, bytes + n, &section), -EBADMSG);
}

static void
test_the_mesh_is_beside_the_mailbox(void **state)
{
	char endpoint[RELAY_MESH_ENDPOINT_BYTES];

	(void)state;
	assert_int_equal(relay_mesh_endpoint("tcp://10.0.0.2:7030", endpoint), 0);
	assert_string_equal(endpoint, "tcp://10.0.0.2:7032");
	assert_int_equal(relay_mesh_endpoint("tcp://*:7030", endpoint), 0);
	assert_string_equal(endpoint, "tcp://*:7032");
	assert_int_equal(relay_mesh_endpoint("ipc:///run/boson/relay.sock", endpoint), 0);
	assert_string_equal(endpoint, "ipc:///run/boson/relay.sock-mesh");
	assert_int_equal(relay_mesh_endpoint("inproc://relay", endpoint), -EINVAL);
	assert_int_equal(relay_mesh_endpoint("tcp://10.0.0.2:*", endpoint), -EINVAL);
	assert_int_equal(relay_mesh_endpoint("tcp://10.0.0.2:65535", endpoint), -EINVAL);
}

static unsigned
push(struct relay_link *link, enum relay_mesh_kind kind, size_t n, int64_t now_ms)
{
	struct relay_message *message = relay_message_new(RELAY_MESH_SEND, NULL, n);

	assert_non_null(message);
	message->bytes[0] = (uint8_t)kind;
	message->queued_ms = now_ms;
	unsigned dropped = relay_link_push(link, &message);
	assert_null(message);
	return dropped;
}

static void
take(struct relay_link *link, enum relay_mesh_kind want)
{
	assert_non_null(relay_link_peek(link));
	struct relay_message *message = relay_link_take(link);
	assert_int_equal(message->bytes[0], want);
	relay_message_free(&message);
}

static void
test_control_goes_first_and_needs_no_credit(void **state)
{
	struct relay_link link = { .is_up = true, .granted = 1000 };

	(void)state;
	push(&link, RELAY_MESH_DATA, 600, 0);
	push(&link, RELAY_MESH_DATA, 600, 0);
	push(&link, RELAY_MESH_CONTROL, 600, 0);
	take(&link, RELAY_MESH_CONTROL);
	take(&link, RELAY_MESH_DATA);
	assert_null(relay_link_peek(&link)); /* 600 of 1000 are under way */
	push(&link, RELAY_MESH_CONTROL, 600, 0);
	take(&link, RELAY_MESH_CONTROL);
	link.granted = 1200;
	take(&link, RELAY_MESH_DATA);
	assert_int_equal(link.sent, 1200);
	relay_link_clear(&link);
}

static void
test_what_a_slow_link_does_not_take_is_dropped_oldest_first(void **state)
{
	enum { BLOCK = 64 * 1024, FIT = RELAY_LINK_QUEUE_BYTES / BLOCK };
	struct relay_link link = { .is_up = true };
	unsigned dropped = 0;

	(void)state;
	for (unsigned i = 0; i < FIT + 5; i++)
		dropped += push(&link, RELAY_MESH_DATA, BLOCK, i);
	push(&link, RELAY_MESH_CONTROL, BLOCK, 0);
	assert_int_equal(dropped, 5);
	assert_int_equal(link.data->queued_ms, 5);
	assert_true(link.data_bytes <= RELAY_LINK_QUEUE_BYTES);
	assert_int_equal(relay_link_age(&link, 110, 100), 5); /* 5 to 9 */
	assert_int_equal(link.data->queued_ms, 10);
	take(&link, RELAY_MESH_CONTROL);
	relay_link_clear(&link);
	assert_int_equal(link.data_bytes, 0);
}

static void
test_a_relay_that_takes_no_control_is_stuck(void **state)
{
	enum { BLOCK = 64 * 1024, FIT = RELAY_PEER_CONTROL_BYTES / BLOCK };
	struct relay_link link = { .is_up = true };

	(void)state;
	for (unsigned i = 0; i < FIT; i++)
		push(&link, RELAY_MESH_CONTROL, BLOCK, 0);
	assert_false(relay_link_is_stuck(&link));
	push(&link, RELAY_MESH_CONTROL, BLOCK, 0);
	assert_true(relay_link_is_stuck(&link));
	take(&link, RELAY_MESH_CONTROL);
	assert_false(relay_link_is_stuck(&link));
	relay_link_clear(&link);
	assert_int_equal(link.control_bytes, 0);
}

/* T22: what one name's links are to take is bounded for all of them together. */
static void
test_T22_what_one_relay_does_not_take_is_bounded_over_all_its_links(void **state)
{
	enum { BLOCK = 64 * 1024, FIT = RELAY_PEER_CONTROL_BYTES / BLOCK };
	struct relay_mesh_peer peer = { .name = "relay" };
	struct relay_link links[2] = { { .peer = &peer }, { .peer = &peer } }, idle = { 0 };

	(void)state;
	idle.peer = &peer;
	for (unsigned i = 0; i < FIT; i++)
		push(&links[i % 2], RELAY_MESH_CONTROL, BLOCK, 0);
	assert_false(relay_link_is_stuck(&links[0]));
	push(&links[0], RELAY_MESH_CONTROL, BLOCK, 0);
	assert_true(relay_link_is_stuck(&links[0]));
	assert_true(relay_link_is_stuck(&links[1]));
	assert_false(relay_link_is_stuck(&idle)); /* nothing waits for it */
	relay_link_clear(&links[0]);
	assert_false(relay_link_is_stuck(&links[1]));
	relay_link_clear(&links[1]);
	assert_int_equal(peer.control_bytes, 0);
}

/* T22: one key was stolen; all other names get their links, and it gets them again. */
static void
test_T22_a_name_has_so_many_links_and_others_have_theirs(void **state)
{
	static struct relay_mesh_peers peers;
	struct relay_mesh_peer *links[RELAY_PEER_LINKS_MAX], *other, *again;

	(void)state;
	for (unsigned i = 0; i < RELAY_PEER_LINKS_MAX; i++)
		assert_int_equal(relay_peer_get(&peers, "relay-1", &links[i]), 0);
	assert_int_equal(relay_peer_get(&peers, "relay-1", &again), -EDQUOT);
	assert_int_equal(relay_peer_get(&peers, "relay-2", &other), 0);
	assert_ptr_not_equal(other, links[0]);
	relay_peer_put(&links[0]);
	assert_int_equal(relay_peer_get(&peers, "relay-1", &links[0]), 0);
	assert_int_equal(relay_peer_get(&peers, "relay-1", &again), -EDQUOT);
}

static void
test_T22_what_a_name_may_open_comes_back_with_time(void **state)
{
	static struct relay_mesh_peers peers = { .opens_most = 2 };
	struct relay_mesh_peer *peer;

	(void)state;
	assert_int_equal(relay_peer_get(&peers, "relay-1", &peer), 0);
	assert_true(relay_peer_open(peer, 10));
	assert_true(relay_peer_open(peer, 10));
	assert_false(relay_peer_open(peer, 10));
	assert_int_equal(peer->clients, 2);
	relay_peers_refill(&peers, 1);
	assert_false(relay_peer_open(peer, 2)); /* it has so many */
	assert_true(relay_peer_open(peer, 10));
	assert_false(relay_peer_open(peer, 10));
	relay_peers_refill(&peers, 100);
	assert_int_equal(peer->opens, 2);
	for (unsigned i = 0; i < 3; i++)
		relay_peer_close(peer);
	assert_int_equal(peer->clients, 0);
}

/* A place is another name's once nothing is held for it, shards included. */
static void
test_there_are_so_many_names_and_one_that_is_gone_makes_room(void **state)
{
	static struct relay_mesh_peers peers;
	struct relay_mesh_peer *all[RELAY_PEERS_MAX], *late;
	char name[16];

	(void)state;
	for (unsigned i = 0; i < RELAY_PEERS_MAX; i++) {
		snprintf(name, sizeof(name), "relay-%u", i);
		assert_int_equal(relay_peer_get(&peers, name, &all[i]), 0);
	}
	assert_int_equal(relay_peer_get(&peers, "relay-late", &late), -ENFILE);
	struct relay_mesh_peer *gone = all[7];
	assert_true(relay_peer_room_take(gone, 100));
	atomic_fetch_add(&gone->clients, 1);
	relay_peer_put(&all[7]);
	assert_int_equal(relay_peer_get(&peers, "relay-late", &late), -ENFILE);
	relay_peer_room_put(gone, 100);
	assert_int_equal(relay_peer_get(&peers, "relay-late", &late), -ENFILE);
	atomic_fetch_sub(&gone->clients, 1);
	assert_int_equal(relay_peer_get(&peers, "relay-late", &late), 0);
	assert_ptr_equal(late, gone);
	assert_string_equal(late->name, "relay-late");
}

/* T22: of one relay so much waits in shards' mailboxes, by number and by bytes. */
static void
test_T22_one_relay_does_not_fill_the_shards_mailboxes(void **state)
{
	struct relay_mesh_peer peer = { .name = "relay" };

	(void)state;
	for (unsigned i = 0; i < RELAY_PEER_MESSAGES_MAX; i++)
		assert_true(relay_peer_room_take(&peer, 1));
	assert_false(relay_peer_room_take(&peer, 1));
	relay_peer_room_put(&peer, 1);
	assert_false(relay_peer_room_take(&peer, RELAY_PEER_CONTROL_BYTES));
	assert_true(relay_peer_room_take(&peer, 1));
	assert_true(relay_peer_room_take(NULL, RELAY_PEER_CONTROL_BYTES)); /* one that we dialled */
}

/* T22, F20: a relay whose clock is far ahead, or that says so, does not win for ever. */
static void
test_T22_a_leg_of_the_far_future_came_now(void **state)
{
	const uint64_t minute_us = 60 * 1000 * 1000, now_us = 100 * minute_us;

	(void)state;
	assert_int_equal(relay_homes_plausible(UINT64_MAX, now_us), now_us);
	assert_int_equal(relay_homes_plausible(now_us + minute_us + 1, now_us), now_us);
	assert_int_equal(relay_homes_plausible(now_us + minute_us, now_us), now_us + minute_us);
	assert_int_equal(relay_homes_plausible(5, now_us), 5);
}

/* Both relays ask it of the same two legs, each about its own. */
static void
test_of_two_legs_one_is_the_newer_for_all(void **state)
{
	(void)state;
	assert_true(relay_homes_is_newer(20, "a", 10, "b"));
	assert_false(relay_homes_is_newer(10, "b", 20, "a"));
	assert_true(relay_homes_is_newer(20, "b", 20, "a"));
	assert_false(relay_homes_is_newer(20, "a", 20, "b"));
}

static void
test_the_newest_leg_says_where_a_node_is(void **state)
{
	struct relay_other one = { .id = "one" }, two = { .id = "two" };
	struct relay_homes homes;

	(void)state;
	assert_int_equal(relay_homes_init(&homes), 0);
	assert_true(relay_homes_set(&homes, node_a, &one, 10, 0));
	assert_true(relay_homes_set(&homes, node_a, &two, 20, 0));
	assert_false(relay_homes_set(&homes, node_a, &one, 15, 0)); /* an event that came late */
	assert_ptr_equal(relay_homes_find(&homes, node_a)->at, &two);
	relay_homes_unset(&homes, node_a, &one, 10); /* the older leg's end */
	assert_non_null(relay_homes_find(&homes, node_a));
	relay_homes_unset(&homes, node_a, &two, 20);
	assert_null(relay_homes_find(&homes, node_a));
	assert_true(relay_homes_set(&homes, node_a, &one, 30, 0));
	assert_true(relay_homes_set(&homes, node_b, &two, 30, 0));
	relay_homes_forget(&homes, &one);
	assert_null(relay_homes_find(&homes, node_a));
	assert_non_null(relay_homes_find(&homes, node_b));
	relay_homes_fini(&homes);
}

static void
test_what_is_heard_of_longest_ago_is_forgotten_first(void **state)
{
	struct relay_other one = { .id = "one" };
	struct relay_homes homes;
	uint8_t id[UUID_BYTES] = { 0 };

	(void)state;
	assert_int_equal(relay_homes_init(&homes), 0);
	for (uint32_t i = 0; i <= RELAY_HOMES_MAX; i++) {
		memcpy(id, &i, sizeof(i));
		assert_true(relay_homes_set(&homes, id, &one, 1, 0));
	}
	assert_int_equal(homes.homes.count, RELAY_HOMES_MAX);
	memset(id, 0, sizeof(id));
	assert_null(relay_homes_find(&homes, id));
	relay_homes_fini(&homes);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections_are_read_as_they_were_written),
		cmocka_unit_test(test_a_section_that_is_cut_short_is_none),
		cmocka_unit_test(test_the_mesh_is_beside_the_mailbox),
		cmocka_unit_test(test_control_goes_first_and_needs_no_credit),
		cmocka_unit_test(test_what_a_slow_link_does_not_take_is_dropped_oldest_first),
		cmocka_unit_test(test_a_relay_that_takes_no_control_is_stuck),
		cmocka_unit_test(
			test_T22_what_one_relay_does_not_take_is_bounded_over_all_its_links),
		cmocka_unit_test(test_T22_a_name_has_so_many_links_and_others_have_theirs),
		cmocka_unit_test(test_T22_what_a_name_may_open_comes_back_with_time),
		cmocka_unit_test(test_there_are_so_many_names_and_one_that_is_gone_makes_room),
		cmocka_unit_test(test_T22_one_relay_does_not_fill_the_shards_mailboxes),
		cmocka_unit_test(test_T22_a_leg_of_the_far_future_came_now),
		cmocka_unit_test(test_of_two_legs_one_is_the_newer_for_all),
		cmocka_unit_test(test_the_newest_leg_says_where_a_node_is),
		cmocka_unit_test(test_what_is_heard_of_longest_ago_is_forgotten_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
