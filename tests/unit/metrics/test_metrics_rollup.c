/* metrics_rollup, metrics_figures: what a sample says, summed up, stored and read again. */
#include "metrics/metrics_rollup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rollup one, two;

static void
add_latency(struct rollup *rollup, double latency)
{
	struct metrics_values values = { .has = { [METRICS_LATENCY] = true } };

	values.value[METRICS_LATENCY] = latency;
	rollup_add(rollup, &values);
}

/* Through the form that the tables have. */
static void
store(const struct rollup *from, struct rollup *to)
{
	void *bytes;
	size_t n;

	assert_int_equal(rollup_pack(from, &bytes, &n), 0);
	assert_int_equal(rollup_unpack_add(to, bytes, n), 0);
	free(bytes);
}

static void
assert_view(const struct rollup *rollup, enum rollup_view view, double expected, double error)
{
	struct metrics_values values;

	rollup_view(rollup, view, &values);
	assert_true(values.has[METRICS_LATENCY]);
	assert_true(values.value[METRICS_LATENCY] >= expected - error);
	assert_true(values.value[METRICS_LATENCY] <= expected + error);
	assert_false(values.has[METRICS_JITTER]);
}

static void
test_min_mean_max_and_p95_survive_the_tables(void **state)
{
	(void)state;
	rollup_init(&one);
	rollup_init(&two);
	for (int i = 1; i <= 100; i++)
		add_latency(&one, i);
	store(&one, &two);
	assert_int_equal(rollup_count(&two), 100);
	assert_view(&two, ROLLUP_MIN, 1, 0);
	assert_view(&two, ROLLUP_MEAN, 50.5, 1e-9);
	assert_view(&two, ROLLUP_MAX, 100, 0);
	assert_view(&two, ROLLUP_P95, 95, 95 * SKETCH_ERROR);
	assert_view(&two, ROLLUP_POINT, 50.5, 1e-9);
}

static void
test_a_single_sample_is_stored_as_itself(void **state)
{
	void *bytes;
	size_t n;

	(void)state;
	rollup_init(&one);
	rollup_init(&two);
	add_latency(&one, 12.25);
	assert_int_equal(rollup_pack(&one, &bytes, &n), 0);
	assert_in_range(n, 1, 16);
	free(bytes);
	store(&one, &two);
	store(&one, &two);
	assert_int_equal(rollup_count(&two), 2);
	assert_view(&two, ROLLUP_P95, 12.25, 0);
}

static void
test_stored_parts_add_up(void **state)
{
	struct rollup *whole = calloc(1, sizeof(*whole));

	(void)state;
	assert_non_null(whole);
	rollup_init(&one);
	rollup_init(&two);
	rollup_init(whole);
	for (int i = 1; i <= 60; i++)
		add_latency(&one, i);
	for (int i = 61; i <= 100; i++)
		add_latency(&two, i);
	store(&one, whole);
	store(&two, whole);
	rollup_merge(&one, &two);
	assert_int_equal(rollup_count(whole), 100);
	assert_view(whole, ROLLUP_MAX, 100, 0);
	assert_true(rollup_quantile(&whole->figures[METRICS_LATENCY], 0.95) ==
		    rollup_quantile(&one.figures[METRICS_LATENCY], 0.95));
	free(whole);
}

static void
test_bytes_that_are_no_rollup_are_refused_and_add_nothing(void **state)
{
	static const uint8_t bad[][12] = {
		{ 0xff, 0xff },		       /* no message */
		{ 0x0a, 0x02, 0x08, 0x00 },    /* no sum */
		{ 0x0a, 0x02, 0x10, 0x00, 0 }, /* no figure */
	};

	(void)state;
	rollup_init(&one);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(rollup_unpack_add(&one, bad[i], 4 - (i == 0 ? 2 : 0)), -EBADMSG);
	assert_int_equal(rollup_count(&one), 0);
}

static void
test_counters_become_increases_and_may_start_anew(void **state)
{
	struct metrics_values before = { .has = { [METRICS_BYTES_SENT] = true } };
	struct metrics_values now = { .has = { [METRICS_BYTES_SENT] = true,
					       [METRICS_BYTES_RECEIVED] = true,
					       [METRICS_LATENCY] = true } };

	(void)state;
	before.value[METRICS_BYTES_SENT] = 100;
	now.value[METRICS_BYTES_SENT] = 250;
	now.value[METRICS_LATENCY] = 7;
	metrics_figures_increase(&now, &before);
	assert_true(now.value[METRICS_BYTES_SENT] == 150);
	assert_false(now.has[METRICS_BYTES_RECEIVED]); /* nothing to compare with */
	assert_true(now.value[METRICS_LATENCY] == 7);
	now.value[METRICS_BYTES_SENT] = 30;
	metrics_figures_increase(&now, &before);
	assert_true(now.value[METRICS_BYTES_SENT] == 30);
	metrics_figures_increase(&now, NULL);
	assert_false(now.has[METRICS_BYTES_SENT]);
}

static void
test_figures_go_flat_and_come_back(void **state)
{
	struct metrics_values values, back;
	struct metrics_shape shape;

	(void)state;
	for (size_t i = 0; i < METRICS_FIGURES; i++) {
		values.has[i] = true;
		values.value[i] = (double)(10 * (i + 1));
	}
	metrics_figures_write(&values, &shape);
	assert_true(shape.figures.network->bandwidth->up == 40);
	assert_true(shape.figures.wireguard->bytes->received == 140);
	metrics_figures_read(&shape.figures, &back);
	assert_memory_equal(&values, &back, sizeof(values));
	memset(&values, 0, sizeof(values));
	metrics_figures_write(&values, &shape);
	assert_null(shape.figures.network);
	assert_null(shape.figures.connections);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_min_mean_max_and_p95_survive_the_tables),
		cmocka_unit_test(test_a_single_sample_is_stored_as_itself),
		cmocka_unit_test(test_stored_parts_add_up),
		cmocka_unit_test(test_bytes_that_are_no_rollup_are_refused_and_add_nothing),
		cmocka_unit_test(test_counters_become_increases_and_may_start_anew),
		cmocka_unit_test(test_figures_go_flat_and_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
