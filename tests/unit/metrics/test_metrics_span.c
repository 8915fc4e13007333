/* metrics_span: times as text, and which rollups cover a span. */
#include "metrics/metrics_span.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const struct metrics_retention keep = { { DAY, 7 * DAY, 90 * DAY, 730 * DAY } };

static void
assert_time(const char *text, int64_t expected_ms)
{
	int64_t at_ms = -1;

	assert_int_equal(metrics_time_parse(text, &at_ms), 0);
	assert_int_equal(at_ms, expected_ms);
}

static void
test_iso_8601_is_read(void **state)
{
	(void)state;
	assert_time("1970-01-01T00:00:00Z", 0);
	assert_time("2026-01-31T12:00:00Z", 1769860800000);
	assert_time("2026-01-31T12:00:00.25Z", 1769860800250);
	assert_time("2026-01-31T12:00:00.123456Z", 1769860800123);
	assert_time("2026-01-31T13:30:00+01:30", 1769860800000);
	assert_time("2026-01-31T04:00:00-08:00", 1769860800000);
	assert_time("2024-02-29T00:00:00Z", 1709164800000);
}

static void
test_what_is_no_time_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"now",
		"2026-01-31",
		"2026-01-31T12:00:00",
		"2026-01-31 12:00:00Z",
		"2026-02-29T12:00:00Z",
		"2026-04-31T12:00:00Z",
		"2026-00-10T12:00:00Z",
		"2026-01-31T24:00:00Z",
		"2026-01-31T12:60:00Z",
		"2026-01-31T12:00:61Z",
		"2026-01-31T12:00:00.Z",
		"2026-01-31T12:00:00Z ",
		"2026-01-31T12:00:00+1:00",
		"2026-01-31T12:00:00+15:00",
		"1969-12-31T23:59:59Z",
		"-026-01-31T12:00:00Z",
		"12026-01-31T12:00:00Z",
		"1769860800000",
		"1970-01-01T00:00:00+01:00",
	};
	int64_t at_ms;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(metrics_time_parse(bad[i], &at_ms), -EINVAL);
}

static void
test_the_interval_is_the_finest_that_fits_and_is_kept(void **state)
{
	int64_t now = 1000 * DAY;

	(void)state;
	assert_int_equal(metrics_level_choose(now - HOUR, now, now, &keep, 300), METRICS_MINUTE);
	assert_int_equal(metrics_level_choose(now - DAY, now, now, &keep, 300), METRICS_HOUR);
	assert_int_equal(metrics_level_choose(now - 30 * DAY, now, now, &keep, 300), METRICS_DAY);
	assert_int_equal(metrics_level_choose(now - 8 * DAY, now - 8 * DAY + HOUR, now, &keep, 300),
			 METRICS_HOUR);
	assert_int_equal(
		metrics_level_choose(now - 91 * DAY, now - 91 * DAY + HOUR, now, &keep, 300),
		METRICS_DAY);
}

/* The spans follow each other without a gap, and each is of whole intervals. */
static size_t
check_cover(int64_t from_ms, int64_t to_ms, int64_t now_ms, int64_t first_ms, int64_t last_ms)
{
	struct metrics_span spans[METRICS_SPANS_MAX];
	size_t n = metrics_spans_cover(from_ms, to_ms, now_ms, &keep, spans);

	assert_in_range(n, 1, METRICS_SPANS_MAX);
	assert_int_equal(spans[0].from_ms, first_ms);
	assert_int_equal(spans[n - 1].to_ms, last_ms);
	for (size_t i = 0; i < n; i++) {
		assert_true(spans[i].from_ms < spans[i].to_ms);
		assert_int_equal(metrics_level_floor(spans[i].level, spans[i].from_ms),
				 spans[i].from_ms);
		assert_int_equal(metrics_level_floor(spans[i].level, spans[i].to_ms),
				 spans[i].to_ms);
		if (i > 0)
			assert_int_equal(spans[i].from_ms, spans[i - 1].to_ms);
	}
	return n;
}

static void
test_a_span_is_covered_by_few_rollups_without_gap_or_overlap(void **state)
{
	int64_t now = 1000 * DAY;

	(void)state;
	/* minutes, hours, days, hours, minutes */
	assert_int_equal(check_cover(now - 5 * DAY + 90 * MINUTE, now - 90 * MINUTE, now,
				     now - 5 * DAY + 90 * MINUTE, now - 90 * MINUTE),
			 5);
	assert_int_equal(check_cover(now - 2 * DAY, now - DAY, now, now - 2 * DAY, now - DAY), 1);
	assert_int_equal(
		check_cover(now - 5 * MINUTE - 1, now - MINUTE + 1, now, now - 6 * MINUTE, now), 1);
	/* within an hour, over its end, over midnight */
	assert_int_equal(check_cover(now + 10 * MINUTE, now + 20 * MINUTE, now + HOUR,
				     now + 10 * MINUTE, now + 20 * MINUTE),
			 1);
	assert_int_equal(check_cover(now + 50 * MINUTE, now + 70 * MINUTE, now + 2 * HOUR,
				     now + 50 * MINUTE, now + 70 * MINUTE),
			 2);
	assert_int_equal(check_cover(now - 2 * HOUR, now + 2 * HOUR, now + 3 * HOUR, now - 2 * HOUR,
				     now + 2 * HOUR),
			 2);
}

static void
test_where_minutes_are_no_longer_kept_the_ends_move_outwards(void **state)
{
	int64_t now = 1000 * DAY, old = now - 20 * DAY, ancient = now - 200 * DAY;

	(void)state;
	check_cover(old + 10 * MINUTE, old + 100 * MINUTE, now, old, old + 2 * HOUR);
	check_cover(old + 10 * MINUTE, now, now, old, now);
	check_cover(ancient + HOUR, ancient + 2 * HOUR, now, ancient, ancient + DAY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_iso_8601_is_read),
		cmocka_unit_test(test_what_is_no_time_is_refused),
		cmocka_unit_test(test_the_interval_is_the_finest_that_fits_and_is_kept),
		cmocka_unit_test(test_a_span_is_covered_by_few_rollups_without_gap_or_overlap),
		cmocka_unit_test(test_where_minutes_are_no_longer_kept_the_ends_move_outwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
