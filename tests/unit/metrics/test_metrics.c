/*
 * Figures, and the text that Prometheus reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "metrics/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
setup(void **state)
{
	struct metrics *metrics = NULL;

	assert_int_equal(metrics_new("boson_relay", &metrics), 0);
	*state = metrics;
	return 0;
}

static int
teardown(void **state)
{
	metrics_free((struct metrics **)state);
	assert_null(*state);
	return 0;
}

static void
assert_text(struct metrics *metrics, const char *expected)
{
	struct metrics *all[] = { metrics };
	char *text = NULL;
	size_t n = 0;

	assert_int_equal(metrics_write(all, 1, &text, &n), 0);
	assert_int_equal(strlen(text), n);
	assert_string_equal(text, expected);
	free(text);
}

static void
test_counter_and_gauge_are_written_with_help_and_type(void **state)
{
	metric_add(metrics_counter(*state, "drops_total", "reason=\"full\"", "Dropped."), 3);
	metric_set(metrics_gauge(*state, "load", NULL, "How busy,\nand how."), 0.25);
	assert_text(*state, "# HELP boson_relay_drops_total Dropped.\n"
			    "# TYPE boson_relay_drops_total counter\n"
			    "boson_relay_drops_total{reason=\"full\"} 3\n"
			    "# HELP boson_relay_load How busy,\\nand how.\n"
			    "# TYPE boson_relay_load gauge\n"
			    "boson_relay_load 0.25\n");
}

/* Prometheus wants all figures of one name together, under one head. */
static void
test_figures_of_one_name_stand_together(void **state)
{
	metric_add(metrics_counter(*state, "a_total", "x=\"1\"", "A."), 1);
	metric_add(metrics_counter(*state, "b_total", NULL, "B."), 2);
	metric_add(metrics_counter(*state, "a_total", "x=\"2\"", "A."), 3);
	assert_text(*state, "# HELP boson_relay_a_total A.\n"
			    "# TYPE boson_relay_a_total counter\n"
			    "boson_relay_a_total{x=\"1\"} 1\n"
			    "boson_relay_a_total{x=\"2\"} 3\n"
			    "# HELP boson_relay_b_total B.\n"
			    "# TYPE boson_relay_b_total counter\n"
			    "boson_relay_b_total 2\n");
}

static void
test_same_name_and_labels_are_the_same_figure(void **state)
{
	struct metric *one = metrics_counter(*state, "a_total", "x=\"1\"", "A.");

	assert_ptr_equal(metrics_counter(*state, "a_total", "x=\"1\"", "A."), one);
	assert_ptr_not_equal(metrics_counter(*state, "a_total", NULL, "A."), one);
	assert_ptr_not_equal(metrics_counter(*state, "a_total", "x=\"2\"", "A."), one);
}

static void
test_histogram_counts_each_observation_in_all_wider_buckets(void **state)
{
	struct metric *h = metrics_histogram(*state, "seconds", "method=\"X\"", "Time.");
	struct metrics *all[] = { *state };
	char *text = NULL;
	size_t n = 0;

	metric_observe_us(h, 100);	/* on the edge of the first */
	metric_observe_us(h, 1500);	/* 0.002 */
	metric_observe_us(h, 60000000); /* beyond all */
	assert_int_equal(metrics_write(all, 1, &text, &n), 0);
	const char *const lines[] = {
		"\nboson_relay_seconds_bucket{method=\"X\",le=\"0.0001\"} 1\n",
		"\nboson_relay_seconds_bucket{method=\"X\",le=\"0.001\"} 1\n",
		"\nboson_relay_seconds_bucket{method=\"X\",le=\"0.002\"} 2\n",
		"\nboson_relay_seconds_bucket{method=\"X\",le=\"10\"} 2\n",
		"\nboson_relay_seconds_bucket{method=\"X\",le=\"+Inf\"} 3\n",
		"\nboson_relay_seconds_sum{method=\"X\"} 60.001600\n",
		"\nboson_relay_seconds_count{method=\"X\"} 3\n",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_non_null(strstr(text, lines[i]));
	free(text);
}

static void
test_registries_are_written_one_after_the_other(void **state)
{
	struct metrics *other = NULL;
	char *text = NULL;
	size_t n = 0;

	assert_int_equal(metrics_new("boson_turn", &other), 0);
	struct metrics *all[] = { *state, other };
	metrics_counter(*state, "a_total", NULL, "A.");
	metrics_counter(other, "a_total", NULL, "A.");
	assert_int_equal(metrics_write(all, 2, &text, &n), 0);
	assert_non_null(strstr(text, "\nboson_relay_a_total 0\n"));
	assert_non_null(strstr(text, "\nboson_turn_a_total 0\n"));
	free(text);
	metrics_free(&other);
}

static void
test_gauge_can_be_added_to(void **state)
{
	struct metric *gauge = metrics_gauge(*state, "legs", NULL, "Legs.");

	metric_set(gauge, 2.5);
	metric_add(gauge, 2);
	assert_int_equal(metric_value(gauge), 4);
	metric_set(gauge, -3);
	assert_int_equal(metric_value(gauge), 0);
}

static void *
count(void *arg)
{
	struct metric *counter = metrics_counter(arg, "a_total", NULL, "A.");

	for (int i = 0; i < 100000; i++)
		metric_add(counter, 1);
	for (int i = 0; i < 100; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n%d_total", i);
		metrics_counter(arg, name, NULL, "N.");
	}
	return NULL;
}

static void
test_figures_may_be_made_counted_and_written_at_once(void **state)
{
	struct metrics *all[] = { *state };
	pthread_t threads[2];
	char *text = NULL;
	size_t n = 0;

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, count, *state);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(metrics_write(all, 1, &text, &n), 0);
		free(text);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metric_value(metrics_counter(*state, "a_total", NULL, "A.")), 200000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_counter_and_gauge_are_written_with_help_and_type),
		TEST(test_figures_of_one_name_stand_together),
		TEST(test_same_name_and_labels_are_the_same_figure),
		TEST(test_histogram_counts_each_observation_in_all_wider_buckets),
		TEST(test_registries_are_written_one_after_the_other),
		TEST(test_gauge_can_be_added_to),
		TEST(test_figures_may_be_made_counted_and_written_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
