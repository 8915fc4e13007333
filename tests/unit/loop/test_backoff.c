/*
 * Pauses that double, and the part that is left to chance. T45: those who lost the same thing do
 * not come back at one moment.
 */
#include "loop/backoff.h"
#include "loop/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include <cmocka.h>

enum { FIRST_MS = 100, MAX_MS = 30 * 1000, DRAWS = 8 };

static bool is_without_randomness;

ssize_t __real_getrandom(void *bytes, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *bytes, size_t n, unsigned flags);

ssize_t
__wrap_getrandom(void *bytes, size_t n, unsigned flags)
{
	if (!is_without_randomness)
		return __real_getrandom(bytes, n, flags);
	errno = EAGAIN;
	return -1;
}

static void
test_the_pause_doubles_with_each_failure_up_to_its_limit(void **state)
{
	static const int64_t pauses_ms[] = { 100,  200,	  400,	 800,	1600,  3200,
					     6400, 12800, 25600, 30000, 30000, 30000 };

	(void)state;
	for (unsigned i = 0; i < sizeof pauses_ms / sizeof pauses_ms[0]; i++)
		assert_int_equal(backoff_ms(FIRST_MS, MAX_MS, i), pauses_ms[i]);
}

static void
test_no_number_of_failures_is_too_many(void **state)
{
	(void)state;
	assert_int_equal(backoff_ms(FIRST_MS, MAX_MS, 63), MAX_MS);
	assert_int_equal(backoff_ms(FIRST_MS, MAX_MS, 64), MAX_MS);
	assert_int_equal(backoff_ms(FIRST_MS, MAX_MS, UINT32_MAX), MAX_MS);
	assert_int_equal(backoff_ms(1, INT64_MAX, 62), INT64_C(1) << 62);
	assert_int_equal(backoff_ms(1, INT64_MAX, 63), INT64_MAX);
}

static void
test_a_limit_that_the_first_pause_reaches_is_the_pause(void **state)
{
	(void)state;
	assert_int_equal(backoff_ms(MAX_MS, MAX_MS, 0), MAX_MS);
	assert_int_equal(backoff_ms(MAX_MS, MAX_MS, 9), MAX_MS);
}

static void
test_t45_the_jitter_is_full(void **state)
{
	(void)state;
	assert_int_equal(backoff_share_ms(MAX_MS, 0), 0);
	assert_int_equal(backoff_share_ms(MAX_MS, UINT32_MAX / 2 + 1), MAX_MS / 2);
	assert_int_equal(backoff_share_ms(MAX_MS, UINT32_MAX), MAX_MS - 1);
	assert_int_equal(backoff_share_ms(0, UINT32_MAX), 0);
	assert_int_equal(backoff_share_ms(UINT32_MAX, UINT32_MAX), UINT32_MAX - 1);
}

static void
test_two_who_fail_together_do_not_wait_alike(void **state)
{
	uint32_t first = backoff_random();
	unsigned alike = 0;

	(void)state;
	for (int i = 0; i < DRAWS; i++)
		alike += backoff_random() == first;
	assert_in_range(alike, 0, DRAWS - 1);
}

static void
test_without_the_kernels_randomness_it_is_the_clocks(void **state)
{
	int64_t before_us = clock_monotonic_us();
	uint32_t random;

	(void)state;
	is_without_randomness = true;
	random = backoff_random();
	is_without_randomness = false;
	assert_true(random - (uint32_t)before_us <= clock_monotonic_us() - before_us);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_pause_doubles_with_each_failure_up_to_its_limit),
		cmocka_unit_test(test_no_number_of_failures_is_too_many),
		cmocka_unit_test(test_a_limit_that_the_first_pause_reaches_is_the_pause),
		cmocka_unit_test(test_t45_the_jitter_is_full),
		cmocka_unit_test(test_two_who_fail_together_do_not_wait_alike),
		cmocka_unit_test(test_without_the_kernels_randomness_it_is_the_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
