/*
 * What a sender is told of its losses: all of them, once a second, and nothing of those that came
 * of a leg's end; and how much memory a shard has.
 */
#include "shard_alone.h"

#include "leg/leg_frame.h"
#include "link.pb-c.h"
#include "relay/relay_drops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { CLIENTS = 3, BUDGET_BYTES = 1024 * 1024 };

static struct shard_alone rig;
static struct relay_leg *clients[CLIENTS];
static int fds[CLIENTS];

static int
set_up(void **state)
{
	struct relay_settings settings = shard_alone_settings;
	char answer[1024];

	(void)state;
	settings.queue_budget_bytes = BUDGET_BYTES;
	shard_alone_start(&rig, &settings);
	for (unsigned i = 0; i < CLIENTS; i++) {
		fds[i] = shard_alone_attach(&rig, TICKET_ROLE_SESSION, i, &clients[i]);
		assert_true(read(fds[i], answer, sizeof(answer)) > 0);
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++)
		close(fds[i]);
	shard_alone_stop(&rig);
	return 0;
}

static void
note(unsigned i, uint32_t n)
{
	relay_drops_note(rig.shard, &clients[i]->channel->to_node,
			 BOSON__LINK__LIMITED__REASON__QUEUE, n, 0);
}

/* What the client is told now; 0: nothing. */
static uint64_t
told(unsigned i)
{
	uint8_t frame[256];

	relay_drops_tell(rig.shard);
	relay_round_flush(rig.shard);
	ssize_t n = read(fds[i], frame, sizeof(frame));
	if (n <= 0)
		return 0;
	assert_int_equal(frame[0], 0x82);
	assert_int_equal(frame[2], LEG_KIND_CONTROL);
	Boson__Link__Control *control =
		boson__link__control__unpack(NULL, (size_t)frame[1] - 1, frame + 3);
	assert_non_null(control);
	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_LIMITED);
	uint64_t dropped = control->limited->dropped;
	boson__link__control__free_unpacked(control, NULL);
	return dropped;
}

static void
test_losses_are_added_up_and_told_once_a_second(void **state)
{
	(void)state;
	note(0, 3);
	note(0, 4);
	assert_int_equal(told(0), 7);
	rig.shard->now_ms += RELAY_TELL_EVERY_MS - 1;
	note(0, 2);
	/* Not either because there is something to be said the other way. */
	relay_drops_note(rig.shard, &clients[0]->channel->to_client,
			 BOSON__LINK__LIMITED__REASON__QUEUE, 1, 0);
	assert_int_equal(told(0), 0);
	rig.shard->now_ms += 1;
	note(0, 1);
	assert_int_equal(told(0), 3);
	rig.shard->now_ms += RELAY_TELL_EVERY_MS;
	assert_int_equal(told(0), 0);
}

static void
test_each_is_told_of_its_own_and_who_has_gone_of_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++)
		note(i, i + 1);
	relay_drops_forget(clients[1]->channel);
	assert_int_equal(told(0), 1);
	assert_int_equal(told(1), 0);
	assert_int_equal(told(2), 3);
	assert_null(rig.shard->limited);
}

/* One datagram of 32 bytes, to a client. */
static void
test_what_goes_with_a_leg_is_counted_and_told_to_nobody(void **state)
{
	static const uint8_t frame[2 + 1 + 2 + 32] = { 0x82, 35, LEG_KIND_DATA, 0, 32, 4 };
	struct fair_lane *lane = &clients[0]->channel->to_client.fair;
	struct fair_item *item = fair_item_new(frame, sizeof(frame), 0);

	(void)state;
	relay_drops_count(lane, item, FAIR_DROPPED_GONE, rig.shard);
	assert_null(rig.shard->limited);
	assert_int_equal(relay_counter_get(&rig.shard->counters, RELAY_DROP_LEG_GONE), 1);
	relay_drops_count(lane, item, FAIR_DROPPED_AGE, rig.shard);
	assert_non_null(rig.shard->limited);
	assert_int_equal(relay_counter_get(&rig.shard->counters, RELAY_DROP_QUEUE_AGE), 1);
	free(item);
}

static void
test_shards_have_equal_parts_of_the_memory(void **state)
{
	(void)state;
	assert_true(relay_drops_make_room(rig.shard, BUDGET_BYTES - FAIR_ITEM_COST_BYTES));
	assert_false(relay_drops_make_room(rig.shard, BUDGET_BYTES - FAIR_ITEM_COST_BYTES + 1));
	rig.shard->count = 2;
	assert_true(relay_drops_make_room(rig.shard, BUDGET_BYTES / 2 - FAIR_ITEM_COST_BYTES));
	assert_false(relay_drops_make_room(rig.shard, BUDGET_BYTES / 2));
	rig.shard->count = 1;
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_losses_are_added_up_and_told_once_a_second),
		EACH(test_each_is_told_of_its_own_and_who_has_gone_of_nothing),
		EACH(test_what_goes_with_a_leg_is_counted_and_told_to_nobody),
		EACH(test_shards_have_equal_parts_of_the_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
