/* metrics_check: what a node may say of itself (T42). */
#include "metrics/metrics_check.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { NOW_MS = 1700000000 };

struct sample {
	Boson__Metrics__SubmitRequest request;
	Boson__Metrics__Figures figures;
	Boson__Metrics__Network network;
	Boson__Metrics__System system;
	double load[4];
};

static void
sample_init(struct sample *sample)
{
	boson__metrics__submit_request__init(&sample->request);
	boson__metrics__figures__init(&sample->figures);
	boson__metrics__network__init(&sample->network);
	boson__metrics__system__init(&sample->system);
	sample->request.node_id = "6f1c2a34-9b7d-4e21-8c5f-0a1b2c3d4e5f";
	sample->request.has_timestamp = 1;
	sample->request.timestamp = NOW_MS;
	sample->request.metrics = &sample->figures;
	sample->figures.network = &sample->network;
	sample->figures.system = &sample->system;
	sample->system.load_average = sample->load;
	for (size_t i = 0; i < 4; i++)
		sample->load[i] = 0.5;
}

static void
assert_refused(const struct sample *sample, const char *code, const char *field)
{
	struct field_problem problem = { "", "" };

	assert_int_equal(metrics_check_submit(&sample->request, NOW_MS, &problem), -EINVAL);
	assert_string_equal(problem.code, code);
	assert_string_equal(problem.field, field);
}

static void
test_an_ordinary_sample_is_accepted(void **state)
{
	struct field_problem problem;
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.system.n_load_average = 3;
	sample.network.has_latency = 1;
	sample.network.latency = 20;
	assert_int_equal(metrics_check_submit(&sample.request, NOW_MS, &problem), 0);
}

static void
test_a_timestamp_more_than_five_minutes_off_is_refused_T42(void **state)
{
	static const int64_t bad[] = { NOW_MS - METRICS_CLOCK_OFF_MAX_MS - 1,
				       NOW_MS + METRICS_CLOCK_OFF_MAX_MS + 1, INT64_MIN, INT64_MAX,
				       0 };
	struct field_problem problem;
	struct sample sample;

	(void)state;
	sample_init(&sample);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		sample.request.timestamp = bad[i];
		assert_refused(&sample, "range", "timestamp");
	}
	sample.request.timestamp = NOW_MS - METRICS_CLOCK_OFF_MAX_MS;
	assert_int_equal(metrics_check_submit(&sample.request, NOW_MS, &problem), 0);
	sample.request.has_timestamp = 0;
	assert_refused(&sample, "field", "timestamp");
}

static void
test_figures_out_of_range_are_refused(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.network.has_packet_loss = 1;
	sample.network.packet_loss = 100.5;
	assert_refused(&sample, "range", "metrics.network.packetLoss");
	sample_init(&sample);
	sample.system.has_cpu_usage = 1;
	sample.system.cpu_usage = NAN;
	assert_refused(&sample, "range", "metrics.system.cpuUsage");
	sample_init(&sample);
	sample.system.n_load_average = 4;
	assert_refused(&sample, "field", "metrics.system.loadAverage");
	sample_init(&sample);
	sample.system.n_load_average = 3;
	sample.load[2] = -1;
	assert_refused(&sample, "range", "metrics.system.loadAverage");
	sample_init(&sample);
	sample.request.metrics = NULL;
	assert_refused(&sample, "field", "metrics");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_ordinary_sample_is_accepted),
		cmocka_unit_test(test_a_timestamp_more_than_five_minutes_off_is_refused_T42),
		cmocka_unit_test(test_figures_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
