/*
 * A node's key on two hosts (F48): how often its legs may take each other's place, and when that is
 * told. At times that are passed in.
 */
#include "relay/relay_channel.h"
#include "relay/relay_clones.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t node_a[UUID_BYTES] = "node-a", node_b[UUID_BYTES] = "node-b";

enum { START_MS = 1000 * 1000, SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS };

static int
set_up(void **state)
{
	static struct relay_clones clones;

	*state = &clones;
	return relay_clones_init(&clones);
}

static int
tear_down(void **state)
{
	relay_clones_fini(*state);
	return 0;
}

/* Two hosts that wait thirty seconds each time are seen within two minutes, and told once in five.
 */
static void
test_two_patient_hosts_are_told_once(void **state)
{
	struct relay_clones *clones = *state;
	unsigned told = 0;

	for (int64_t ms = 0; ms < 5 * MINUTE_MS; ms += 30 * SECOND_MS) {
		unsigned swaps = relay_clones_add(clones, node_a, false, START_MS + ms);

		assert_true(swaps == 0 || ms < 2 * MINUTE_MS);
		told += swaps != 0;
	}
	assert_int_equal(told, 1);
	for (int i = 0; i < RELAY_CLONES_SWAPS; i++)
		told += relay_clones_add(clones, node_a, false, START_MS + 5 * MINUTE_MS + i) != 0;
	assert_int_equal(told, 2);
}

static void
test_a_node_that_moves_now_and_then_is_no_clone(void **state)
{
	for (int64_t ms = 0; ms < 60 * MINUTE_MS; ms += 150 * SECOND_MS)
		assert_int_equal(relay_clones_add(*state, node_a, false, START_MS + ms), 0);
}

static void
test_a_refused_leg_is_told_at_once(void **state)
{
	assert_int_equal(relay_clones_add(*state, node_a, true, START_MS), 1);
	assert_int_equal(relay_clones_add(*state, node_a, true, START_MS + 1), 0);
	assert_int_equal(relay_clones_add(*state, node_b, false, START_MS + 1), 0);
}

static void
test_who_is_quiet_for_longest_is_forgotten(void **state)
{
	uint8_t id[UUID_BYTES] = { 0 };

	assert_int_equal(relay_clones_add(*state, node_a, false, START_MS), 0);
	assert_int_equal(relay_clones_add(*state, node_b, false, START_MS), 0);
	assert_int_equal(relay_clones_add(*state, node_b, false, START_MS), 0);
	for (uint32_t i = 1; i < RELAY_CLONES_MAX - 1; i++) {
		memcpy(id, &i, sizeof(i));
		relay_clones_add(*state, id, false, START_MS);
	}
	assert_int_equal(relay_clones_add(*state, node_b, false, START_MS), RELAY_CLONES_SWAPS);
	memset(id, 0xff, sizeof(id));
	relay_clones_add(*state, id, false, START_MS); /* node_a goes for it */
	for (int i = 1; i < RELAY_CLONES_SWAPS; i++)
		assert_int_equal(relay_clones_add(*state, node_a, false, START_MS), 0);
}

/* A few at once, for a host whose connections die; in the long run one in ten seconds. */
static void
test_f48_legs_take_each_others_place_once_in_ten_seconds(void **state)
{
	struct relay_swaps swaps = { 0 };
	unsigned n = 0;

	(void)state;
	for (int64_t ms = 0; ms < 10 * MINUTE_MS; ms += 100)
		n += relay_swaps_add(&swaps, START_MS + ms);
	assert_int_equal(n, RELAY_SWAPS_MAX + 10 * MINUTE_MS / RELAY_SWAPS_MS - 1);
	for (int i = 0; i < 10; i++) /* after a quiet time it may again */
		n += relay_swaps_add(&swaps, START_MS + 20 * MINUTE_MS);
	assert_int_equal(n, 2 * RELAY_SWAPS_MAX + 10 * MINUTE_MS / RELAY_SWAPS_MS - 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_patient_hosts_are_told_once, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_node_that_moves_now_and_then_is_no_clone,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_refused_leg_is_told_at_once, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_who_is_quiet_for_longest_is_forgotten, set_up,
						tear_down),
		cmocka_unit_test(test_f48_legs_take_each_others_place_once_in_ten_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
