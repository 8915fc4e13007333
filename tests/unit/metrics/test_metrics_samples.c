/* metrics_samples: one latest sample a node, not too often, never backwards (T08, T42), and those
 * that wait for the tables. */
#include "metrics/metrics_samples.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct samples samples;

static int
setup(void **state)
{
	(void)state;
	return samples_init(&samples);
}

static int
teardown(void **state)
{
	(void)state;
	samples_fini(&samples);
	return 0;
}

static const uint8_t node[UUID_BYTES] = { 1 };
static const uint8_t other[UUID_BYTES] = { 2 };

static void
put(const uint8_t *id, int64_t timestamp_ms, const char *figures, int64_t now_ms)
{
	assert_int_equal(samples_put(&samples, id, timestamp_ms, figures, strlen(figures), now_ms),
			 0);
}

static void
test_a_node_may_speak_every_ten_seconds_T42(void **state)
{
	int64_t wait_ms = 0;

	(void)state;
	assert_int_equal(samples_may_take(&samples, node, 100, 0, &wait_ms), 0);
	put(node, 100, "a", 0);
	assert_int_equal(samples_may_take(&samples, node, 200, 4000, &wait_ms), -EBUSY);
	assert_int_equal(wait_ms, 6000);
	assert_int_equal(samples_may_take(&samples, other, 200, 4000, &wait_ms), 0);
	assert_int_equal(samples_may_take(&samples, node, 200, 10000, &wait_ms), 0);
}

static void
test_an_old_sample_is_not_taken_again_T08(void **state)
{
	int64_t wait_ms;

	(void)state;
	put(node, 100, "a", 0);
	assert_int_equal(samples_may_take(&samples, node, 100, 60000, &wait_ms), -ESTALE);
	assert_int_equal(samples_may_take(&samples, node, 99, 60000, &wait_ms), -ESTALE);
}

static void
test_the_latest_is_found_and_all_are_pending_in_order(void **state)
{
	struct sample *taken[4];

	(void)state;
	put(node, 1, "a", 0);
	put(other, 1, "b", 0);
	put(node, 2, "c", 10000);
	assert_memory_equal(samples_find(&samples, node)->figures, "c", 1);
	assert_int_equal(samples.by_node.count, 2);
	assert_int_equal(samples_take(&samples, taken, 2), 2);
	assert_memory_equal(taken[0]->figures, "a", 1);
	assert_memory_equal(taken[1]->figures, "b", 1);
	samples_put_back(&samples, taken, 2);
	assert_int_equal(samples_take(&samples, taken, 4), 3);
	assert_memory_equal(taken[0]->figures, "a", 1);
	assert_memory_equal(taken[2]->figures, "c", 1);
	for (size_t i = 0; i < 3; i++)
		free(taken[i]);
	assert_int_equal(samples_take(&samples, taken, 4), 0);
	put(node, 3, "d", 20000); /* the queue still ends where it should */
	assert_int_equal(samples_take(&samples, taken, 4), 1);
	free(taken[0]);
}

static void
test_what_waits_longest_makes_room_T42(void **state)
{
	struct sample *taken;

	(void)state;
	for (int64_t i = 0; i < SAMPLES_PENDING_MAX + 3; i++)
		put(node, i, "", i * SAMPLES_PERIOD_MIN_MS);
	assert_int_equal(samples.pending_n, SAMPLES_PENDING_MAX);
	assert_int_equal(samples.dropped, 3);
	assert_int_equal(samples_take(&samples, &taken, 1), 1);
	assert_int_equal(taken->timestamp_ms, 3);
	put(node, SAMPLES_PENDING_MAX + 3, "", 0);
	samples_put_back(&samples, &taken, 1); /* the queue has filled up meanwhile */
	assert_int_equal(samples.pending_n, SAMPLES_PENDING_MAX);
	assert_int_equal(samples.dropped, 4);
}

static void
test_the_node_that_was_silent_longest_makes_room_T42(void **state)
{
	uint8_t id[UUID_BYTES] = { 0 };
	struct sample *taken;

	(void)state;
	for (uint32_t i = 0; i <= SAMPLES_NODES_MAX; i++) {
		memcpy(id, &i, sizeof(i));
		put(id, 1, "", 0);
		if (samples_take(&samples, &taken, 1) == 1)
			free(taken);
	}
	assert_int_equal(samples.by_node.count, SAMPLES_NODES_MAX);
	assert_non_null(samples_find(&samples, id));
	memset(id, 0, sizeof(id));
	assert_null(samples_find(&samples, id));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_node_may_speak_every_ten_seconds_T42),
		TEST(test_an_old_sample_is_not_taken_again_T08),
		TEST(test_the_latest_is_found_and_all_are_pending_in_order),
		TEST(test_what_waits_longest_makes_room_T42),
		TEST(test_the_node_that_was_silent_longest_makes_room_T42),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
