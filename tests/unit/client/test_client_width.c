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

/* A path that is looked at, the time, and the number of the echoes that were sent last. */
struct path {
	struct client_width width;
	int64_t now_ms;
	uint16_t sequence;
};

/* Time goes on to the next echoes that are due, or to then: WIDTH_NONE. */
static enum width_echoes
next(struct path *path, bool has_traffic, int64_t until_ms)
{
	for (; path->now_ms <= until_ms; path->now_ms++) {
		enum width_echoes echoes =
			client_width_due(&path->width, has_traffic, path->now_ms, &path->sequence);
		if (echoes != WIDTH_NONE)
			return echoes;
	}
	return WIDTH_NONE;
}

static void
expect_pair(struct path *path, bool has_traffic)
{
	assert_int_equal(next(path, has_traffic, path->now_ms + WIDTH_CALM_MS), WIDTH_PAIR);
}

static struct path
start(void)
{
	struct path path = { .now_ms = START_MS };

	client_width_init(&path.width);
	client_width_start(&path.width, START_MS);
	return path;
}

static void
hear_number(struct path *path, uint16_t sequence, bool is_large)
{
	client_width_heard(&path->width, sequence, is_large, path->now_ms);
}

/* An answer to what was sent last. */
static void
hear(struct path *path, bool is_large)
{
	hear_number(path, path->sequence, is_large);
}

static void
hear_pair(struct path *path)
{
	hear(path, true);
	hear(path, false);
}

/* A node that has answered, since now. */
static struct path
start_heard(void)
{
	struct path path = start();

	assert_int_equal(next(&path, idle, START_MS), WIDTH_SMALL);
	hear(&path, false);
	return path;
}

/* How many pairs in a row lose the large one until it is narrow; 0: never. */
static unsigned
pairs_until_narrow(struct path *path)
{
	for (unsigned pairs = 1; pairs < 100; pairs++) {
		expect_pair(path, traffic);
		hear(path, false);
		if (client_width_is_narrow(&path->width))
			return pairs;
	}
	return 0;
}

static void
test_large_ones_that_never_come_make_a_path_narrow_within_two_seconds(void **state)
{
	(void)state;
	struct path path = start_heard();

	assert_int_equal(pairs_until_narrow(&path), WIDTH_PAIRS_FIRST);
	assert_in_range(path.now_ms - START_MS, 0, 2000);
}

static void
test_a_path_that_took_large_ones_needs_more_to_be_narrow(void **state)
{
	(void)state;
	struct path path = start_heard();

	expect_pair(&path, idle);
	hear_pair(&path);
	assert_int_equal(pairs_until_narrow(&path), WIDTH_PAIRS_LATER);
	assert_in_range(path.now_ms - START_MS, 0, WIDTH_CALM_MS + 5000);
}

static void
test_one_large_one_in_between_begins_the_count_anew(void **state)
{
	(void)state;
	struct path path = start_heard();

	for (int i = 0; i < 100; i++) {
		expect_pair(&path, traffic);
		if (i % WIDTH_PAIRS_FIRST == 0)
			hear(&path, true);
		hear(&path, false);
		assert_false(client_width_is_narrow(&path.width));
	}
}

/* Nothing at all comes back: that is another's business, and not asked about without end. */
static void
test_a_path_that_is_dead_is_not_narrow(void **state)
{
	(void)state;
	struct path path = start_heard();
	unsigned sent = 0;

	while (next(&path, traffic, START_MS + 600 * 1000) != WIDTH_NONE)
		sent++;
	assert_false(client_width_is_narrow(&path.width));
	assert_in_range(sent, WIDTH_UNHEARD_MAX, 100);
}

static void
test_a_node_that_answers_no_echoes_is_asked_seldom_and_by_small_ones(void **state)
{
	(void)state;
	struct path path = start();
	unsigned sent = 0;
	enum width_echoes echoes;

	while ((echoes = next(&path, traffic, START_MS + 600 * 1000)) != WIDTH_NONE) {
		assert_int_equal(echoes, WIDTH_SMALL);
		/* Two in 10 s: an empty packet of the node's answers them by then. */
		assert_true(++sent <= 2 || path.now_ms >= START_MS + 10 * 1000);
	}
	assert_in_range(sent, 3, 20);
	assert_false(client_width_is_narrow(&path.width));
}

static void
test_a_path_that_is_known_is_left_alone_while_nothing_is_sent(void **state)
{
	(void)state;
	struct path path = start_heard();

	expect_pair(&path, idle);
	hear_pair(&path);
	assert_int_equal(next(&path, idle, path.now_ms + 3600 * 1000), WIDTH_NONE);
	expect_pair(&path, traffic);
	assert_int_equal(next(&path, traffic, path.now_ms + WIDTH_CALM_MS - 1), WIDTH_NONE);
}

static void
test_a_path_that_is_narrow_is_looked_at_seldom(void **state)
{
	(void)state;
	struct path path = start_heard();

	pairs_until_narrow(&path);
	expect_pair(&path, traffic);
	hear(&path, false);
	assert_int_equal(next(&path, traffic, path.now_ms + WIDTH_CALM_MS - 1), WIDTH_NONE);
}

static void
test_a_large_one_that_is_only_late_takes_it_back(void **state)
{
	(void)state;
	struct path path = start_heard();

	pairs_until_narrow(&path);
	expect_pair(&path, traffic);
	hear(&path, false);
	assert_true(client_width_is_narrow(&path.width));
	path.now_ms += 10;
	hear(&path, true);
	assert_false(client_width_is_narrow(&path.width));
}

/* Long ways: several pairs are under way at once, and the numbers wrap. */
static void
test_pairs_that_overlap_are_told_apart(void **state)
{
	(void)state;
	struct path path = start_heard();
	uint16_t sequences[3];

	path.width.sequence = path.width.large_back = UINT16_MAX - 1;
	for (int i = 0; i < 3; i++) {
		expect_pair(&path, traffic);
		sequences[i] = path.sequence;
	}
	for (int i = 0; i < 3; i++) {
		hear_number(&path, sequences[i], true);
		hear_number(&path, sequences[i], false);
		assert_int_equal(path.width.narrow, 0);
	}
	assert_true(path.width.is_wide);
	expect_pair(&path, traffic);
	hear(&path, false);
	assert_int_equal(path.width.narrow, 1);
}

static void
test_answers_from_before_the_start_say_nothing(void **state)
{
	(void)state;
	struct path path = start_heard();

	expect_pair(&path, traffic);
	client_width_start(&path.width, path.now_ms);
	hear(&path, true);
	hear_number(&path, (uint16_t)(path.sequence + 7), true); /* never sent */
	assert_false(path.width.is_wide);
	hear(&path, false);
	assert_int_equal(path.width.narrow, 0);
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
		cmocka_unit_test(test_a_path_that_is_narrow_is_looked_at_seldom),
		cmocka_unit_test(test_a_large_one_that_is_only_late_takes_it_back),
		cmocka_unit_test(test_pairs_that_overlap_are_told_apart),
		cmocka_unit_test(test_answers_from_before_the_start_say_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
