/*
 * Requests that come twice are known, in a table of fixed size. (B46)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/bus_sightings.h"

#include <string.h>

static struct bus_sightings sightings;

static int
setup(void **state)
{
	(void)state;
	memset(&sightings, 0, sizeof(sightings));
	sightings.seed = 12345;
	return 0;
}

static bool
is_new(uint32_t peer, uint64_t correlation)
{
	return bus_sighting_is_new(&sightings, &peer, sizeof(peer), correlation);
}

static void
test_same_or_older_id_of_a_peer_is_not_new(void **state)
{
	(void)state;
	assert_true(is_new(1, 10));
	assert_false(is_new(1, 10));
	assert_false(is_new(1, 9));
	assert_true(is_new(1, 11));
	assert_true(is_new(1, UINT64_MAX));
	assert_false(is_new(1, UINT64_MAX));
}

static void
test_each_peer_counts_for_itself(void **state)
{
	(void)state;
	assert_true(is_new(1, 10));
	assert_true(is_new(2, 10));
	assert_true(is_new(3, 1));
	assert_false(is_new(2, 10));
}

static void
test_peer_that_is_busy_is_remembered_among_many_that_come_and_go(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < 100000; i++) {
		assert_true(is_new(0, i));
		assert_true(is_new(i, 1));
		assert_false(is_new(0, i));
	}
}

static void
test_id_zero_is_never_new(void **state)
{
	(void)state;
	assert_false(is_new(1, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_same_or_older_id_of_a_peer_is_not_new, setup),
		cmocka_unit_test_setup(test_each_peer_counts_for_itself, setup),
		cmocka_unit_test_setup(
			test_peer_that_is_busy_is_remembered_among_many_that_come_and_go, setup),
		cmocka_unit_test_setup(test_id_zero_is_never_new, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
