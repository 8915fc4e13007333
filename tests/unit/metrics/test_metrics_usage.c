/* metrics_usage: figures that lost, late and repeated reports and restarted nodes do not spoil. */
#include "metrics/metrics_usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct usages usages;

static int
setup(void **state)
{
	(void)state;
	return usages_init(&usages);
}

static int
teardown(void **state)
{
	(void)state;
	usages_fini(&usages);
	return 0;
}

static void
report(uint8_t session, uint64_t epoch, uint64_t up, uint64_t down, int64_t at_ms)
{
	struct usage_key key = { .session_id = { session }, .node_id = { 7 }, .epoch = epoch };

	assert_int_equal(usages_report(&usages, &key, up, down, at_ms), 0);
}

static void
assert_usage(const struct usage *usage, uint64_t epoch, uint64_t up, uint64_t down, int64_t at_ms)
{
	assert_true(usage->key.epoch == epoch);
	assert_true(usage->up == up);
	assert_true(usage->down == down);
	assert_int_equal(usage->reported_at_ms, at_ms);
}

static void
test_lost_late_and_doubled_reports_do_no_harm(void **state)
{
	struct usage *taken[2];

	(void)state;
	report(1, 5, 10, 100, 1000);
	report(1, 5, 40, 400, 3000); /* one was lost */
	report(1, 5, 40, 400, 3000); /* doubled */
	report(1, 5, 20, 200, 2000); /* late */
	assert_int_equal(usages_take(&usages, taken, 2), 1);
	assert_usage(taken[0], 5, 40, 400, 3000);
	free(taken[0]);
}

static void
test_each_run_of_the_node_is_counted_by_itself(void **state)
{
	struct usage *taken[3];

	(void)state;
	report(1, 5, 40, 400, 1000);
	report(1, 6, 50, 500, 2000); /* more than before, and yet from zero */
	assert_int_equal(usages_take(&usages, taken, 3), 2);
	assert_usage(taken[0], 5, 40, 400, 1000);
	assert_usage(taken[1], 6, 50, 500, 2000);
	free(taken[0]);
	free(taken[1]);
}

static void
test_what_could_not_be_written_joins_what_came_meanwhile(void **state)
{
	struct usage *taken[2];

	(void)state;
	report(1, 5, 40, 400, 1000);
	report(2, 5, 1, 1, 1000);
	assert_int_equal(usages_take(&usages, taken, 2), 2);
	report(1, 5, 50, 390, 2000);
	usages_put_back(&usages, taken, 2);
	assert_int_equal(usages_take(&usages, taken, 2), 2);
	assert_usage(taken[0], 5, 50, 400, 2000);
	free(taken[0]);
	free(taken[1]);
	assert_int_equal(usages_take(&usages, taken, 2), 0);
}

static void
test_the_oldest_makes_room(void **state)
{
	struct usage_key key = { .epoch = 1 };
	struct usage *taken;

	(void)state;
	for (uint32_t i = 0; i <= USAGE_PENDING_MAX; i++) {
		memcpy(key.session_id, &i, sizeof(i));
		assert_int_equal(usages_report(&usages, &key, i, 0, 1), 0);
	}
	assert_int_equal(usages.by_key.count, USAGE_PENDING_MAX);
	assert_int_equal(usages.dropped, 1);
	assert_int_equal(usages_take(&usages, &taken, 1), 1);
	assert_int_equal(taken->up, 1);
	free(taken);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lost_late_and_doubled_reports_do_no_harm),
		TEST(test_each_run_of_the_node_is_counted_by_itself),
		TEST(test_what_could_not_be_written_joins_what_came_meanwhile),
		TEST(test_the_oldest_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
