/*
 * What waits to go out over a leg: lanes by channel, their bounds, turns, and what becomes of lanes
 * whose channels are gone. No clock but the one passed in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg/leg_frame.h"
#include "leg/leg_outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LANE_BYTES = 10000, AGE_MS = 50 };

struct world {
	struct metrics *metrics;
	struct leg_outbox outbox;
};

static struct world *
world_new(bool is_node)
{
	struct world *world = calloc(1, sizeof *world);

	assert_non_null(world);
	assert_int_equal(metrics_new("test", &world->metrics), 0);
	assert_int_equal(
		leg_outbox_init(&world->outbox, is_node, LANE_BYTES, AGE_MS, world->metrics), 0);
	return world;
}

static void
world_free(struct world *world)
{
	leg_outbox_fini(&world->outbox);
	metrics_free(&world->metrics);
	free(world);
}

static uint64_t
dropped(const struct world *world, enum fair_drop_reason reason)
{
	return metric_value(world->outbox.dropped[reason]);
}

/* A message of `count` datagrams of n bytes, each beginning with its mark. */
static int
push(struct world *world, uint32_t channel, uint8_t mark, size_t n, unsigned count, int64_t now_ms)
{
	uint8_t message[4096], datagram[2048];
	struct leg_writer writer;

	memset(datagram, mark, n);
	leg_writer_init(&writer, world->outbox.is_node, channel, message, sizeof message);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(leg_writer_add(&writer, datagram, n), 0);
	return leg_outbox_push(&world->outbox,
			       leg_outbox_item(message, 3, message + 3, writer.n - 3, now_ms),
			       false);
}

/* The mark of what is next; -1: nothing. */
static int
take(struct world *world, int64_t now_ms)
{
	struct fair_item *item = leg_outbox_take(&world->outbox, now_ms);
	size_t n;
	int mark;

	if (item == NULL)
		return -1;
	const uint8_t *message = leg_outbox_message(item, &n);
	mark = message[n - 1];
	assert_true(message[0] == LEG_KIND_CONTROL ||
		    leg_message_check(world->outbox.is_node, message, n) == 0);
	free(item);
	return mark;
}

static void
test_each_channel_of_a_node_has_its_lane_and_a_client_has_one(void **state)
{
	struct world *node = world_new(true), *client = world_new(false);

	(void)state;
	for (uint32_t channel = 1; channel <= 3; channel++) {
		assert_int_equal(push(node, channel << 16, 1, 100, 1, 0), 0);
		assert_int_equal(push(client, channel << 16, 1, 100, 1, 0), 0);
	}
	assert_int_equal(node->outbox.lanes.count, 3);
	assert_int_equal(client->outbox.lanes.count, 1);
	world_free(node);
	world_free(client);
}

/* Whether something waits, or lately did, in the channel's lane. */
static bool
has_lane(const struct world *world, uint32_t channel)
{
	return idtable_find(&world->outbox.lanes, &channel) != NULL;
}

static void
test_a_lane_is_of_the_whole_of_a_channels_number(void **state)
{
	static const uint32_t channels[] = { 1, 1 << 8, 1 << 16, 1 << 24, 0x81020304, 0x81020305 };
	struct world *node = world_new(true), *client = world_new(false);

	(void)state;
	for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
		assert_int_equal(push(node, channels[i], 1, 100, 1, 0), 0);
		assert_int_equal(push(node, channels[i], 1, 200, 1, 0), 0);
		assert_true(has_lane(node, channels[i]));
		assert_int_equal(node->outbox.lanes.count, i + 1);
		/* No number is in a client's message, whatever its bytes. */
		assert_int_equal(push(client, 0, (uint8_t)i, 100 + i, 1, 0), 0);
	}
	assert_int_equal(client->outbox.lanes.count, 1);
	assert_true(has_lane(client, 0));
	world_free(node);
	world_free(client);
}

/* Who sends them is ours, and they go nowhere; but nothing beyond their end is read. */
static void
test_a_message_too_short_for_a_number_is_of_none(void **state)
{
	static const uint8_t message[] = { LEG_KIND_DATA, 0, 0, 0, 7 };
	struct world *world = world_new(true);

	(void)state;
	for (size_t n = 1; n <= sizeof message; n++) {
		struct fair_item *item = leg_outbox_item(message, n, NULL, 0, 0);

		assert_int_equal(leg_outbox_push(&world->outbox, item, false), 0);
		assert_int_equal(has_lane(world, 7), n == sizeof message);
	}
	assert_true(has_lane(world, 0));
	world_free(world);
}

static void
test_what_waits_is_gone_with_its_connection(void **state)
{
	static const uint8_t control[] = { LEG_KIND_CONTROL, 1 };
	struct world *world = world_new(true);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		push(world, 1, 1, 100, 3, 0);
		assert_int_equal(leg_outbox_push(&world->outbox,
						 leg_outbox_item(control, 2, NULL, 0, 0), true),
				 0);
		if (i > 0) /* these are freed with all */
			break;
		leg_outbox_clear(&world->outbox);
		assert_true(leg_outbox_is_empty(&world->outbox));
		assert_int_equal(take(world, 0), -1);
		assert_int_equal(dropped(world, FAIR_DROPPED_GONE), 3);
	}
	world_free(world);
}

static void
test_one_channel_loses_its_oldest_and_no_other_channel_does(void **state)
{
	struct world *world = world_new(true);
	bool has_other = false;

	(void)state;
	assert_int_equal(push(world, 2, 200, 100, 1, 0), 0);
	for (uint8_t i = 0; i < 15; i++)
		assert_int_equal(push(world, 1, i, 1000 / 4, 4, 0), 0);
	assert_int_equal(dropped(world, FAIR_DROPPED_FULL), 6 * 4); /* datagrams */
	for (int next = 6; next < 15 || !has_other;) {
		int mark = take(world, 0);

		if (mark == 200 && !has_other)
			has_other = true;
		else
			assert_int_equal(mark, next++);
	}
	assert_int_equal(take(world, 0), -1);
	world_free(world);
}

/* Who says little does not wait for who says much, not even with its first word; but what others
 * sent before it came was not its to send. */
static void
test_a_channel_that_begins_goes_first_and_then_has_its_share(void **state)
{
	struct world *world = world_new(true);
	unsigned of_new = 0;

	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		push(world, 1 + i % 3, 1, 1000, 1, 0);
		if (i >= 24)
			assert_int_equal(take(world, 0), 1);
	}
	for (unsigned i = 0; i < 8; i++)
		push(world, 4, 4, 1000, 1, 0);
	assert_int_equal(take(world, 0), 4);
	for (unsigned i = 1; i < 8; i++)
		of_new += take(world, 0) == 4;
	assert_in_range(of_new, 1, 3);
	world_free(world);
}

static void
test_what_waited_too_long_is_not_handed_out(void **state)
{
	struct world *world = world_new(true);

	(void)state;
	push(world, 1, 1, 100, 1, 0);
	push(world, 2, 2, 100, 1, 40);
	assert_int_equal(take(world, 60), 2);
	assert_int_equal(take(world, 60), -1);
	assert_int_equal(dropped(world, FAIR_DROPPED_AGE), 1);
	assert_true(leg_outbox_is_empty(&world->outbox));
	world_free(world);
}

static void
test_control_goes_first_and_is_refused_when_there_is_too_much(void **state)
{
	struct world *world = world_new(true);
	uint8_t control[1000] = { LEG_KIND_CONTROL };
	int r = 0, n = 0;

	(void)state;
	control[999] = control[839] = 99;
	push(world, 1, 1, 100, 1, 0);
	while ((r = leg_outbox_push(&world->outbox,
				    leg_outbox_item(control, sizeof control, NULL, 0, 0), true)) ==
	       0)
		n++;
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(n, 9);
	/* There is room to the last byte. */
	assert_int_equal(
		leg_outbox_push(&world->outbox, leg_outbox_item(control, 841, NULL, 0, 0), true),
		-ENOBUFS);
	assert_int_equal(
		leg_outbox_push(&world->outbox, leg_outbox_item(control, 840, NULL, 0, 0), true),
		0);
	for (n++; n > 0; n--)
		assert_int_equal(take(world, 100 * AGE_MS), 99); /* whatever its age */
	assert_int_equal(take(world, 0), 1);
	world_free(world);
}

/* T13: however many channels there are, what waits in all is bounded. */
static void
test_t13_many_channels_are_bounded_together_at_the_cost_of_the_largest(void **state)
{
	enum { CHANNELS = 200 };
	struct world *world = world_new(true);
	unsigned handed = 0;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		push(world, 1000, 1, 1000, 1, 0);
	for (uint32_t channel = 1; channel <= CHANNELS; channel++)
		push(world, channel, 2, 150, 1, 0);
	assert_in_range(world->outbox.fair.lane_bytes +
				FAIR_ITEM_COST_BYTES * world->outbox.fair.lane_items,
			LANE_BYTES, LEG_OUTBOX_LANES_FULL * LANE_BYTES);
	assert_in_range(dropped(world, FAIR_DROPPED_MEMORY), 7, CHANNELS);
	while (take(world, 0) != -1)
		handed++;
	assert_int_equal(handed + dropped(world, FAIR_DROPPED_MEMORY), CHANNELS + 8);
	world_free(world);
}

static void
test_t13_one_that_is_large_takes_the_places_of_several(void **state)
{
	struct world *world = world_new(true);

	(void)state;
	for (unsigned i = 0; i < 400; i++)
		push(world, 1 + i % 5, 1, 100, 1, 0);
	assert_true(dropped(world, FAIR_DROPPED_MEMORY) > 0);
	push(world, 6, 2, 2000, 1, 0);
	assert_in_range(world->outbox.fair.lane_bytes +
				FAIR_ITEM_COST_BYTES * world->outbox.fair.lane_items,
			LANE_BYTES, LEG_OUTBOX_LANES_FULL * LANE_BYTES);
	assert_true(has_lane(world, 6));
	world_free(world);
}

/* Channel numbers do not come back for long: lanes of those that are gone must not pile up. */
static void
test_lanes_in_which_nothing_waits_go(void **state)
{
	struct world *world = world_new(true);

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		push(world, 7, 7, 1000, 1, 0);
	for (uint32_t channel = 100; channel < 20000; channel++) {
		push(world, 7, 7, 1000, 1, 0); /* there is always something that waits */
		push(world, channel, 1, 100, 1, 0);
		assert_true(take(world, 0) > 0 && take(world, 0) > 0);
	}
	assert_true(world->outbox.lanes.count < 300);
	leg_outbox_clear(&world->outbox);
	assert_int_equal(world->outbox.lanes.count, 0);
	assert_int_equal(take(world, 0), -1);
	push(world, 7, 8, 100, 1, 0); /* the next connection's */
	assert_int_equal(take(world, 0), 8);
	world_free(world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_channel_of_a_node_has_its_lane_and_a_client_has_one),
		cmocka_unit_test(test_a_lane_is_of_the_whole_of_a_channels_number),
		cmocka_unit_test(test_a_message_too_short_for_a_number_is_of_none),
		cmocka_unit_test(test_what_waits_is_gone_with_its_connection),
		cmocka_unit_test(test_one_channel_loses_its_oldest_and_no_other_channel_does),
		cmocka_unit_test(test_a_channel_that_begins_goes_first_and_then_has_its_share),
		cmocka_unit_test(test_what_waited_too_long_is_not_handed_out),
		cmocka_unit_test(test_control_goes_first_and_is_refused_when_there_is_too_much),
		cmocka_unit_test(
			test_t13_many_channels_are_bounded_together_at_the_cost_of_the_largest),
		cmocka_unit_test(test_t13_one_that_is_large_takes_the_places_of_several),
		cmocka_unit_test(test_lanes_in_which_nothing_waits_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
