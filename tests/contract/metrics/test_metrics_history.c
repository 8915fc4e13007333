/* metrics: what can be read back: history, aggregates, Prometheus' text; by whom, and how much. */
#include "discovery.pb-c.h"
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
	*state = &rig;
	rig_start(&rig, "");
	metrics = rig_serve(&rig, PROGRAM_METRICS, "metrics", &boson__metrics__metrics__descriptor,
			    NULL);
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

/* ---- a discovery of the test's own, with two pages of nodes ---- */

static void
on_snapshot(Boson__Discovery__Discovery_Service *service,
	    const Boson__Discovery__SnapshotRequest *input,
	    Boson__Discovery__SnapshotReply_Closure closure, void *call)
{
	Boson__Discovery__SnapshotReply reply = BOSON__DISCOVERY__SNAPSHOT_REPLY__INIT;
	Boson__Discovery__Node node = BOSON__DISCOVERY__NODE__INIT, *nodes[] = { &node };
	Boson__Common__Location location = BOSON__COMMON__LOCATION__INIT;
	bool is_first = input->cursor == NULL;

	(void)service;
	location.country = is_first ? "CH" : "DE";
	node.node_id = is_first ? NODE : OTHER;
	node.status = is_first ? "online" : "offline";
	node.location = &location;
	reply.n_nodes = 1;
	reply.nodes = nodes;
	reply.next_cursor = is_first ? "more" : NULL;
	closure(&reply, call);
}

/* arg: the line that is awaited. */
static bool
is_exposed(void *arg)
{
	const Boson__Metrics__ExpositionReply *reply;
	struct rig_call call;
	bool found;

	call_exposition(&call, &rig, metrics);
	reply = (const Boson__Metrics__ExpositionReply *)call.reply;
	found = reply != NULL && strstr(reply->text, arg) != NULL;
	if (found)
		assert_null(strstr(reply->text, NODE));
	rig_call_fini(&call);
	return found;
}

static void
test_nodes_are_counted_by_country_over_all_pages_P26(void **state)
{
	static Boson__Discovery__Discovery_Service discovery = {
		.base = { &boson__discovery__discovery__descriptor,
			  protobuf_c_service_invoke_internal, NULL },
		.snapshot = on_snapshot,
	};
	char endpoint[RIG_PATH_BYTES];
	char lines[] = "\nboson_fleet_nodes{country=\"CH\",status=\"online\"} 1\n"
		       "boson_fleet_nodes{country=\"CH\",status=\"degraded\"} 0\n"
		       "boson_fleet_nodes{country=\"CH\",status=\"offline\"} 0\n"
		       "boson_fleet_nodes{country=\"DE\",status=\"online\"} 0\n"
		       "boson_fleet_nodes{country=\"DE\",status=\"degraded\"} 0\n"
		       "boson_fleet_nodes{country=\"DE\",status=\"offline\"} 1\n";

	(void)state;
	rig_start(&rig, "");
	rig_endpoint(&rig, "discovery", false, endpoint);
	assert_int_equal(bus_serve(rig.bus, endpoint, &discovery.base, NULL), 0);
	(void)rig_spawn(&rig, PROGRAM_METRICS, 0);
	metrics = rig_peer(&rig, "metrics", &boson__metrics__metrics__descriptor);
	rig_wait_up(&rig, metrics);
	rig_wait(&rig, is_exposed, lines, "the count");
	rig_stop(&rig);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_sample_is_in_the_history_at_once),
		IN_A_RIG(test_aggregates_have_min_mean_max_and_p95),
		IN_A_RIG(test_R81_a_range_that_makes_no_sense_is_refused_with_its_field),
		IN_A_RIG(test_prometheus_text_names_no_node_T42_P26),
		cmocka_unit_test(test_nodes_are_counted_by_country_over_all_pages_P26),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
