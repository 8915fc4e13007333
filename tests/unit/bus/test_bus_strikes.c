/* A connection that sends what cannot be read is out for a minute, and no other with it (T24). */
#include "bus/bus_strikes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

static struct bus_strikes strikes;

static int
setup(void **state)
{
	(void)state;
	memset(&strikes, 0, sizeof(strikes));
	strikes.seed = 42;
	return 0;
}

static unsigned
add(const char *who, unsigned times, int64_t now_ms)
{
	unsigned out = 0;

	for (unsigned i = 0; i < times; i++)
		out += bus_strikes_add(&strikes, who, strlen(who), now_ms);
	return out;
}

static bool
is_out(const char *who, int64_t now_ms)
{
	return bus_strikes_is_out(&strikes, who, strlen(who), now_ms);
}

static void
test_ten_in_a_minute_are_too_many_and_nine_are_not(void **state)
{
	(void)state;
	assert_int_equal(add("a", BUS_STRIKES_MAX - 1, 0), 0);
	assert_false(is_out("a", 0));
	assert_int_equal(add("a", 1, BUS_STRIKES_WINDOW_MS - 1), 1);
	assert_true(is_out("a", BUS_STRIKES_WINDOW_MS - 1));
	assert_false(is_out("b", BUS_STRIKES_WINDOW_MS - 1));
}

static void
test_strikes_are_forgotten_after_a_minute(void **state)
{
	(void)state;
	assert_int_equal(add("a", BUS_STRIKES_MAX - 1, 0), 0);
	assert_int_equal(add("a", BUS_STRIKES_MAX - 1, BUS_STRIKES_WINDOW_MS), 0);
	assert_int_equal(add("a", 1, BUS_STRIKES_WINDOW_MS + 1), 1);
	assert_true(is_out("a", 2 * BUS_STRIKES_WINDOW_MS));
	assert_false(is_out("a", 2 * BUS_STRIKES_WINDOW_MS + 1));
}

static void
test_more_connections_than_places_are_remembered_by_the_latest(void **state)
{
	char name[8] = "xxx";

	(void)state;
	for (int i = 0; i < 4 * BUS_STRIKES_PLACES; i++) {
		name[0] = (char)('a' + i % 26);
		name[1] = (char)('a' + i / 26);
		(void)add(name, BUS_STRIKES_MAX, i);
		assert_true(is_out(name, i));
	}
	assert_int_equal(strikes.used, BUS_STRIKES_PLACES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ten_in_a_minute_are_too_many_and_nine_are_not, setup),
		cmocka_unit_test_setup(test_strikes_are_forgotten_after_a_minute, setup),
		cmocka_unit_test_setup(
			test_more_connections_than_places_are_remembered_by_the_latest, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
