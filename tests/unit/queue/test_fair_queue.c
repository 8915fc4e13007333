/*
 * The queue model: bounds, order, fairness, and how fast a socket takes. No clock but the one
 * passed in.
 */
#include "queue/fair_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LANES = 10 };

static const struct fair_limits limits = { .lane_bytes = 10000, .age_ms = 50 };
static const struct fair_limits wide = { .lane_bytes = 1 << 20, .age_ms = 1000 };

static struct fair_outbox outbox;
static struct fair_lane lanes[LANES];
static size_t counts[256]; /* bytes that were taken, by their mark: mostly the lane they were in */
static struct {
	unsigned full, age, gone, memory;
	uint8_t last;
} tally;

static void
note_drop(struct fair_lane *lane, const struct fair_item *item, enum fair_drop_reason reason,
	  void *arg)
{
	(void)arg;
	assert_non_null(lane->outbox);
	tally.memory += reason == FAIR_DROPPED_MEMORY;
	tally.full += reason == FAIR_DROPPED_FULL;
	tally.age += reason == FAIR_DROPPED_AGE;
	tally.gone += reason == FAIR_DROPPED_GONE;
	tally.last = item->bytes[0];
}

static int
set_up(void **state)
{
	(void)state;
	memset(&outbox, 0, sizeof(outbox));
	memset(lanes, 0, sizeof(lanes));
	memset(counts, 0, sizeof(counts));
	memset(&tally, 0, sizeof(tally));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LANES; i++)
		fair_lane_clear(&lanes[i], note_drop, NULL);
	fair_outbox_fini(&outbox);
	return 0;
}

static void
push(struct fair_lane *lane, uint8_t mark, size_t n, int64_t now_ms)
{
	uint8_t bytes[70000];

	memset(bytes, mark, n);
	fair_lane_push(&outbox, lane, fair_item_new(bytes, n, now_ms), &limits, note_drop, NULL);
}

static void
commit(int64_t now_ms)
{
	fair_outbox_commit(&outbox, &limits, now_ms, note_drop, NULL);
}

/* Takes all that is committed. */
static size_t
take_committed(void)
{
	size_t all = 0;

	for (const struct fair_item *item = outbox.committed.head; item != NULL;
	     item = item->next) {
		all += item->n;
		counts[item->bytes[0]] += item->n;
	}
	fair_outbox_sent(&outbox, all);
	assert_null(outbox.committed.head);
	return all;
}

static void
test_the_oldest_is_dropped_for_the_newest(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 15; i++)
		push(&lanes[0], i, 1000, 0);
	assert_int_equal(lanes[0].waiting.bytes, 10000);
	assert_int_equal(outbox.lane_bytes, 10000);
	assert_int_equal(tally.full, 5);
	assert_int_equal(tally.last, 4);
	assert_int_equal(lanes[0].waiting.head->bytes[0], 5);
	/* One that is larger than the whole lane still waits, alone. */
	push(&lanes[0], 99, 20000, 0);
	assert_int_equal(tally.full, 15);
	assert_int_equal(lanes[0].waiting.bytes, 20000);
	fair_lane_clear(&lanes[0], note_drop, NULL);
	assert_int_equal(tally.gone, 1);
	assert_int_equal(fair_outbox_bytes(&outbox), 0);
	assert_true(fair_outbox_is_empty(&outbox));
}

static void
test_what_is_too_old_is_not_sent(void **state)
{
	(void)state;
	for (uint8_t i = 0; i < 5; i++)
		push(&lanes[0], i, 100, i * 10);
	commit(75);
	take_committed();
	assert_int_equal(tally.age, 3); /* of 0, 10 and 20 ms: older than 50 */
	assert_int_equal(counts[3] + counts[4], 200);
	assert_int_equal(counts[0] + counts[1] + counts[2], 0);
}

static void
test_control_goes_before_data(void **state)
{
	(void)state;
	push(&lanes[0], 'd', 100, 0);
	fair_list_push(&outbox.control, fair_item_new((const uint8_t *)"c", 1, 0));
	commit(0);
	assert_int_equal(outbox.committed.head->bytes[0], 'c');
	assert_int_equal(outbox.committed.head->next->bytes[0], 'd');
	take_committed();
}

static void
test_a_cut_frame_is_finished_first(void **state)
{
	(void)state;
	push(&lanes[0], 1, 100, 0);
	commit(0);
	fair_outbox_sent(&outbox, 30);
	assert_int_equal(outbox.sent, 30);
	fair_list_push(&outbox.control, fair_item_new((const uint8_t *)"c", 1, 0));
	commit(9999);
	assert_int_equal(outbox.committed.head->bytes[0], 1); /* whatever its age */
	fair_outbox_sent(&outbox, 70);
	assert_int_equal(outbox.committed.head->bytes[0], 'c');
	fair_outbox_sent(&outbox, 1);
}

/* Lanes that always have something get the same bytes, however their frames differ in size; one
 * with little to say is not held up by the others. */
static void
test_lanes_share_by_bytes_not_by_frames(void **state)
{
	static const size_t sizes[] = { 100, 1400, 9000, 3000 };

	(void)state;
	for (int round = 0; round < 2000; round++) {
		for (uint8_t i = 0; i < 4; i++)
			while (lanes[i].waiting.bytes + sizes[i] <= 50000) {
				uint8_t bytes[9000];

				memset(bytes, i, sizes[i]);
				fair_lane_push(&outbox, &lanes[i],
					       fair_item_new(bytes, sizes[i], 0), &wide, note_drop,
					       NULL);
			}
		if (round % 10 == 0)
			push(&lanes[4], 4, 200, 0);
		fair_outbox_commit(&outbox, &wide, 0, note_drop, NULL);
		take_committed();
		if (round % 10 == 9)
			assert_int_equal(lanes[4].waiting.bytes, 0);
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(counts[i], counts[0] * 95 / 100, counts[0] * 105 / 100);
	assert_int_equal(counts[4], 200 * 200);
	assert_int_equal(tally.full, 0);
}

/* Of the next, so many bytes at the most: less than a frame ends it. */
static size_t
serve_one(size_t most)
{
	const struct fair_item *item = outbox.committed.head;

	assert_non_null(item);
	size_t rest = item->n - outbox.sent, n = rest < most ? rest : most;
	counts[item->bytes[0]] += n;
	fair_outbox_sent(&outbox, n);
	return n;
}

/* A session that sends far more than its share beside nine that send theirs, through a socket that
 * takes what the ten together should have: Jain's index of what arrives, and nothing is lost of
 * the nine. */
static void
test_a_greedy_lane_takes_nothing_from_nine_modest_ones(void **state)
{
	enum { TICKS = 5000, FRAME = 1400, TAKEN = LANES * FRAME };
	double sum = 0, squares = 0;

	(void)state;
	for (int64_t tick = 0; tick < TICKS; tick++) {
		for (uint8_t i = 1; i < LANES; i++)
			push(&lanes[i], i, FRAME, tick);
		for (unsigned more = 0; more < LANES; more++)
			push(&lanes[0], 0, FRAME, tick);
		for (size_t left = TAKEN; left > 0;) {
			fair_outbox_pace(&outbox, TAKEN);
			commit(tick);
			left -= serve_one(left);
		}
	}
	for (unsigned i = 0; i < LANES; i++) {
		sum += (double)counts[i];
		squares += (double)counts[i] * (double)counts[i];
		if (i > 0)
			assert_true(counts[i] > (size_t)(TICKS - 20) * FRAME);
	}
	assert_true(sum * sum / (LANES * squares) >= 0.99);
	assert_int_equal(tally.last, 0);
}

static void
wait_in(uint8_t lane, unsigned frames)
{
	uint8_t bytes[1000];

	memset(bytes, lane, sizeof(bytes));
	while (frames-- > 0)
		fair_lane_push(&outbox, &lanes[lane], fair_item_new(bytes, sizeof(bytes), 0), &wide,
			       note_drop, NULL);
}

/* The next n bytes. */
static void
serve(size_t n)
{
	for (size_t left = n; left > 0;) {
		fair_outbox_pace(&outbox, FAIR_COMMIT_LEAST_BYTES);
		fair_outbox_commit(&outbox, &wide, 0, note_drop, NULL);
		left -= serve_one(left);
	}
}

/* The others go first. */
static void
serve_after_committed(size_t n)
{
	serve(outbox.committed.bytes - outbox.sent + n);
}

/* One that waited for nothing while nine had their turns goes before them until it has had as much
 * as each of them; from then on all have the same. */
static void
test_one_that_took_less_goes_first_until_it_has_as_much(void **state)
{
	const size_t each = 20 * 1000, slack = 2 * FAIR_QUANTUM_BYTES + FAIR_COMMIT_LEAST_BYTES;

	(void)state;
	for (uint8_t i = 0; i < 9; i++)
		wait_in(i, 200);
	serve(9 * each);
	wait_in(9, 200);
	serve(each);
	assert_in_range(counts[9], each - slack, each);
	serve(10 * each);
	for (int i = 0; i < 9; i++)
		assert_in_range(counts[9], counts[i] - slack, counts[i] + slack);
}

/* One that was not there when others had their turns, on this outbox or ever, has what they have
 * from then on. */
static void
test_one_that_comes_anew_has_no_credit_for_what_was_before(void **state)
{
	const size_t each = 20 * 1000, slack = 2 * FAIR_QUANTUM_BYTES + FAIR_COMMIT_LEAST_BYTES;

	(void)state;
	for (uint8_t i = 0; i < 2; i++)
		wait_in(i, 200);
	serve(3 * each);
	memset(counts, 0, sizeof(counts));
	lanes[2].left_at = 12345; /* of another outbox */
	fair_lane_begin(&outbox, &lanes[2]);
	wait_in(2, 200);
	serve(3 * each);
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(counts[i], each - slack, each + slack);
}

/* A greedy lane, and three with credit in which much waits by now, all of which had turns; the
 * fifth has not sent yet. */
static void
put_four_behind_each_other(void)
{
	wait_in(0, 300);
	serve(2 * FAIR_SPARSE_BYTES);
	for (uint8_t i = 1; i < 4; i++)
		wait_in(i, 60);
	serve(8 * FAIR_QUANTUM_BYTES);
}

/* So a call does not wait for a frame of each of those that fetch a page. */
static void
test_a_sparse_lane_has_its_first_turn_at_once(void **state)
{
	(void)state;
	put_four_behind_each_other();
	for (unsigned i = 0; i < 20; i++) {
		push(&lanes[4], 4, 100, 0);
		serve_after_committed(100);
		assert_int_equal(counts[4], (i + 1) * 100);
		serve(FAIR_SPARSE_PART * 100);
	}
}

/* Nor does it go before them with more than a turn, nor who comes as often as they do. */
static void
test_what_is_not_sparse_waits_for_its_turn(void **state)
{
	(void)state;
	put_four_behind_each_other();
	wait_in(4, 3);
	serve_after_committed(3000);
	assert_in_range(counts[4], 1000, FAIR_QUANTUM_BYTES);
	serve(12 * FAIR_QUANTUM_BYTES);
	assert_int_equal(counts[4], 3000);
	wait_in(4, 1);
	serve_after_committed(1000);
	assert_int_equal(counts[4], 3000);
}

/* Small ones add up. */
static void
test_many_small_frames_at_once_are_not_sparse_for_longer(void **state)
{
	(void)state;
	put_four_behind_each_other();
	for (unsigned i = 0; i < 4; i++)
		push(&lanes[4], 4, 100, 0);
	serve(FAIR_SPARSE_PART * 200);
	assert_int_equal(counts[4], 400);
	push(&lanes[4], 4, 100, 0);
	serve_after_committed(100);
	assert_int_equal(counts[4], 400);
}

/* Whoever has something for each frame of the others', but never two, has what they have. */
static void
test_who_stops_and_comes_again_gains_no_share(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		for (uint8_t lane = 0; lane < 2; lane++)
			if (lanes[lane].waiting.count < 4)
				wait_in(lane, 4);
		if (lanes[2].waiting.head == NULL)
			push(&lanes[2], 2, 1000, 0);
		serve(1000);
	}
	assert_in_range(counts[2], 900 * 1000, 1000 * 1000 + 4 * FAIR_QUANTUM_BYTES);
	assert_in_range(counts[0], counts[1] - 4 * FAIR_QUANTUM_BYTES,
			counts[1] + 4 * FAIR_QUANTUM_BYTES);
}

/* A turn that was not used up is worth the rest of it. */
static void
test_what_is_left_of_the_last_turn_is_credit(void **state)
{
	(void)state;
	push(&lanes[0], 1, 100, 0);
	commit(0);
	assert_int_equal(take_committed(), 100);
	assert_null(lanes[0].outbox);
	assert_int_equal(lanes[0].credit, FAIR_QUANTUM_BYTES - 100);
}

/* What is saved up has an end: who comes back after long goes first with so much, and no more. */
static void
test_credit_is_bounded(void **state)
{
	(void)state;
	wait_in(0, 900);
	serve(FAIR_CREDIT_BYTES * 3 / 2);
	wait_in(1, 900);
	memset(counts, 0, sizeof(counts));
	serve(2 * FAIR_CREDIT_BYTES);
	assert_in_range(counts[1] - counts[0], FAIR_CREDIT_BYTES - 4 * FAIR_QUANTUM_BYTES,
			FAIR_CREDIT_BYTES + 4 * FAIR_QUANTUM_BYTES);
}

/* F30: a reader that paused finds in all lanes what came meanwhile. Those that stay below their
 * share are through before the greedy one has its next turns, and hold nothing any more; with equal
 * turns at each moment they would be behind until the difference of the shares had made up for it.
 */
static void
test_modest_ones_are_through_first_after_a_pause(void **state)
{
	enum { MODEST = 9, TICKS = 400, FRAMES = 20, TAKEN = 200 * 1000 };

	(void)state;
	/* A tick: each modest one brings 19,000 bytes, the greedy one keeps 64 frames waiting. */
	for (unsigned tick = 0; tick < TICKS; tick++) {
		bool is_pause = tick == TICKS / 2;

		for (uint8_t i = 1; i <= MODEST; i++)
			wait_in(i, FRAMES - 1);
		if (lanes[0].waiting.count < 64)
			wait_in(0, 64 + TAKEN / 1000);
		if (is_pause)
			continue;
		size_t before = counts[0], behind = 0;
		for (unsigned i = 1; i <= MODEST; i++)
			behind += lanes[i].waiting.bytes;
		serve(TAKEN);
		if (tick == TICKS / 2 + 1) /* twice 171,000 bytes wait: all of the tick is theirs */
			assert_in_range(counts[0] - before, 0, 4 * FAIR_QUANTUM_BYTES);
		if (tick > TICKS / 2 + 8) /* 29,000 a tick made up for it */
			assert_true(behind <= MODEST * (FRAMES - 1) * 1000);
	}
}

/* T13: when the relay's memory is spent, who holds the most pays, whichever leg it waits for. */
static void
test_t13_memory_is_taken_from_the_largest_lane(void **state)
{
	struct fair_ledger ledger = { 0 };
	struct fair_outbox outboxes[2] = { { .ledger = &ledger }, { .ledger = &ledger } };
	static const unsigned held[] = { 3, 60, 7, 1 };
	uint8_t bytes[1000];

	(void)state;
	for (uint8_t i = 0; i < 4; i++)
		for (unsigned k = 0; k < held[i]; k++) {
			memset(bytes, i, sizeof(bytes));
			fair_lane_push(&outboxes[i / 2], &lanes[i], fair_item_new(bytes, 1000, 0),
				       &wide, note_drop, NULL);
		}
	/* Down to the next power of two of the others, always from the first outbox. */
	for (unsigned k = 0; k < 52; k++) {
		assert_ptr_equal(fair_ledger_evict(&ledger, note_drop, NULL), &outboxes[0]);
		assert_int_equal(tally.last, 1);
	}
	for (unsigned k = 0; k < 3 + 8 + 7 + 1; k++)
		assert_non_null(fair_ledger_evict(&ledger, note_drop, NULL));
	assert_null(fair_ledger_evict(&ledger, note_drop, NULL));
	assert_int_equal(tally.memory, 71);
	for (unsigned i = 0; i < 4; i++)
		fair_lane_clear(&lanes[i], note_drop, NULL);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(fair_outbox_is_empty(&outboxes[i]));
		fair_outbox_fini(&outboxes[i]);
	}
}

/* Any order of pushes, commits, sends and clears keeps the sums and the ring whole. */
static void
test_random_operations_keep_the_books(void **state)
{
	static struct fair_ledger ledger;

	(void)state;
	outbox.ledger = &ledger;
	srand(7);
	for (int64_t step = 0; step < 50000; step++) {
		unsigned i = (unsigned)rand() % 8;
		uint32_t sum = 0, items = 0, active = 0, in_rings = 0, in_bins = 0;

		switch (rand() % 6) {
		case 0:
		case 1:
		case 2:
			push(&lanes[i], (uint8_t)i, 1 + (size_t)rand() % 4000, step / 10);
			break;
		case 3:
			commit(step / 10);
			break;
		case 4:
			if (outbox.committed.bytes > outbox.sent)
				fair_outbox_sent(&outbox,
						 1 + (size_t)rand() % (outbox.committed.bytes -
								       outbox.sent));
			break;
		default:
			if (rand() % 20 == 0)
				fair_lane_clear(&lanes[i], note_drop, NULL);
			else if (rand() % 20 == 0)
				fair_ledger_evict(&ledger, note_drop, NULL);
		}
		for (i = 0; i < 8; i++) {
			sum += lanes[i].waiting.bytes;
			items += lanes[i].waiting.count;
			active += lanes[i].outbox != NULL;
			assert_true(lanes[i].waiting.head == NULL || lanes[i].outbox == &outbox);
		}
		assert_int_equal(outbox.lane_bytes, sum);
		assert_int_equal(outbox.lane_items, items);
		const struct fair_lane *rings[] = { outbox.first, outbox.ring };
		for (unsigned k = 0; k < 2; k++) {
			const struct fair_lane *lane = rings[k];
			while (lane != NULL) {
				assert_true(lane->has_credit == (k == 0));
				assert_ptr_equal(lane->next->previous, lane);
				in_rings++;
				lane = lane->next != rings[k] ? lane->next : NULL;
			}
		}
		assert_int_equal(in_rings, active);
		for (unsigned bin = 0; bin < FAIR_LEDGER_CLASSES; bin++)
			for (const struct fair_lane *lane = ledger.bins[bin]; lane != NULL;
			     lane = lane->larger) {
				assert_in_range(lane->waiting.bytes, 1U << (bin - 1),
						(1U << bin) - 1);
				in_bins += lane->waiting.bytes;
			}
		assert_int_equal(in_bins, sum);
	}
}

/* F29: five megabits a second offered to a leg that takes one: what is sent has waited no longer
 * than the queue allows and what is promised at once adds, whatever was lost. */
static void
test_f29_a_leg_of_one_megabit_delays_by_its_queue_alone(void **state)
{
	enum { TAKEN = 125, FRAME = 1250, EVERY_MS = 2, SECONDS = 20, MOST_MS = 250 };
	enum { UNDER_WAY = 4 * 1500 }; /* leg_window's least */
	const struct fair_limits usual = { .lane_bytes = 128 * 1024, .age_ms = 80 };
	int64_t worst_ms = 0;
	unsigned sent = 0;
	uint8_t bytes[FRAME] = { 0 };

	(void)state;
	fair_outbox_pace(&outbox, UNDER_WAY);
	for (int64_t now_ms = 0; now_ms < SECONDS * 1000; now_ms++) {
		if (now_ms % EVERY_MS == 0)
			fair_lane_push(&outbox, &lanes[0], fair_item_new(bytes, FRAME, now_ms),
				       &usual, note_drop, NULL);
		/* The socket takes so much, and says that it is full. */
		for (uint32_t left = TAKEN; left > 0;) {
			if (outbox.committed.head == NULL)
				fair_outbox_commit(&outbox, &usual, now_ms, note_drop, NULL);
			const struct fair_item *item = outbox.committed.head;
			if (item == NULL)
				break;
			uint32_t rest = item->n - outbox.sent, n = rest < left ? rest : left;
			int64_t waited_ms = now_ms - item->queued_at_ms;
			sent += n == rest;
			worst_ms = n == rest && waited_ms > worst_ms ? waited_ms : worst_ms;
			fair_outbox_sent(&outbox, n);
			left -= n;
		}
	}
	assert_in_range(sent, SECONDS * 95, SECONDS * 100 + 1);
	assert_true(tally.age > 0);
	/* What may be under way at least comes on top. */
	assert_in_range(worst_ms + UNDER_WAY / TAKEN, 80, MOST_MS);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_the_oldest_is_dropped_for_the_newest),
		TEST(test_what_is_too_old_is_not_sent),
		TEST(test_control_goes_before_data),
		TEST(test_a_cut_frame_is_finished_first),
		TEST(test_lanes_share_by_bytes_not_by_frames),
		TEST(test_a_greedy_lane_takes_nothing_from_nine_modest_ones),
		TEST(test_one_that_took_less_goes_first_until_it_has_as_much),
		TEST(test_one_that_comes_anew_has_no_credit_for_what_was_before),
		TEST(test_a_sparse_lane_has_its_first_turn_at_once),
		TEST(test_what_is_not_sparse_waits_for_its_turn),
		TEST(test_many_small_frames_at_once_are_not_sparse_for_longer),
		TEST(test_who_stops_and_comes_again_gains_no_share),
		TEST(test_what_is_left_of_the_last_turn_is_credit),
		TEST(test_credit_is_bounded),
		TEST(test_modest_ones_are_through_first_after_a_pause),
		TEST(test_t13_memory_is_taken_from_the_largest_lane),
		TEST(test_random_operations_keep_the_books),
		TEST(test_f29_a_leg_of_one_megabit_delays_by_its_queue_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
