/*
 * Times as text, and clocks that go forward.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/clock.h"

static void
assert_iso(int64_t wall_ms, const char *expected)
{
	char text[CLOCK_ISO8601_BYTES];

	clock_format_iso8601(wall_ms, text);
	assert_string_equal(text, expected);
}

static void
test_time_is_written_in_utc_with_milliseconds(void **state)
{
	(void)state;
	assert_iso(0, "1970-01-01T00:00:00.000Z");
	assert_iso(1769860800123, "2026-01-31T12:00:00.123Z");
	assert_iso(951782400000, "2000-02-29T00:00:00.000Z");
	assert_iso(-1, "1969-12-31T23:59:59.999Z");
}

/* B42 */
static void
test_time_beyond_four_digit_years_is_the_nearest_one(void **state)
{
	(void)state;
	assert_iso(INT64_MAX, "9999-12-31T23:59:59.999Z");
	assert_iso(INT64_MIN, "0001-01-01T00:00:00.000Z");
}

static void
test_monotonic_clock_never_goes_back(void **state)
{
	int64_t last_us = clock_monotonic_us();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		int64_t now_us = clock_monotonic_us();
		assert_true(now_us >= last_us);
		last_us = now_us;
	}
	assert_true(clock_monotonic_ms() >= last_us / 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_is_written_in_utc_with_milliseconds),
		cmocka_unit_test(test_time_beyond_four_digit_years_is_the_nearest_one),
		cmocka_unit_test(test_monotonic_clock_never_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
