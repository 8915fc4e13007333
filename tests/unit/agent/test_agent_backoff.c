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

	(void)state;
	for (unsigned i = 0; i < sizeof(ceilings_ms) / sizeof(ceilings_ms[0]); i++)
		assert_int_equal(agent_backoff_ms(i, 0, UINT32_MAX), ceilings_ms[i] - 1);
	assert_int_equal(agent_backoff_ms(UINT32_MAX, 0, UINT32_MAX), 59999);
}

static void
test_t45_the_jitter_is_full(void **state)
{
	(void)state;
	assert_int_equal(agent_backoff_ms(4, 0, 0), 0);
	assert_int_equal(agent_backoff_ms(4, 0, UINT32_MAX / 2 + 1), 8000);
}

static void
test_what_the_server_asked_for_is_waited_and_jitter_on_top(void **state)
{
	(void)state;
	assert_int_equal(agent_backoff_ms(0, 17, 0), 17000);
	assert_int_equal(agent_backoff_ms(1, 17, UINT32_MAX), 18999);
	assert_int_equal(agent_backoff_ms(0, UINT32_MAX, 0), 3600 * 1000);
}

static void
test_a_regular_period_is_spread_by_a_tenth_and_never_longer(void **state)
{
	(void)state;
	assert_int_equal(agent_backoff_spread_ms(30000, 0), 30000);
	assert_int_equal(agent_backoff_spread_ms(30000, UINT32_MAX), 27001);
	assert_int_equal(agent_backoff_spread_ms(0, UINT32_MAX), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_ceiling_doubles_from_one_second_to_a_minute),
		cmocka_unit_test(test_t45_the_jitter_is_full),
		cmocka_unit_test(test_what_the_server_asked_for_is_waited_and_jitter_on_top),
		cmocka_unit_test(test_a_regular_period_is_spread_by_a_tenth_and_never_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
