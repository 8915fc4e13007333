/*
 * When a path by UDP counts as narrow (F28): large echoes are missing many times in a row while
 * small ones come back; and how seldom it is looked at otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/client_width.h"

enum { START_MS = 1000 * 1000 };

static const bool traffic = true, idle = false;

/* The next echoes that are due by then; 0: none. */
static enum width_echoes
next(struct client_width *width, bool has_traffic, int64_t *now_ms, int64_t until_ms,
     uint16_t *ret_sequence)
{
	for (; *now_ms <= until_ms; (*now_ms)++) {
		enum width_echoes echoes =
			client_width_due(width, has_traffic, *now_ms, ret_sequence);
		if (echoes != WIDTH_NONE)
			return echoes;
	}
	return WIDTH_NONE;
}

static void
expect_pair(struct client_width *width, bool has_traffic, int64_t *now_ms, uint16_t *ret_sequence)
{
	int64_t until_ms = *now_ms + WIDTH_CALM_MS;

	assert_int_equal(next(width, has_traffic, now_ms, until_ms, ret_sequence), WIDTH_PAIR);
}

/* A node that has answered, since now. */
static struct client_width
make(int64_t *ret_now_ms)
{
	struct client_width width;
	uint16_t sequence;

	client_width_init(&width);
	client_width_start(&width, START_MS);
	assert_int_equal(client_width_due(&width, idle, START_MS, &sequence), WIDTH_SMALL);
	client_width_heard(&width, sequence, false, START_MS);
	*ret_now_ms = START_MS;
	return width;
}

static void
answer(struct client_width *width, uint16_t sequence, int64_t now_ms)
{
	client_width_heard(width, sequence, true, now_ms);
	client_width_heard(width, sequence, false, now_ms);
}

/* How many pairs in a row lose the large one until it is narrow; 0: never. */
static unsigned
pairs_until_narrow(struct client_width *width, int64_t *now_ms)
{
	uint16_t sequence;

	for (unsigned pairs = 1; pairs < 100; pairs++) {
		expect_pair(width, traffic, now_ms, &sequence);
		client_width_heard(width, sequence, false, *now_ms);
		if (client_width_is_narrow(width))
			return pairs;
	}
	return 0;
}

static void
test_large_ones_that_never_come_make_a_path_narrow_within_two_seconds(void **state)
{
	(void)state;
	int64_t now_ms;
	struct client_width width = make(&now_ms);

	assert_int_equal(pairs_until_narrow(&width, &now_ms), WIDTH_PAIRS_FIRST);
	assert_in_range(now_ms - START_MS, 0, 2000);
}

static void
test_a_path_that_took_large_ones_needs_more_to_be_narrow(void **state)
{
	(void)state;
	int64_t now_ms;
	struct client_width width = make(&now_ms);
	uint16_t sequence;

	expect_pair(&width, idle, &now_ms, &sequence);
	answer(&width, sequence, now_ms);
	assert_int_equal(pairs_until_narrow(&width, &now_ms), WIDTH_PAIRS_LATER);
	assert_in_range(now_ms - START_MS, 0, WIDTH_CALM_MS + 5000);
}

static void
test_one_large_one_in_between_begins_the_count_anew(void **state)
{
	(void)state;
	int64_t now_ms;
	struct client_width width = make(&now_ms);
	uint16_t sequence;

	for (int i = 0; i < 100; i++) {
		expect_pair(&width, traffic, &now_ms, &sequence);
		if (i % WIDTH_PAIRS_FIRST == 0)
			client_width_heard(&width, sequence, true, now_ms);
		client_width_heard(&width, sequence, false, now_ms);
		assert_false(client_width_is_narrow(&width));
	}
}

/* Nothing at all comes back: that is another's business, and not asked about without end. */
static void
test_a_path_that_is_dead_is_not_narrow(void **state)
{
	(void)state;
	int64_t now_ms;
	struct client_width width = make(&now_ms);
	uint16_t sequence;
	unsigned sent = 0;

	while (next(&width, traffic, &now_ms, START_MS + 600 * 1000, &sequence) != WIDTH_NONE)
		sent++;
	assert_false(client_width_is_narrow(&width));
	assert_in_range(sent, WIDTH_UNHEARD_MAX, 100);
}

static void
test_a_node_that_answers_no_echoes_is_asked_seldom_and_by_small_ones(void **state)
{
	(void)state;
	struct client_width width;
	int64_t now_ms = START_MS;
	uint16_t sequence;
	unsigned sent = 0;
	enum width_echoes echoes;

	client_width_init(&width);
	client_width_start(&width, START_MS);
	while ((echoes = next(&width, traffic, &now_ms, START_MS + 600 * 1000, &sequence)) !=
	       WIDTH_NONE) {
		assert_int_equal(echoes, WIDTH_SMALL);
		/* Two in 10 s: an empty packet of the node's answers them by then. */
		assert_true(++sent <= 2 || now_ms >= START_MS + 10 * 1000);
	}
	assert_in_range(sent, 3, 20);
	assert_false(client_width_is_narrow(&width));
}

static void
test_a_path_that_is_known_is_left_alone_while_nothing_is_sent(void **state)
{
	(void)state;
	int64_t now_ms;
	struct client_width width = make(&now_ms);
	uint16_t sequence;

	expect_pair(&width, idle, &now_ms, &sequence);
	answer(&width, sequence, now_ms);
	assert_int_equal(next(&width, idle, &now_ms, now_ms + 3600 * 1000, &sequence), WIDTH_NONE);
	expect_pair(&width, traffic, &now_ms, &sequence);
	assert_int_equal(next(&width, traffic, &now_ms, now_ms + WIDTH_CALM_MS - 1, &sequence),
			 WIDTH_NONE);
}

static void
test_a_large_one_that_is_only_late_takes_it_back(void **state)
{
	(void)state;
	int64_t now_ms;
	struct client_width width = make(&now_ms);
	uint16_t sequence;

	pairs_until_narrow(&width, &now_ms);
	expect_pair(&width, traffic, &now_ms, &sequence);
	client_width_heard(&width, sequence, false, now_ms);
	assert_true(client_width_is_narrow(&width));
	client_width_heard(&width, sequence, true, now_ms + 10);
	assert_false(client_width_is_narrow(&width));
}

/* Long ways: several pairs are under way at once, and the numbers wrap. */
static void
test_pairs_that_overlap_are_told_apart(void **state)
{
	(void)state;
	int64_t now_ms;
	struct client_width width = make(&now_ms);
	uint16_t sequences[3];

	width.sequence = width.large_back = UINT16_MAX - 1;
	for (int i = 0; i < 3; i++)
		expect_pair(&width, traffic, &now_ms, &sequences[i]);
	for (int i = 0; i < 3; i++) {
		answer(&width, sequences[i], now_ms);
		assert_int_equal(width.narrow, 0);
	}
	assert_true(width.is_wide);
}

static void
test_answers_from_before_the_start_say_nothing(void **state)
{
	(void)state;
	int64_t now_ms;
	struct client_width width = make(&now_ms);
	uint16_t before;

	expect_pair(&width, traffic, &now_ms, &before);
	client_width_start(&width, now_ms);
	client_width_heard(&width, before, true, now_ms);
	client_width_heard(&width, (uint16_t)(before + 7), true, now_ms); /* never sent */
	assert_false(width.is_wide);
	client_width_heard(&width, before, false, now_ms);
	assert_int_equal(width.narrow, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_large_ones_that_never_come_make_a_path_narrow_within_two_seconds),
		cmocka_unit_test(test_a_path_that_took_large_ones_needs_more_to_be_narrow),
		cmocka_unit_test(test_one_large_one_in_between_begins_the_count_anew),
		cmocka_unit_test(test_a_path_that_is_dead_is_not_narrow),
		cmocka_unit_test(
			test_a_node_that_answers_no_echoes_is_asked_seldom_and_by_small_ones),
		cmocka_unit_test(test_a_path_that_is_known_is_left_alone_while_nothing_is_sent),
		cmocka_unit_test(test_a_large_one_that_is_only_late_takes_it_back),
		cmocka_unit_test(test_pairs_that_overlap_are_told_apart),
		cmocka_unit_test(test_answers_from_before_the_start_say_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
