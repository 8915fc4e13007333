/* metrics_sketch: quantiles within the stated error, whatever the order and the pieces. */
#include "metrics/metrics_sketch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { VALUES = 20000 };

static double values[VALUES];

/* A little generator: the same values in each run. */
static double
next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(*state >> 11) / 0x1p53;
}

static int
compare(const void *a, const void *b)
{
	const double *one = a, *two = b;

	return (*one > *two) - (*one < *two);
}

static void
assert_quantiles_of_sorted_values(const struct sketch *sketch)
{
	static const double asked[] = { 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1 };

	qsort(values, VALUES, sizeof(values[0]), compare);
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		double exact = values[(size_t)ceil(asked[i] * VALUES) - 1];

		assert_true(fabs(sketch_quantile(sketch, asked[i]) - exact) <=
			    exact * (SKETCH_ERROR + 1e-9));
	}
}

static void
test_a_quantile_is_within_two_percent(void **state)
{
	static struct sketch sketch;
	uint64_t random = 1;

	(void)state;
	sketch_init(&sketch);
	for (size_t i = 0; i < VALUES; i++) {
		values[i] = 5 * exp(4 * next(&random)); /* 5 to 270 ms, mostly small */
		sketch_add(&sketch, values[i]);
	}
	assert_quantiles_of_sorted_values(&sketch);
}

static void
test_sketches_of_parts_add_up_to_that_of_the_whole(void **state)
{
	static struct sketch parts[3], whole;
	uint64_t random = 2;

	(void)state;
	sketch_init(&whole);
	for (size_t i = 0; i < 3; i++)
		sketch_init(&parts[i]);
	for (size_t i = 0; i < VALUES; i++) {
		values[i] = 100 * next(&random);
		sketch_add(&whole, values[i]);
		sketch_add(&parts[i % 3], values[i]);
	}
	sketch_merge(&parts[0], &parts[1]);
	sketch_merge(&parts[0], &parts[2]);
	assert_int_equal(parts[0].n, whole.n);
	assert_memory_equal(parts[0].bins, whole.bins, whole.n * sizeof(whole.bins[0]));
}

static void
test_zeros_have_their_rank(void **state)
{
	static struct sketch sketch;

	(void)state;
	sketch_init(&sketch);
	assert_true(sketch_quantile(&sketch, 0.95) == 0);
	for (int i = 0; i < 94; i++)
		sketch_add(&sketch, 0);
	for (int i = 0; i < 6; i++)
		sketch_add(&sketch, 100);
	assert_true(sketch_quantile(&sketch, 0.94) == 0);
	assert_true(fabs(sketch_quantile(&sketch, 0.95) - 100) <= 2);
}

/* Values over eighteen decades: the bins have a bound, and what is great stays exact. */
static void
test_a_sketch_of_anything_stays_small_and_right_at_the_top(void **state)
{
	static struct sketch sketch;
	uint64_t random = 3;

	(void)state;
	sketch_init(&sketch);
	for (size_t i = 0; i < VALUES; i++) {
		values[i] = pow(10, 18 * next(&random));
		sketch_add(&sketch, values[i]);
	}
	assert_int_equal(sketch.n, SKETCH_BINS_MAX);
	qsort(values, VALUES, sizeof(values[0]), compare);
	assert_true(fabs(sketch_quantile(&sketch, 0.95) / values[VALUES * 95 / 100 - 1] - 1) <=
		    SKETCH_ERROR + 1e-9);
	for (size_t i = 1; i < sketch.n; i++)
		assert_true(sketch.bins[i - 1].index < sketch.bins[i].index);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_quantile_is_within_two_percent),
		cmocka_unit_test(test_sketches_of_parts_add_up_to_that_of_the_whole),
		cmocka_unit_test(test_zeros_have_their_rank),
		cmocka_unit_test(test_a_sketch_of_anything_stays_small_and_right_at_the_top),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
