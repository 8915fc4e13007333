/*
 * leg_window over simulated ways: it fills them, keeps the queue short, and never stops. All times
 * are simulated, so nothing here depends on how fast the machine is.
 */
#include "leg_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SEC_US = 1000 * 1000, MBIT = 1000 * 1000 / 8 };

struct way {
	uint64_t rate;
	int64_t delay_us;
};

static const struct way ways[] = {
	{ 1000 * MBIT, 100 }, { 200 * MBIT, 100 },  { 20 * MBIT, 2000 },  { 100 * MBIT, 10000 },
	{ 10 * MBIT, 20000 }, { 50 * MBIT, 50000 }, { 5 * MBIT, 200000 },
};

enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* What was read in the last run, of what the narrow place moves in that time. */
static double
filled(const struct leg_path *path, double seconds)
{
	double read = 0;

	for (unsigned i = 0; i < LEG_PATH_FLOWS_MAX; i++)
		read += (double)path->flows[i].read;
	return read / ((double)path->rate * seconds);
}

/* From being sent to being read, at most: the way, the target's queue, and what a few packets take
 * at this rate. */
static double
bound_us(const struct leg_path *path)
{
	double delay = (double)path->delay_us, target = delay / LEG_WINDOW_TARGET_PART;
	double packets = 8.0 * LEG_WINDOW_PACKET_BYTES * SEC_US / (double)path->rate;

	if (target < LEG_WINDOW_TARGET_LEAST_US)
		target = LEG_WINDOW_TARGET_LEAST_US;
	return delay / 2 + 2 * target + packets;
}

static void
settle(struct leg_path *path, const struct way *way)
{
	leg_path_init(path, way->rate, way->delay_us);
	leg_path_run(path, 20 * SEC_US);
}

static void
assert_settled(struct leg_path *path)
{
	leg_path_run(path, 5 * SEC_US);
	assert_true(filled(path, 5) >= 0.94);
	assert_true(leg_path_mean_delay_us(&path->flows[0]) <= bound_us(path));
}

static void
test_a_way_is_filled_and_its_queue_is_short(void **state)
{
	struct leg_path path;

	(void)state;
	for (unsigned i = 0; i < WAYS; i++) {
		settle(&path, &ways[i]);
		assert_settled(&path);
		leg_path_fini(&path);
	}
}

static void
settle_beside_a_modest_one(struct leg_path *path, const struct way *way)
{
	leg_path_init(path, way->rate, way->delay_us);
	path->flows[0].modest_every_us = way->delay_us >= 10000 ? 20000 : 1000;
	leg_path_run(path, 5 * SEC_US);
}

/* What a modest session's datagram waits beyond the way's own delay, beside one that sends without
 * end: over a home's line, and to a reader of this rate on the same machine. */
static void
test_a_modest_session_waits_for_little_more_than_the_target(void **state)
{
	static const struct {
		struct way way;
		uint32_t half_us, most_us;
	} cases[] = {
		{ { 20 * MBIT, 20000 }, 2000, 3500 },
		{ { 200 * MBIT, 60 }, 500, 800 },
	};
	struct leg_path path;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		settle_beside_a_modest_one(&path, &cases[i].way);
		leg_path_run(&path, 20 * SEC_US);
		uint32_t way_us = (uint32_t)path.delay_us / 2;
		assert_true(leg_path_wait_us(&path.flows[0].modest, 0.5) <=
			    way_us + cases[i].half_us);
		assert_true(leg_path_wait_us(&path.flows[0].modest, 0.99) <=
			    way_us + cases[i].most_us);
		assert_true(filled(&path, 20) >= 0.98);
		leg_path_fini(&path);
	}
}

/* A reader who looks each millisecond answers one mark for several, a sender who hands on all that
 * may go marks only its end, and others' packets come between: clumps, which are no queue that
 * stays. */
static void
test_clumps_keep_no_queue_standing_before_a_modest_session(void **state)
{
	struct leg_path path;

	(void)state;
	settle_beside_a_modest_one(&path, &(struct way){ 20 * MBIT, 20000 });
	path.flows[0].is_batched = true;
	path.read_every_us = 1000;
	path.others_every_us = 500;
	path.others_bytes = 80;
	leg_path_run(&path, 20 * SEC_US);
	assert_true(leg_path_wait_us(&path.flows[0].modest, 0.5) <= 10000 + 3000);
	assert_true(leg_path_wait_us(&path.flows[0].modest, 0.99) <= 10000 + 5000);
	assert_true(filled(&path, 20) >= 0.9); /* the others' packets apart */
	leg_path_fini(&path);
}

/* What could not be read meanwhile waits where modest ones overtake it: none of them waits for
 * longer than the reader was away, and a little. */
static void
test_a_reader_that_is_away_now_and_then_leaves_no_queue_behind(void **state)
{
	struct leg_path path;

	(void)state;
	settle_beside_a_modest_one(&path, &(struct way){ 200 * MBIT, 60 });
	path.hiccup_every_us = 20000;
	path.hiccup_us = 2000;
	leg_path_run(&path, 3 * SEC_US);
	leg_path_run(&path, 10 * SEC_US);
	assert_true(leg_path_wait_us(&path.flows[0].modest, 0.5) <= 700);
	assert_true(leg_path_wait_us(&path.flows[0].modest, 0.99) <= 3000 + 700);
	assert_true(filled(&path, 10) >= 0.95);
	leg_path_fini(&path);
}

/* A sender who is not given its processor for 10 ms finds the pongs of these 10 ms at once; what
 * they open is no burst that stands before others in the narrow place. */
static void
test_a_pause_of_the_sender_is_not_made_up_for_at_once(void **state)
{
	struct leg_path path;

	(void)state;
	settle_beside_a_modest_one(&path, &(struct way){ 20 * MBIT, 20000 });
	path.others_every_us = 2000;
	path.others_bytes = 80;
	path.are_senders_away = true;
	path.hiccup_every_us = 400000;
	path.hiccup_us = 10000;
	leg_path_run(&path, 20 * SEC_US);
	assert_true(leg_path_wait_us(&path.others, 0.98) <= 6000);
	assert_true(leg_path_wait_us(&path.flows[0].modest, 0.97) <= 10000 + 7000);
	assert_true(filled(&path, 20) >= 0.95);
	leg_path_fini(&path);
}

/* A shaper lets 100 KB through at once when nothing came for a while: so each time the window
 * drains the way looks faster than it is, and no queue may stay because of that. */
static void
test_credit_for_bursts_is_not_taken_for_the_rate(void **state)
{
	struct leg_path path;

	(void)state;
	settle_beside_a_modest_one(&path, &(struct way){ 20 * MBIT, 20000 });
	path.burst_bytes = 100 * 1000;
	path.others_every_us = 500;
	path.others_bytes = 80;
	leg_path_run(&path, 20 * SEC_US);
	leg_path_run(&path, 20 * SEC_US);
	assert_true(leg_path_wait_us(&path.flows[0].modest, 0.5) <= 10000 + 1800);
	assert_true(filled(&path, 20) >= 0.9);
	leg_path_fini(&path);
}

/* The socket's own limits, which there were before: a quarter of a megabyte. */
static void
test_without_it_the_queue_is_as_long_as_the_socket_lets_it(void **state)
{
	struct leg_path path;

	(void)state;
	leg_path_init(&path, 20 * MBIT, 2000);
	path.flows[0].window.again_us = INT64_MAX;
	leg_path_run(&path, 5 * SEC_US);
	leg_path_run(&path, 5 * SEC_US);
	assert_true(leg_path_mean_delay_us(&path.flows[0]) > 10 * bound_us(&path));
	leg_path_fini(&path);
}

static void
test_a_way_that_becomes_ten_times_faster_is_filled_soon(void **state)
{
	struct leg_path path;

	(void)state;
	for (unsigned i = 0; i < WAYS; i++) {
		settle(&path, &ways[i]);
		path.rate *= 10;
		path.socket_bytes *= 10;
		leg_path_run(&path, 3 * SEC_US);
		assert_settled(&path);
		leg_path_fini(&path);
	}
}

static void
test_a_way_that_becomes_ten_times_slower_is_not_flooded_for_long(void **state)
{
	struct leg_path path;

	(void)state;
	for (unsigned i = 0; i < WAYS - 1; i++) { /* 0.5 Mbit/s and 200 ms need minutes */
		settle(&path, &ways[i]);
		path.rate /= 10;
		leg_path_run(&path, 10 * SEC_US);
		leg_path_run(&path, 5 * SEC_US);
		assert_true(filled(&path, 5) >= 0.94);
		assert_true(leg_path_mean_delay_us(&path.flows[0]) <= 2 * bound_us(&path));
		leg_path_fini(&path);
	}
}

static void
test_a_way_that_becomes_longer_or_shorter_is_learnt(void **state)
{
	struct leg_path path;

	(void)state;
	for (unsigned i = 0; i < WAYS - 1; i++) {
		settle(&path, &ways[i]);
		path.delay_us *= 3;
		leg_path_run(&path, 3 * SEC_US);
		assert_settled(&path);
		path.delay_us /= 3;
		leg_path_run(&path, 12 * SEC_US);
		assert_settled(&path);
		leg_path_fini(&path);
	}
}

/* One packet holds up all behind it; the pongs come late and at once. */
static void
test_losses_on_the_way_do_not_empty_it(void **state)
{
	struct leg_path path;

	(void)state;
	for (unsigned i = 0; i < WAYS; i++) {
		leg_path_init(&path, ways[i].rate, ways[i].delay_us);
		path.loss = 0.001;
		leg_path_run(&path, 10 * SEC_US);
		leg_path_run(&path, 10 * SEC_US);
		assert_true(filled(&path, 10) >= 0.9);
		path.loss = 0.01;
		leg_path_run(&path, 5 * SEC_US);
		leg_path_run(&path, 10 * SEC_US);
		assert_true(filled(&path, 10) >= 0.6);
		leg_path_fini(&path);
	}
}

static void
test_lost_pongs_do_not_stop_it(void **state)
{
	struct leg_path path;

	(void)state;
	for (unsigned i = 0; i < WAYS; i++) {
		settle(&path, &ways[i]);
		path.pong_loss = 0.5;
		leg_path_run(&path, 5 * SEC_US);
		leg_path_run(&path, 5 * SEC_US);
		assert_true(filled(&path, 5) >= 0.8);
		leg_path_fini(&path);
	}
}

/* As it was before there was a window, and no worse. */
static void
test_a_reader_that_answers_nothing_is_sent_what_its_socket_takes(void **state)
{
	struct leg_path path;

	(void)state;
	leg_path_init(&path, 50 * MBIT, 20000);
	path.flows[0].is_mute = true;
	leg_path_run(&path, 3 * SEC_US);
	leg_path_run(&path, 5 * SEC_US);
	assert_true(filled(&path, 5) >= 0.99);
	leg_path_fini(&path);
}

static void
test_a_reader_that_falls_silent_is_sent_more_in_the_end(void **state)
{
	struct leg_path path;

	(void)state;
	settle(&path, &(struct way){ 50 * MBIT, 20000 });
	path.flows[0].is_mute = true;
	leg_path_run(&path, 6 * SEC_US);
	leg_path_run(&path, 5 * SEC_US);
	assert_true(filled(&path, 5) >= 0.99);
	leg_path_fini(&path);
}

static void
test_a_reader_that_pauses_is_sent_to_again(void **state)
{
	struct leg_path path;

	(void)state;
	for (unsigned i = 0; i < WAYS; i++) {
		settle(&path, &ways[i]);
		path.flows[0].paused_until_us = path.now_us + SEC_US / 2;
		leg_path_run(&path, 3 * SEC_US);
		assert_settled(&path);
		leg_path_fini(&path);
	}
}

/* A reader that is given the processor only every few milliseconds is no slow way; where this is
 * longer than the way itself some is lost. */
static void
test_a_reader_that_reads_by_fits_and_starts_is_not_starved(void **state)
{
	struct leg_path path;

	(void)state;
	for (unsigned i = 0; i < WAYS; i++) {
		settle(&path, &ways[i]);
		path.read_every_us = 4000;
		leg_path_run(&path, 3 * SEC_US);
		leg_path_run(&path, 20 * SEC_US);
		assert_true(filled(&path, 20) >= (ways[i].delay_us == 2000 ? 0.75 : 0.95));
		leg_path_fini(&path);
	}
}

/* Pongs come now sooner, now later (a radio, a machine that is busy), and the sender looks each
 * millisecond or when one comes: the least delay of a round is never quite the least of all then,
 * and that is no queue. Others wait for no longer than they do anyway. */
static void
test_delays_that_differ_do_not_starve_a_short_way(void **state)
{
	static const struct way shorts[] = { { 100 * MBIT, 6000 }, { 30 * MBIT, 6000 } };
	struct leg_path path;

	(void)state;
	for (unsigned i = 0; i < sizeof(shorts) / sizeof(shorts[0]); i++) {
		settle_beside_a_modest_one(&path, &shorts[i]);
		path.others_every_us = 2000;
		path.others_bytes = 80;
		path.jitter_us = 1500;
		path.flows[0].look_every_us = 1000;
		leg_path_run(&path, 5 * SEC_US);
		leg_path_run(&path, 20 * SEC_US);
		assert_true(filled(&path, 20) >= 0.8);
		assert_true(leg_path_wait_us(&path.others, 0.99) <= 2500);
		leg_path_fini(&path);
	}
}

static void
test_a_leg_that_sends_less_than_fits_is_not_held_up(void **state)
{
	struct leg_path path;

	(void)state;
	settle(&path, &(struct way){ 100 * MBIT, 10000 });
	path.flows[0].offered_rate = 10 * MBIT;
	path.flows[0].offered = (path.flows[0].sent + 1) * SEC_US;
	leg_path_run(&path, 5 * SEC_US);
	leg_path_run(&path, 5 * SEC_US);
	assert_false(path.flows[0].window.is_started);
	assert_int_equal(path.flows[0].marks, 0);
	assert_in_range(path.flows[0].read, 9 * MBIT * 5, 11 * MBIT * 5);
	leg_path_fini(&path);
}

/* What is read in the first round trips, with the window or without. */
static double
read_at_first(const struct way *way, bool has_window, uint64_t *ret_marks)
{
	enum { ROUNDS = 10 };
	struct leg_path path;

	leg_path_init(&path, way->rate, way->delay_us);
	leg_path_has_tcp(&path, &path.flows[0]);
	if (!has_window)
		path.flows[0].window.again_us = INT64_MAX;
	leg_path_run(&path, ROUNDS * way->delay_us);
	double read = (double)path.flows[0].read;
	*ret_marks = path.flows[0].marks;
	leg_path_fini(&path);
	return read;
}

/* While its TCP finds out how much the way takes a leg sends what that lets go, and waits for
 * nothing else; then its window begins with what is known by that time. */
static void
test_a_window_does_not_slow_down_a_tcp_that_begins(void **state)
{
	static const struct way far[] = { { 20 * MBIT, 300000 }, { 100 * MBIT, 100000 } };
	uint64_t marks, none;

	(void)state;
	for (unsigned i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		double read = read_at_first(&far[i], true, &marks);

		assert_true(read >= 0.8 * read_at_first(&far[i], false, &none));
		assert_true(marks > 0);
		assert_int_equal(none, 0);
	}
}

/* Jain's index of two. */
static double
fairness(const struct leg_path *path)
{
	double a = (double)path->flows[0].read, b = (double)path->flows[1].read;

	return (a + b) * (a + b) / (2 * (a * a + b * b));
}

static void
test_two_share_a_narrow_place_fairly(void **state)
{
	struct leg_path path;

	(void)state;
	for (unsigned i = 0; i < WAYS; i++) {
		settle(&path, &ways[i]);
		path.flows[1].is_on = true;
		leg_path_run(&path, 10 * SEC_US);
		leg_path_run(&path, 20 * SEC_US);
		assert_true(filled(&path, 20) >= 0.95);
		assert_true(fairness(&path) >= 0.85);
		leg_path_fini(&path);
	}
}

/* Whatever happens, something goes on. */
static void
test_no_chain_of_events_stops_it(void **state)
{
	struct leg_path path, dice = { .dice = 0x9e3779b97f4a7c15 };

	(void)state;
	for (unsigned trial = 0; trial < 30; trial++) {
		const struct way *way = &ways[(unsigned)(leg_path_dice(&dice) * WAYS)];

		leg_path_init(&path, way->rate, way->delay_us);
		path.dice += trial;
		path.flows[1].is_on = leg_path_dice(&dice) < 0.3;
		for (unsigned event = 0; event < 12; event++) {
			path.rate = (uint64_t)((double)way->rate * (0.1 + leg_path_dice(&dice)));
			path.delay_us = (int64_t)((double)way->delay_us * 3 * leg_path_dice(&dice));
			path.loss = leg_path_dice(&dice) < 0.3 ? 0.02 * leg_path_dice(&dice) : 0;
			path.pong_loss = leg_path_dice(&dice) < 0.3 ? leg_path_dice(&dice) : 0;
			path.read_every_us = (uint32_t)(20000 * leg_path_dice(&dice));
			path.flows[0].paused_until_us =
				path.now_us + (int64_t)(SEC_US * leg_path_dice(&dice));
			leg_path_run(&path, (int64_t)(3 * SEC_US * leg_path_dice(&dice)));
		}
		path.loss = path.pong_loss = path.read_every_us = 0;
		path.flows[0].paused_until_us = 0;
		leg_path_run(&path, 10 * SEC_US);
		leg_path_run(&path, 10 * SEC_US);
		assert_true(filled(&path, 10) >= 0.7); /* with its drains, at 400 ms */
		leg_path_fini(&path);
	}
}

static void
test_a_pong_that_was_not_asked_for_says_nothing(void **state)
{
	struct leg_window window = { 0 };
	uint8_t mark[LEG_MARK_BYTES], other[LEG_MARK_BYTES];

	(void)state;
	leg_window_start(&window, 10000, 1000);
	leg_window_mark(&window, 1000, mark);
	memcpy(other, mark, sizeof(other));
	other[0] ^= 1;
	assert_false(leg_window_on_pong(&window, other, sizeof(other), 2000));
	assert_false(leg_window_on_pong(&window, mark, sizeof(mark) - 1, 2000));
	assert_int_equal(window.acked, 0);
	assert_true(leg_window_on_pong(&window, mark, sizeof(mark), 2000));
	assert_int_equal(window.delay_us, 1000);
	assert_int_equal(window.acked, window.sent);
	assert_false(leg_window_on_pong(&window, mark, sizeof(mark), 3000));
}

static void
test_one_pong_answers_all_marks_before_it(void **state)
{
	struct leg_window window = { 0 };
	uint8_t marks[3][LEG_MARK_BYTES];

	(void)state;
	leg_window_start(&window, 0, 0);
	for (int i = 0; i < 3; i++) {
		leg_window_sent(&window, 5000);
		leg_window_mark(&window, 100 * i, marks[i]);
	}
	assert_true(leg_window_on_pong(&window, marks[2], LEG_MARK_BYTES, 1000));
	assert_int_equal(window.acked, window.sent);
	assert_false(leg_window_on_pong(&window, marks[0], LEG_MARK_BYTES, 1100));
	assert_false(leg_window_on_pong(&window, marks[1], LEG_MARK_BYTES, 1100));
}

/* At the rate that is known by then: what was under way, in the least delay. */
static void
test_until_the_first_pong_as_much_goes_as_was_under_way(void **state)
{
	struct leg_window window = { 0 };

	(void)state;
	leg_window_expect(&window, 300000, 0);
	leg_window_start(&window, 600000, 0);
	assert_int_equal(leg_window_room(&window, 0), 0);
	assert_int_equal(leg_window_room(&window, 100000), 200000);
	leg_window_sent(&window, 200000);
	assert_int_equal(leg_window_room(&window, 100000), 0);
	assert_int_equal(leg_window_room(&window, 300000), 400000);
	assert_int_equal(leg_window_room(&window, 450000), 400000);
}

/* A leg is looked at when all that it sent has just been read: only a mark brings a pong. */
static void
test_one_that_begins_with_nothing_under_way_lets_something_go(void **state)
{
	struct leg_window window = { 0 };
	uint8_t mark[LEG_MARK_BYTES];

	(void)state;
	leg_window_expect(&window, 100, 0);
	leg_window_start(&window, 0, 0);
	size_t room = leg_window_room(&window, 0);
	assert_in_range(room, LEG_WINDOW_PACKET_BYTES, LEG_WINDOW_BLIND_BYTES);
	leg_window_sent(&window, room);
	assert_true(leg_window_wants_mark(&window, 0));
	leg_window_mark(&window, 0, mark);
	assert_true(leg_window_on_pong(&window, mark, sizeof(mark), 200));
	assert_true(leg_window_room(&window, 200) >= LEG_WINDOW_PACKET_BYTES);
}

/* The pings that keep a leg alive measure it too, and bound nothing. */
static void
test_a_leg_that_nothing_holds_up_is_measured_but_has_no_window(void **state)
{
	struct leg_window window = { 0 };
	uint8_t mark[LEG_MARK_BYTES];

	(void)state;
	assert_int_equal(leg_window_room(&window, 0), SIZE_MAX);
	assert_false(leg_window_wants_mark(&window, 0));
	leg_window_mark(&window, 0, mark);
	assert_int_equal(leg_window_deadline_us(&window), INT64_MAX);
	assert_true(leg_window_on_pong(&window, mark, sizeof(mark), 700));
	assert_int_equal(window.least_us, 700);
	assert_int_equal(leg_window_room(&window, 700), SIZE_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_way_is_filled_and_its_queue_is_short),
		cmocka_unit_test(test_a_modest_session_waits_for_little_more_than_the_target),
		cmocka_unit_test(test_clumps_keep_no_queue_standing_before_a_modest_session),
		cmocka_unit_test(test_a_reader_that_is_away_now_and_then_leaves_no_queue_behind),
		cmocka_unit_test(test_a_pause_of_the_sender_is_not_made_up_for_at_once),
		cmocka_unit_test(test_credit_for_bursts_is_not_taken_for_the_rate),
		cmocka_unit_test(test_without_it_the_queue_is_as_long_as_the_socket_lets_it),
		cmocka_unit_test(test_a_way_that_becomes_ten_times_faster_is_filled_soon),
		cmocka_unit_test(test_a_way_that_becomes_ten_times_slower_is_not_flooded_for_long),
		cmocka_unit_test(test_a_way_that_becomes_longer_or_shorter_is_learnt),
		cmocka_unit_test(test_losses_on_the_way_do_not_empty_it),
		cmocka_unit_test(test_lost_pongs_do_not_stop_it),
		cmocka_unit_test(test_a_reader_that_answers_nothing_is_sent_what_its_socket_takes),
		cmocka_unit_test(test_a_reader_that_falls_silent_is_sent_more_in_the_end),
		cmocka_unit_test(test_a_reader_that_pauses_is_sent_to_again),
		cmocka_unit_test(test_a_reader_that_reads_by_fits_and_starts_is_not_starved),
		cmocka_unit_test(test_delays_that_differ_do_not_starve_a_short_way),
		cmocka_unit_test(test_a_leg_that_sends_less_than_fits_is_not_held_up),
		cmocka_unit_test(test_a_window_does_not_slow_down_a_tcp_that_begins),
		cmocka_unit_test(test_two_share_a_narrow_place_fairly),
		cmocka_unit_test(test_no_chain_of_events_stops_it),
		cmocka_unit_test(test_a_pong_that_was_not_asked_for_says_nothing),
		cmocka_unit_test(test_one_pong_answers_all_marks_before_it),
		cmocka_unit_test(test_until_the_first_pong_as_much_goes_as_was_under_way),
		cmocka_unit_test(test_one_that_begins_with_nothing_under_way_lets_something_go),
		cmocka_unit_test(test_a_leg_that_nothing_holds_up_is_measured_but_has_no_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
