/*
 * How full a relay says it is: each thing that fills it raises the figure to what the header says,
 * none of them adds to another, and a relay that drains is full. Two shards, time by hand.
 */
#include "relay/relay_control.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SHARDS = 2, SECOND_US = 1000 * 1000, LONG_ENOUGH = 60, LAG_FULL_US = 50 * 1000 };

/* What fills the relay in each second. */
struct filling {
	uint64_t busy_us[SHARDS], bytes;
	uint32_t lag_us[SHARDS];
};

static struct relay_control *control;
static int64_t now_us;

static int
set_up(void **state)
{
	(void)state;
	now_us = 77;
	control = calloc(1, sizeof(*control));
	assert_non_null(control);
	control->settings.legs_max = 1000;
	control->settings.queue_budget_bytes = 1024 * 1024;
	control->settings.bandwidth_bytes = 10 * 1000 * 1000;
	for (; control->shard_count < SHARDS; control->shard_count++) {
		struct relay_shard *shard = calloc(1, sizeof(*shard));

		assert_non_null(shard);
		control->shards[control->shard_count] = shard;
	}
	relay_load_measure(control, now_us);
	assert_true(control->load.value == 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHARDS; i++)
		free(control->shards[i]);
	free(control);
	return 0;
}

static void
pass_second(const struct filling *filling)
{
	for (unsigned i = 0; i < SHARDS; i++) {
		atomic_fetch_add(&control->shards[i]->busy_us, filling->busy_us[i]);
		atomic_store(&control->shards[i]->lag_us, filling->lag_us[i]);
		relay_count(&control->shards[i]->counters,
			    i == 0 ? RELAY_BYTES_UP : RELAY_BYTES_DOWN, filling->bytes / SHARDS);
	}
	now_us += SECOND_US;
	relay_load_measure(control, now_us);
}

/* Where the figure comes to rest when every second is like this. */
static double
load_of(const struct filling *filling)
{
	for (int i = 0; i < LONG_ENOUGH; i++)
		pass_second(filling);
	return control->load.value;
}

static bool
is_about(double a, double b)
{
	return fabs(a - b) < 1e-4;
}

static void
test_processor_of_the_busiest_shard_is_load(void **state)
{
	(void)state;
	assert_true(is_about(load_of(&(struct filling){ .busy_us = { 100000, 700000 } }), 0.7));
	assert_true(is_about(load_of(&(struct filling){ .busy_us = { 300000, 0 } }), 0.3));
	assert_true(is_about(load_of(&(struct filling){ .busy_us = { 0, 1010000 } }), 1));
}

static void
test_the_longest_turn_is_load(void **state)
{
	(void)state;
	assert_true(is_about(load_of(&(struct filling){ .lag_us = { LAG_FULL_US / 5, 7 } }), 0.2));
	assert_true(is_about(load_of(&(struct filling){ .lag_us = { 0, 40 * LAG_FULL_US } }), 1));
	assert_true(is_about(load_of(&(struct filling){ .lag_us = { 0 } }), 0)); /* forgotten */
}

static void
test_bytes_are_load_where_the_bandwidth_is_known(void **state)
{
	(void)state;
	assert_true(is_about(load_of(&(struct filling){ .bytes = 4 * 1000 * 1000 }), 0.4));
	control->settings.bandwidth_bytes = 0;
	assert_true(is_about(load_of(&(struct filling){ .bytes = 4 * 1000 * 1000 }), 0));
}

static void
test_legs_are_load(void **state)
{
	const struct filling idle = { .bytes = 0 };

	(void)state;
	relay_count(&control->shards[0]->counters, RELAY_LEGS_NODE, 100);
	relay_count(&control->shards[1]->counters, RELAY_LEGS_CLIENT, 500);
	assert_true(is_about(load_of(&idle), 0.6));
	relay_count(&control->shards[1]->counters, RELAY_LEGS_CLIENT, -(uint64_t)500);
	assert_true(is_about(load_of(&idle), 0.1));
}

static void
test_what_waits_in_queues_is_load(void **state)
{
	(void)state;
	relay_count(&control->shards[1]->counters, RELAY_QUEUED_BYTES, 512 * 1024);
	assert_true(is_about(load_of(&(struct filling){ .bytes = 0 }), 0.5));
}

static void
test_the_fullest_counts_and_nothing_adds_up(void **state)
{
	const struct filling all = { .busy_us = { 300000, 200000 },
				     .lag_us = { LAG_FULL_US / 10, 0 },
				     .bytes = 4 * 1000 * 1000 };

	(void)state;
	relay_count(&control->shards[0]->counters, RELAY_LEGS_CLIENT, 200);
	relay_count(&control->shards[0]->counters, RELAY_QUEUED_BYTES, 100 * 1024);
	assert_true(is_about(load_of(&all), 0.4));
}

/* One second says little, four say most. */
static void
test_a_moment_is_smoothed(void **state)
{
	const struct filling busy = { .busy_us = { SECOND_US, 0 } }, idle = { .bytes = 0 };
	double last = 0;

	(void)state;
	pass_second(&busy);
	assert_true(is_about(control->load.value, 0.25));
	for (int i = 1; i < 4; i++) {
		last = control->load.value;
		pass_second(&busy);
		assert_true(control->load.value > last);
	}
	assert_in_range((uintmax_t)(control->load.value * 100), 60, 75);
	last = control->load.value;
	pass_second(&idle);
	assert_true(control->load.value < last && control->load.value > last / 2);
}

static void
test_a_relay_that_drains_is_full_at_once(void **state)
{
	(void)state;
	control->is_draining = true;
	pass_second(&(struct filling){ .bytes = 0 });
	assert_true(control->load.value == 1);
}

#define WITH_CONTROL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_CONTROL(test_processor_of_the_busiest_shard_is_load),
		WITH_CONTROL(test_the_longest_turn_is_load),
		WITH_CONTROL(test_bytes_are_load_where_the_bandwidth_is_known),
		WITH_CONTROL(test_legs_are_load),
		WITH_CONTROL(test_what_waits_in_queues_is_load),
		WITH_CONTROL(test_the_fullest_counts_and_nothing_adds_up),
		WITH_CONTROL(test_a_moment_is_smoothed),
		WITH_CONTROL(test_a_relay_that_drains_is_full_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
