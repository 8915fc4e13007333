/* A lease has one holder at a time, whoever stops, wakes up or is killed (F09, F10). On SQLite both
 * holders share a connection, on PostgreSQL each has one. */
#include "store_fixture.h"

#include "store/store_lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TTL_MS = 10 * 1000 };

static const struct store_migration migrations[] = { { 1, "leases", STORE_LEASE_SQL } };
static struct store *first, *second;
static struct store_lease a, b;

static struct store *
open_store(void)
{
	struct store *store = NULL;

	assert_int_equal(store_open(fixture_url, migrations, 1, &store, fixture_error,
				    sizeof(fixture_error)),
			 0);
	return store;
}

static int
setup(void **state)
{
	fixture_setup(state);
	first = open_store();
	second = fixture_is_postgresql() ? open_store() : first;
	assert_int_equal(store_lease_init(&a, "sweep", TTL_MS), 0);
	assert_int_equal(store_lease_init(&b, "sweep", TTL_MS), 0);
	return 0;
}

static int
teardown(void **state)
{
	if (second != first)
		store_close(&second);
	store_close(&first);
	return fixture_teardown(state);
}

static void
test_lease_has_one_holder(void **state)
{
	(void)state;
	assert_int_equal(store_lease_hold(&a, first, 0), 1);
	assert_int_equal(store_lease_hold(&b, second, 0), 0);
	assert_int_equal(store_lease_hold(&a, first, 1), 1);
	assert_int_equal(store_lease_hold(&b, second, TTL_MS - 1), 0);
}

static void
test_lease_goes_over_when_its_holder_has_not_moved_for_its_whole_time(void **state)
{
	(void)state;
	assert_int_equal(store_lease_hold(&a, first, 0), 1);
	assert_int_equal(store_lease_hold(&b, second, 500), 0);
	assert_int_equal(store_lease_hold(&b, second, 500 + TTL_MS - 1), 0);
	assert_int_equal(store_lease_hold(&b, second, 500 + TTL_MS), 1);
	assert_int_equal(store_lease_hold(&a, first, 500 + TTL_MS), 0);
}

static void
test_holder_that_moved_is_waited_for_anew(void **state)
{
	(void)state;
	assert_int_equal(store_lease_hold(&a, first, 0), 1);
	assert_int_equal(store_lease_hold(&b, second, 0), 0);
	assert_int_equal(store_lease_hold(&a, first, 9000), 1);
	assert_int_equal(store_lease_hold(&b, second, TTL_MS), 0);
	assert_int_equal(store_lease_hold(&b, second, 2 * TTL_MS - 1), 0);
	assert_int_equal(store_lease_hold(&b, second, 2 * TTL_MS), 1);
}

static void
test_released_lease_is_free_at_once_and_only_its_holder_releases_it(void **state)
{
	(void)state;
	assert_int_equal(store_lease_hold(&a, first, 0), 1);
	assert_int_equal(store_lease_release(&b, second), 0);
	assert_int_equal(store_lease_hold(&b, second, 0), 0);
	assert_int_equal(store_lease_release(&a, first), 0);
	assert_int_equal(store_lease_hold(&b, second, 0), 1);
}

static void
test_renewal_that_was_rolled_back_is_none(void **state)
{
	(void)state;
	assert_int_equal(store_begin(first), 0);
	assert_int_equal(store_lease_hold(&a, first, 0), 1);
	store_rollback(first);
	assert_int_equal(store_lease_hold(&b, second, 0), 1);
	assert_int_equal(store_lease_hold(&a, first, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lease_has_one_holder),
		TEST(test_lease_goes_over_when_its_holder_has_not_moved_for_its_whole_time),
		TEST(test_holder_that_moved_is_waited_for_anew),
		TEST(test_released_lease_is_free_at_once_and_only_its_holder_releases_it),
		TEST(test_renewal_that_was_rolled_back_is_none),
	};
	int result = fixture_begin(argc, argv);

	if (result != 0)
		return result;
	return fixture_end(cmocka_run_group_tests(tests, NULL, NULL));
}
