/* metrics_usage: sums that lost, late and repeated reports and restarted nodes do not spoil. */
#include "metrics/metrics_usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

static const uint8_t session[UUID_BYTES] = { 1 };
static const uint8_t node[UUID_BYTES] = { 2 };
static const uint8_t other_node[UUID_BYTES] = { 3 };

static void
report(const uint8_t *from, uint64_t up, uint64_t down, int64_t at_ms)
{
	assert_int_equal(usages_report(&usages, session, from, up, down, at_ms, at_ms), 0);
}

static void
assert_used(uint64_t up, uint64_t down)
{
	const struct usage *usage = usages_find(&usages, session);

	assert_non_null(usage);
	assert_true(usage_up(usage) == up);
	assert_true(usage_down(usage) == down);
}

static void
test_the_latest_report_is_the_sum_whatever_was_lost_or_doubled(void **state)
{
	(void)state;
	report(node, 10, 100, 1000);
	report(node, 40, 400, 3000); /* one was lost */
	report(node, 40, 400, 3000); /* doubled */
	report(node, 20, 200, 2000); /* late */
	assert_used(40, 400);
}

static void
test_a_node_that_counts_from_zero_again_adds_to_what_it_had(void **state)
{
	(void)state;
	report(node, 40, 400, 1000);
	report(node, 5, 50, 2000);
	report(node, 6, 60, 3000);
	assert_used(46, 460);
	report(other_node, 100, 1000, 4000); /* the session moved */
	assert_used(146, 1460);
}

static void
test_a_sum_never_wraps(void **state)
{
	(void)state;
	report(node, UINT64_MAX, 1, 1000);
	report(node, 0, 0, 2000);
	report(node, UINT64_MAX, 5, 3000);
	assert_used(UINT64_MAX, 6);
}

static void
test_silent_sessions_are_forgotten_oldest_first_T46(void **state)
{
	uint8_t id[UUID_BYTES], forgotten[UUID_BYTES];

	(void)state;
	for (uint8_t i = 0; i < 100; i++) {
		memset(id, i, sizeof(id));
		assert_int_equal(usages_report(&usages, id, node, 1, 1, 1, i), 0);
	}
	memset(id, 3, sizeof(id));
	assert_int_equal(usages_report(&usages, id, node, 2, 2, 2, 1000), 0); /* speaks again */
	for (uint8_t i = 0; i < 50; i++) {
		if (i == 3)
			continue;
		assert_true(usages_forget(&usages, 50, forgotten));
		assert_int_equal(forgotten[0], i);
	}
	assert_false(usages_forget(&usages, 50, forgotten));
	assert_non_null(usages_find(&usages, id));
	assert_int_equal(usages.by_session.count, 51);
}

static void
test_a_forgotten_session_is_not_to_be_saved(void **state)
{
	uint8_t forgotten[UUID_BYTES];

	(void)state;
	report(node, 1, 1, 1);
	assert_true(usages_forget(&usages, 2, forgotten));
	assert_null(usages_take_unsaved(&usages));
}

#define WITH_USAGES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_USAGES(test_the_latest_report_is_the_sum_whatever_was_lost_or_doubled),
		WITH_USAGES(test_a_node_that_counts_from_zero_again_adds_to_what_it_had),
		WITH_USAGES(test_a_sum_never_wraps),
		WITH_USAGES(test_silent_sessions_are_forgotten_oldest_first_T46),
		WITH_USAGES(test_a_forgotten_session_is_not_to_be_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
