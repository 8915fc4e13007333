/*
 * The model of link_box: what its lines do to frames, by times that the test chooses.
 */
#include "line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FRAME_BYTES = 1250, ETHERNET_BYTES = 14 }; /* 10000 bits */

static const int64_t MS = 1000000, SEC = 1000000000;

static struct line *
make(struct line_conditions conditions)
{
	struct line *line;

	conditions.seed = 7;
	assert_int_equal(line_new(&conditions, &line), 0);
	return line;
}

/* A frame that carries its number. */
static void
offer(struct line *line, uint32_t number, int64_t now_ns)
{
	uint8_t frame[FRAME_BYTES] = { 0 };

	memcpy(frame + ETHERNET_BYTES, &number, sizeof(number));
	line_offer(line, frame, sizeof(frame), now_ns);
}

/* Its number; UINT32_MAX: none is due. */
static uint32_t
take(struct line *line, int64_t now_ns)
{
	struct line_frame *frame = line_take(line, now_ns);
	uint32_t number = UINT32_MAX;

	if (frame != NULL)
		memcpy(&number, frame->bytes + ETHERNET_BYTES, sizeof(number));
	free(frame);
	return number;
}

static void
test_a_line_without_conditions_hands_over_at_once(void **state)
{
	struct line *line = make((struct line_conditions){ 0 });

	(void)state;
	assert_true(line_due_ns(line) == INT64_MAX);
	offer(line, 1, SEC);
	offer(line, 2, SEC);
	assert_true(line_due_ns(line) == SEC);
	assert_int_equal(take(line, SEC), 1);
	assert_int_equal(take(line, SEC), 2);
	assert_int_equal(take(line, SEC), UINT32_MAX);
	assert_int_equal(line_counted(line)->sent_bytes, 2 * FRAME_BYTES);
	line_free(&line);
}

static void
test_a_delay_is_that_of_each_frame(void **state)
{
	struct line *line = make((struct line_conditions){ .delay_ns = 150 * MS });

	(void)state;
	offer(line, 1, 0);
	offer(line, 2, 30 * MS);
	assert_int_equal(take(line, 150 * MS - 1), UINT32_MAX);
	assert_int_equal(take(line, 150 * MS), 1);
	assert_int_equal(take(line, 180 * MS - 1), UINT32_MAX);
	assert_int_equal(take(line, 180 * MS), 2);
	line_free(&line);
}

/* 10 kbit at 1 Mbit/s are 10 ms. */
static void
test_frames_leave_at_the_rate(void **state)
{
	struct line *line =
		make((struct line_conditions){ .rate_bit_s = 1000000, .queue_bytes = 1 << 20 });

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		offer(line, i, 0);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(take(line, (i + 1) * 10 * MS - 1), UINT32_MAX);
		assert_int_equal(take(line, (i + 1) * 10 * MS), i);
	}
	assert_true(line_counted(line)->waited_max_ns == 990 * MS);
	line_free(&line);
}

static void
test_a_full_queue_drops_at_its_tail_until_something_has_left(void **state)
{
	struct line *line = make(
		(struct line_conditions){ .rate_bit_s = 1000000, .queue_bytes = 3 * FRAME_BYTES });

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		offer(line, i, 0);
	assert_int_equal(line_counted(line)->dropped, 7);
	offer(line, 20, 9 * MS);
	assert_int_equal(line_counted(line)->dropped, 8);
	offer(line, 21, 10 * MS);
	assert_int_equal(line_counted(line)->dropped, 8);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(take(line, SEC), i);
	assert_int_equal(take(line, SEC), 21);
	line_free(&line);
}

static void
test_a_queue_of_less_than_a_frame_still_lets_one_pass(void **state)
{
	struct line *line =
		make((struct line_conditions){ .rate_bit_s = 1000000, .queue_bytes = 1 });

	(void)state;
	offer(line, 1, 0);
	offer(line, 2, 1 * MS);
	offer(line, 3, 10 * MS);
	assert_int_equal(take(line, SEC), 1);
	assert_int_equal(take(line, SEC), 3);
	line_free(&line);
}

static uint64_t
lost_of(uint32_t frames, uint64_t seed, int64_t share)
{
	struct line_conditions conditions = { .loss_share = share, .seed = seed };
	struct line *line;

	assert_int_equal(line_new(&conditions, &line), 0);
	for (uint32_t i = 0; i < frames; i++) {
		offer(line, i, 0);
		take(line, 0);
	}
	uint64_t lost = line_counted(line)->lost;
	assert_int_equal(line_counted(line)->sent + lost, frames);
	line_free(&line);
	return lost;
}

static void
test_loss_is_the_share_that_was_asked_for_and_of_the_seed(void **state)
{
	(void)state;
	assert_int_equal(lost_of(1000, 1, 0), 0);
	assert_int_equal(lost_of(1000, 1, LINE_SHARE_WHOLE), 1000);
	assert_in_range(lost_of(20000, 1, LINE_SHARE_WHOLE / 20), 900, 1100);
	assert_int_equal(lost_of(20000, 5, LINE_SHARE_WHOLE / 20),
			 lost_of(20000, 5, LINE_SHARE_WHOLE / 20));
	assert_int_not_equal(lost_of(20000, 5, LINE_SHARE_WHOLE / 20),
			     lost_of(20000, 6, LINE_SHARE_WHOLE / 20));
}

/* What a line loses does not depend on its other conditions: runs can be compared. */
static void
test_another_condition_does_not_change_what_is_lost(void **state)
{
	struct line *plain = make((struct line_conditions){ .loss_share = 100000 });
	struct line *other = make((struct line_conditions){ .loss_share = 100000,
							    .overtake_share = 300000,
							    .overtaken_by_ns = 1,
							    .double_share = 300000 });

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		offer(plain, i, 0);
		offer(other, i, 0);
		assert_int_equal(line_counted(plain)->lost, line_counted(other)->lost);
	}
	line_free(&plain);
	line_free(&other);
}

static void
test_a_doubled_frame_comes_twice(void **state)
{
	struct line *line = make((struct line_conditions){ .double_share = LINE_SHARE_WHOLE });

	(void)state;
	offer(line, 1, 0);
	offer(line, 2, 0);
	assert_int_equal(take(line, 0), 1);
	assert_int_equal(take(line, 0), 1);
	assert_int_equal(take(line, 0), 2);
	assert_int_equal(take(line, 0), 2);
	assert_int_equal(take(line, 0), UINT32_MAX);
	assert_int_equal(line_counted(line)->doubled, 2);
	line_free(&line);
}

static void
test_a_share_of_frames_is_overtaken(void **state)
{
	struct line *line = make((struct line_conditions){ .overtake_share = LINE_SHARE_WHOLE / 10,
							   .overtaken_by_ns = 10 * MS });
	uint32_t late = 0, newest = 0, number;

	(void)state;
	for (int64_t at = 0; at < 1010 * MS; at += MS) {
		if (at < 1000 * MS)
			offer(line, (uint32_t)(at / MS), at);
		while ((number = take(line, at)) != UINT32_MAX) {
			late += number < newest;
			newest = number > newest ? number : newest;
		}
	}
	assert_int_equal(line_counted(line)->sent, 1000);
	assert_in_range(line_counted(line)->overtaken, 60, 140);
	/* One that is overtaken by nobody but others of its kind may come in its turn. */
	assert_in_range(late, 50, line_counted(line)->overtaken);
	line_free(&line);
}

static void
test_jitter_moves_the_delay_within_its_bounds_and_keeps_the_order(void **state)
{
	struct line *line =
		make((struct line_conditions){ .delay_ns = 150 * MS, .jitter_ns = 100 * MS });
	int64_t least = INT64_MAX, most = 0;
	uint32_t next = 0;

	(void)state;
	for (int64_t at = 0; at < 20 * SEC; at += MS) {
		offer(line, (uint32_t)(at / MS), at);
		while (line_due_ns(line) <= at) {
			int64_t took = line_due_ns(line) - next * MS;
			least = took < least ? took : least;
			most = took > most ? took : most;
			assert_int_equal(take(line, at), next++);
		}
	}
	assert_in_range(least, 50 * MS, 90 * MS);
	assert_in_range(most, 210 * MS, 250 * MS);
	line_free(&line);
}

static void
offer_ip(struct line *line, size_t ip_bytes, uint16_t ethertype, uint8_t at, uint8_t value)
{
	uint8_t frame[LINE_FRAME_MAX_BYTES] = { 0 };

	frame[12] = (uint8_t)(ethertype >> 8);
	frame[13] = (uint8_t)ethertype;
	frame[ETHERNET_BYTES + at] = value;
	line_offer(line, frame, ETHERNET_BYTES + ip_bytes, 0);
}

static void
test_what_is_longer_than_the_mtu_vanishes(void **state)
{
	struct line *line = make((struct line_conditions){ .mtu_bytes = 1280 });

	(void)state;
	offer_ip(line, 1280, 0x0800, 0, 0x45);
	offer_ip(line, 1281, 0x0800, 0, 0x45);
	assert_int_equal(line_counted(line)->too_long, 1);
	free(line_take(line, 0));
	assert_null(line_take(line, 0));
	line_free(&line);
}

static void
test_fragments_are_counted(void **state)
{
	struct line *line = make((struct line_conditions){ 0 });

	(void)state;
	offer_ip(line, 100, 0x0800, 6, 0x40); /* "don't fragment" */
	offer_ip(line, 100, 0x86dd, 6, 17);
	offer_ip(line, 100, 0x0806, 6, 0x20);
	assert_int_equal(line_counted(line)->fragments, 0);
	offer_ip(line, 100, 0x0800, 6, 0x20); /* "more fragments" */
	offer_ip(line, 100, 0x0800, 7, 1);    /* an offset */
	offer_ip(line, 100, 0x86dd, 6, 44);
	assert_int_equal(line_counted(line)->fragments, 3);
	offer_ip(line, 1, 0x0800, 0, 0x45);
	assert_int_equal(line_counted(line)->fragments, 3);
	line_free(&line);
}

static void
test_what_is_held_is_bounded(void **state)
{
	struct line *line = make((struct line_conditions){ .delay_ns = SEC });
	static const uint8_t frame[LINE_FRAME_MAX_BYTES];
	const uint64_t fit = LINE_HELD_MAX_BYTES / LINE_FRAME_MAX_BYTES;

	(void)state;
	for (uint64_t i = 0; i < fit + 5; i++)
		line_offer(line, frame, sizeof(frame), 0);
	assert_int_equal(line_counted(line)->held_back, 5);
	free(line_take(line, SEC));
	line_offer(line, frame, sizeof(frame), SEC);
	assert_int_equal(line_counted(line)->held_back, 5);
	line_free(&line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_without_conditions_hands_over_at_once),
		cmocka_unit_test(test_a_delay_is_that_of_each_frame),
		cmocka_unit_test(test_frames_leave_at_the_rate),
		cmocka_unit_test(test_a_full_queue_drops_at_its_tail_until_something_has_left),
		cmocka_unit_test(test_a_queue_of_less_than_a_frame_still_lets_one_pass),
		cmocka_unit_test(test_loss_is_the_share_that_was_asked_for_and_of_the_seed),
		cmocka_unit_test(test_another_condition_does_not_change_what_is_lost),
		cmocka_unit_test(test_a_doubled_frame_comes_twice),
		cmocka_unit_test(test_a_share_of_frames_is_overtaken),
		cmocka_unit_test(test_jitter_moves_the_delay_within_its_bounds_and_keeps_the_order),
		cmocka_unit_test(test_what_is_longer_than_the_mtu_vanishes),
		cmocka_unit_test(test_fragments_are_counted),
		cmocka_unit_test(test_what_is_held_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
