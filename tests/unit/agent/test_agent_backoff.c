/*
 * T45: nodes that lost the same server do not come back in one wave.
 */
#include "agent/agent_backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void
test_the_ceiling_doubles_from_one_second_to_a_minute(void **state)
{
	static const int64_t ceilings_ms[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
	struct backoff backoff = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(ceilings_ms) / sizeof(ceilings_ms[0]); i++)
		assert_in_range(backoff_next_ms(&backoff, 0, UINT32_MAX), ceilings_ms[i] - 1,
				ceilings_ms[i]);
	for (int i = 0; i < 1000; i++)
		assert_in_range(backoff_next_ms(&backoff, 0, UINT32_MAX), 59999, 60000);
}

static void
test_t45_the_jitter_is_full(void **state)
{
	struct backoff backoff = { .failures = 4 };

	(void)state;
	assert_int_equal(backoff_next_ms(&backoff, 0, 0), 0);
	backoff.failures = 4;
	assert_int_equal(backoff_next_ms(&backoff, 0, UINT32_MAX / 2 + 1), 8000);
}

static void
test_what_the_server_asked_for_is_waited_and_jitter_on_top(void **state)
{
	struct backoff backoff = { 0 };

	(void)state;
	assert_int_equal(backoff_next_ms(&backoff, 17, 0), 17000);
	assert_in_range(backoff_next_ms(&backoff, 17, UINT32_MAX), 18999, 19000);
	assert_int_equal(backoff_next_ms(&backoff, UINT32_MAX, 0), 3600 * 1000);
}

static void
test_success_starts_anew(void **state)
{
	struct backoff backoff = { 0 };

	(void)state;
	for (int i = 0; i < 10; i++)
		backoff_next_ms(&backoff, 0, 0);
	backoff_reset(&backoff);
	assert_in_range(backoff_next_ms(&backoff, 0, UINT32_MAX), 999, 1000);
}

static void
test_a_regular_period_is_spread_by_a_tenth_and_never_longer(void **state)
{
	(void)state;
	assert_int_equal(backoff_spread_ms(30000, 0), 30000);
	assert_in_range(backoff_spread_ms(30000, UINT32_MAX), 27000, 27001);
	assert_int_equal(backoff_spread_ms(0, UINT32_MAX), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_ceiling_doubles_from_one_second_to_a_minute),
		cmocka_unit_test(test_t45_the_jitter_is_full),
		cmocka_unit_test(test_what_the_server_asked_for_is_waited_and_jitter_on_top),
		cmocka_unit_test(test_success_starts_anew),
		cmocka_unit_test(test_a_regular_period_is_spread_by_a_tenth_and_never_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
