/*
 * Legs from which nothing comes, or no more (W47): each is closed at its own deadline, and nobody
 * else is. The deadlines are short for the legs that wait for them, and apply to no other test.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_fixture.h"

#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t session_id[UUID_BYTES] = "session-00000001";

static struct relay_fixture relay;

static int
set_up_hasty(void **state)
{
	*state = &relay;
	relay_fixture_start(&relay, false, "half_frame_deadline = 300ms");
	return 0;
}

static int
set_up_wary(void **state)
{
	*state = &relay;
	relay_fixture_start(&relay, false, "silence_deadline = 3s");
	return 0;
}

/* Bytes that begin something, and then none. */
#define CODE_AFTER(text) leg_talk_code_for(&relay, node_id, session_id, text, sizeof(text) - 1)

static void
test_W47_half_a_frame_and_silence_is_closed(void **state)
{
	(void)state;
	assert_int_equal(CODE_AFTER("\x82\xfe\x01\x00" NO_MASK "half"), 1008);
	assert_int_equal(CODE_AFTER("\x82"), 1008);
	assert_int_equal(CODE_AFTER("\x02\x81" NO_MASK "x"), 1008); /* half a message */
}

/* What begins a message, and what goes on with it and never ends it: for about twice the deadline,
 * and not eight times, which is more than a message may have of fragments. */
static void
expect_closed_in_time(const void *start, size_t start_n, const void *drip, size_t drip_n)
{
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *leg = raw_leg_open(&relay, node_id, session_id);
	uint32_t channel = leg_talk_channel(node, session_id);
	int64_t end_ms = clock_monotonic_ms() + 10 * 1000;
	unsigned drips = 0;

	assert_true(raw_leg_write(leg, start, start_n));
	do {
		assert_true(clock_monotonic_ms() < end_ms);
		if (drips++ < 7)
			raw_leg_write(leg, drip, drip_n);
	} while (raw_leg_is_quiet(leg, 80));
	leg_talk_expect_close(node, channel);
	assert_int_equal(relay_fixture_counter(&relay, "legs_closed_total{reason=\"silent\"}"), 1);
	raw_leg_close(&leg);
	raw_leg_close(&node);
}

#define EXPECT_CLOSED_IN_TIME(start, drip) \
	expect_closed_in_time(start, sizeof(start) - 1, drip, sizeof(drip) - 1)

/* The deadline is the message's, not its next byte's. */
static void
test_W47_a_byte_now_and_then_does_not_put_it_off(void **state)
{
	(void)state;
	EXPECT_CLOSED_IN_TIME("\x82\xfe\xff\x00" NO_MASK, "x");
}

static void
test_W47_a_fragment_now_and_then_does_not_put_it_off(void **state)
{
	(void)state;
	EXPECT_CLOSED_IN_TIME("\x02\x81" NO_MASK "x", "\x00\x81" NO_MASK "x");
}

/* A peer from which nothing comes, no pong either, is closed; one that says anything is not,
 * although it has been there for longer. */
static void
test_a_silent_leg_is_closed_and_a_live_one_is_not(void **state)
{
	struct raw_leg *live = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *silent = raw_leg_open(&relay, node_id, session_id);
	uint32_t channel = leg_talk_channel(live, session_id);
	int64_t end_ms = clock_monotonic_ms() + 15 * 1000;

	(void)state;
	while (raw_leg_is_quiet(silent, 100) && clock_monotonic_ms() < end_ms)
		assert_true(raw_leg_send(live, 0x8a, (const uint8_t *)"", 0));
	leg_talk_expect_close(live, channel);
	assert_int_equal(relay_fixture_counter(&relay, "legs_closed_total{reason=\"silent\"}"), 1);
	raw_leg_close(&silent);
	silent = raw_leg_open(&relay, node_id, session_id);
	leg_talk_exchange(live, silent, leg_talk_channel(live, session_id));
	raw_leg_close(&silent);
	raw_leg_close(&live);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_W47_half_a_frame_and_silence_is_closed,
						set_up_hasty, relay_fixture_tear_down),
		cmocka_unit_test_setup_teardown(test_W47_a_byte_now_and_then_does_not_put_it_off,
						set_up_hasty, relay_fixture_tear_down),
		cmocka_unit_test_setup_teardown(
			test_W47_a_fragment_now_and_then_does_not_put_it_off, set_up_hasty,
			relay_fixture_tear_down),
		cmocka_unit_test_setup_teardown(test_a_silent_leg_is_closed_and_a_live_one_is_not,
						set_up_wary, relay_fixture_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
