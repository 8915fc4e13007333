/* routing_check: what a route request may say (R47, R61, R83 and their kin). */
#include "routing/routing_check.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT_ID "6f1c2a34-9b7d-4e21-8c5f-0a1b2c3d4e5f"

struct sample {
	Boson__Routing__RouteRequest request;
	Boson__Routing__Requirements requirements;
	Boson__Routing__ClientNetworkInfo network;
	Boson__Routing__RelayLatency latency, *latencies[40];
};

static void
sample_init(struct sample *sample)
{
	boson__routing__route_request__init(&sample->request);
	boson__routing__requirements__init(&sample->requirements);
	boson__routing__client_network_info__init(&sample->network);
	boson__routing__relay_latency__init(&sample->latency);
	sample->request.client_id = CLIENT_ID;
	sample->request.public_key = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
	sample->request.requirements = &sample->requirements;
	sample->request.client_network_info = &sample->network;
	sample->network.relay_latencies = sample->latencies;
	for (size_t i = 0; i < 40; i++)
		sample->latencies[i] = &sample->latency;
	sample->latency.relay_id = "relay-1";
	sample->latency.has_latency = 1;
	sample->latency.latency = 20;
}

static void
assert_refused(const struct sample *sample, const char *code, const char *field)
{
	struct field_problem problem = { "", "" };
	struct routing_wish wish;

	assert_int_equal(routing_check_request(&sample->request, &wish, &problem), -EINVAL);
	assert_string_equal(problem.code, code);
	assert_string_equal(problem.field, field);
}

static void
test_a_full_request_becomes_a_wish(void **state)
{
	struct field_problem problem;
	struct routing_wish wish;
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.request.target_node_id = CLIENT_ID;
	sample.request.failed_node_id = CLIENT_ID;
	sample.requirements.has_min_bandwidth = 1;
	sample.requirements.min_bandwidth = 10;
	sample.requirements.has_max_latency = 1;
	sample.requirements.max_latency = 80;
	sample.requirements.preferred_country = "DE";
	sample.requirements.preferred_location = "Berlin";
	sample.network.n_relay_latencies = 1;
	assert_int_equal(routing_check_request(&sample.request, &wish, &problem), 0);
	assert_true(wish.has_target && wish.has_failed);
	assert_string_equal(wish.country, "DE");
	assert_string_equal(wish.region, "Berlin");
	assert_true(wish.min_bandwidth_mbits == 10 && wish.max_latency_ms == 80);
	assert_int_equal(wish.latency_count, 1);
	assert_string_equal(wish.latencies[0].relay_id, "relay-1");
}

static void
test_a_request_without_requirements_is_fine(void **state)
{
	struct field_problem problem;
	struct routing_wish wish;
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.request.requirements = NULL;
	sample.request.client_network_info = NULL;
	assert_int_equal(routing_check_request(&sample.request, &wish, &problem), 0);
	assert_false(wish.has_target);
}

static void
test_ids_and_key_must_be_canonical(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.request.client_id = NULL;
	assert_refused(&sample, "field", "clientId");
	sample_init(&sample);
	sample.request.public_key = "AQID";
	assert_refused(&sample, "field", "publicKey");
	sample_init(&sample);
	sample.request.target_node_id = "x";
	assert_refused(&sample, "field", "targetNodeId");
	sample_init(&sample);
	sample.request.session_id = "x";
	assert_refused(&sample, "field", "sessionId");
	sample.request.session_id = CLIENT_ID;
	sample.request.failed_node_id = "that one";
	assert_refused(&sample, "field", "failedNodeId");
}

static void
test_requirements_out_of_range_are_refused_R83(void **state)
{
	static const double bandwidths[] = { -1, 1e308, NAN, INFINITY };
	struct sample sample;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		sample_init(&sample);
		sample.requirements.has_min_bandwidth = 1;
		sample.requirements.min_bandwidth = bandwidths[i];
		assert_refused(&sample, "range", "requirements.minBandwidth");
	}
	sample_init(&sample);
	sample.requirements.has_max_latency = 1;
	sample.requirements.max_latency = 0;
	assert_refused(&sample, "range", "requirements.maxLatency");
	sample_init(&sample);
	sample.requirements.preferred_country = "USA";
	assert_refused(&sample, "field", "requirements.preferredCountry");
	sample_init(&sample);
	sample.requirements.preferred_location = "a\nb";
	assert_refused(&sample, "field", "requirements.preferredLocation");
	sample_init(&sample);
	sample.network.n_relay_latencies = ROUTING_LATENCIES_MAX + 1;
	assert_refused(&sample, "range", "clientNetworkInfo.relayLatencies");
	sample_init(&sample);
	sample.network.n_relay_latencies = 1;
	sample.latency.latency = -5;
	assert_refused(&sample, "range", "clientNetworkInfo.relayLatencies");
	sample_init(&sample);
	sample.network.ipv4 = "not an address";
	assert_refused(&sample, "address", "clientNetworkInfo.ipv4");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_full_request_becomes_a_wish),
		cmocka_unit_test(test_a_request_without_requirements_is_fine),
		cmocka_unit_test(test_ids_and_key_must_be_canonical),
		cmocka_unit_test(test_requirements_out_of_range_are_refused_R83),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
