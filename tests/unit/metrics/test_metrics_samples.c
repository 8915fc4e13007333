/* metrics_samples: one sample a node, not too often, never backwards (T08, T42). */
#include "metrics/metrics_samples.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
test_a_node_may_speak_every_ten_seconds_T42(void **state)
{
	int64_t wait_ms = 0;

	(void)state;
	assert_int_equal(samples_may_take(&samples, node, 100, 0, &wait_ms), 0);
	assert_int_equal(samples_put(&samples, node, 100, "a", 1, 0), 0);
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
	assert_int_equal(samples_put(&samples, node, 100, "a", 1, 0), 0);
	assert_int_equal(samples_may_take(&samples, node, 100, 60000, &wait_ms), -ESTALE);
	assert_int_equal(samples_may_take(&samples, node, 99, 60000, &wait_ms), -ESTALE);
}

static void
test_only_what_was_heard_is_to_be_saved_and_once(void **state)
{
	struct sample *sample;

	(void)state;
	assert_int_equal(samples_put(&samples, other, 1, "old", 3, SAMPLES_NEVER), 0);
	assert_int_equal(samples_put(&samples, node, 1, "a", 1, 0), 0);
	assert_int_equal(samples_put(&samples, node, 2, "bc", 2, 10000), 0);
	sample = samples_take_unsaved(&samples);
	assert_non_null(sample);
	assert_int_equal(sample->timestamp_ms, 2);
	assert_int_equal(sample->figures_bytes, 2);
	assert_memory_equal(sample->figures, "bc", 2);
	assert_null(samples_take_unsaved(&samples));
	assert_int_equal(samples.by_node.count, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_node_may_speak_every_ten_seconds_T42, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_an_old_sample_is_not_taken_again_T08, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_only_what_was_heard_is_to_be_saved_and_once,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
