/* metrics: what can be read back: history, aggregates, Prometheus' text; by whom, and how much. */
#include "loop/clock.h"
#include "metrics_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;
static struct bus_peer *metrics;

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
	(void)rig_spawn(&rig, PROGRAM_METRICS, 0);
	metrics = rig_peer(&rig, "metrics", &boson__metrics__metrics__descriptor);
	rig_wait_up(&rig, metrics);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static void
submit(const char *node_id, int64_t at_ms, double cpu_usage)
{
	struct rig_call call;

	call_submit(&call, &rig, metrics, node_id, node_id, at_ms, cpu_usage);
	assert_non_null(call.reply);
	rig_call_fini(&call);
}

static void
test_a_sample_is_in_the_history_at_once(void **state)
{
	static const char *const intervals[] = { NULL, "raw", "minute", "hour", "day" };
	const Boson__Metrics__HistoryReply *reply;
	struct rig_call call;

	(void)state;
	submit(NODE, clock_wall_ms(), 12.5);
	submit(OTHER, clock_wall_ms(), 50);
	for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
		struct range range = { .interval = intervals[i] };

		call_history(&call, &rig, metrics, i % 2 == 0 ? NODE : "admin", &range);
		reply = (const Boson__Metrics__HistoryReply *)call.reply;
		assert_non_null(reply);
		assert_string_equal(reply->interval,
				    intervals[i] == NULL ? "minute" : intervals[i]);
		assert_int_equal(reply->n_points, 1);
		assert_int_equal(reply->points[0]->count, 1);
		assert_true(reply->points[0]->metrics->system->cpu_usage == 12.5);
		assert_null(reply->next_cursor);
		rig_call_fini(&call);
	}
}

static void
test_aggregates_have_min_mean_max_and_p95(void **state)
{
	const Boson__Metrics__AggregatedReply *reply;
	struct range range = { .start = NULL };
	struct rig_call call;

	(void)state;
	submit(NODE, clock_wall_ms(), 12.5);
	call_aggregated(&call, &rig, metrics, NODE, &range);
	reply = (const Boson__Metrics__AggregatedReply *)call.reply;
	assert_non_null(reply);
	assert_int_equal(reply->samples, 1);
	assert_true(reply->min->system->cpu_usage == 12.5);
	assert_true(reply->mean->system->cpu_usage == 12.5);
	assert_true(reply->max->system->cpu_usage == 12.5);
	assert_true(reply->p95->system->cpu_usage == 12.5);
	rig_call_fini(&call);
	range = (struct range){ "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", NULL, NULL, 0 };
	call_aggregated(&call, &rig, metrics, NODE, &range);
	reply = (const Boson__Metrics__AggregatedReply *)call.reply;
	assert_non_null(reply);
	assert_int_equal(reply->samples, 0);
	assert_string_equal(reply->start_time, "2020-01-01T00:00:00.000Z");
	assert_string_equal(reply->end_time, "2020-01-02T00:00:00.000Z");
	rig_call_fini(&call);
}

static void
assert_refused(const struct range *range, const char *field)
{
	struct rig_call call;

	call_history(&call, &rig, metrics, NODE, range);
	assert_int_equal(call.result.status, BUS_INVALID);
	assert_string_equal(call.result.field, field);
	rig_call_fini(&call);
}

static void
test_R81_a_range_that_makes_no_sense_is_refused_with_its_field(void **state)
{
	struct rig_call call;

	(void)state;
	assert_refused(&(struct range){ .start = "yesterday" }, "startTime");
	assert_refused(&(struct range){ .end = "2026-02-30T00:00:00Z" }, "endTime");
	assert_refused(
		&(struct range){ .start = "2026-01-02T00:00:00Z", .end = "2026-01-01T00:00:00Z" },
		"endTime");
	assert_refused(
		&(struct range){ .start = "2001-01-01T00:00:00Z", .end = "2011-01-01T00:00:00Z" },
		"startTime");
	assert_refused(&(struct range){ .interval = "fortnight" }, "interval");
	assert_refused(&(struct range){ .limit = 301 }, "limit");
	assert_refused(&(struct range){ .cursor = "-1" }, "cursor");
	assert_refused(&(struct range){ .cursor = "99999999999999999999" }, "cursor");
	call_history(&call, &rig, metrics, OTHER, &(struct range){ .start = NULL });
	assert_int_equal(call.result.status, BUS_FORBIDDEN);
	rig_call_fini(&call);
	call_aggregated(&call, &rig, metrics, OTHER, &(struct range){ .start = NULL });
	assert_int_equal(call.result.status, BUS_FORBIDDEN);
	rig_call_fini(&call);
}

static void
test_prometheus_text_names_no_node_T42_P26(void **state)
{
	const Boson__Metrics__ExpositionReply *reply;
	struct rig_call call;

	(void)state;
	submit(NODE, clock_wall_ms(), 12.5);
	submit(OTHER, clock_wall_ms(), 12.5);
	call_history(&call, &rig, metrics, NODE, &(struct range){ .start = NULL });
	rig_call_fini(&call); /* both are in the tables now */
	call_exposition(&call, &rig, metrics);
	reply = (const Boson__Metrics__ExpositionReply *)call.reply;
	assert_non_null(reply);
	assert_non_null(strstr(reply->text, "\nboson_fleet_samples_total 2\n"));
	assert_non_null(strstr(reply->text, "\nboson_fleet_relays 0\n"));
	assert_null(strstr(reply->text, NODE));
	assert_null(strstr(reply->text, OTHER));
	rig_call_fini(&call);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_sample_is_in_the_history_at_once),
		IN_A_RIG(test_aggregates_have_min_mean_max_and_p95),
		IN_A_RIG(test_R81_a_range_that_makes_no_sense_is_refused_with_its_field),
		IN_A_RIG(test_prometheus_text_names_no_node_T42_P26),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
