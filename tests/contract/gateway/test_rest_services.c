/*
 * The REST API with discovery, routing, metrics and turn behind it: what only they can answer.
 */
#include "gateway_rig_node.h"
#include "gateway_rig_one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define CLIENT "5f0c0c0c-0000-4000-8000-000000000001"

static int
start(void **state)
{
	(void)state;
	return rig_one_start("rate_general = 1000000\nrate_enrolment = 1000000", false, RIG_ALL);
}

static void
test_with_discovery_and_routing_the_gateway_is_ready(void **state)
{
	(void)state;
	assert_int_equal(rig_request(&rig, "GET", "/health/ready", NULL, NULL, NULL)->status, 200);
	const struct rig_answer *answer = rig_request(&rig, "GET", "/health", NULL, NULL, NULL);
	assert_int_equal(answer->status, 200);
	/* There is no relay here. */
	assert_string_equal(rig_member(answer, "status"), "degraded");
}

static const struct rig_answer *
ask_route(const char *more)
{
	char json[512];
	snprintf(json, sizeof(json),
		 "{\"clientId\":\"" CLIENT "\",\"publicKey\":"
		 "\"hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\"%s}",
		 more);
	return rig_request(&rig, "POST", "/api/v1/routing/request", rig_bearer(&rig, "client.key"),
			   NULL, json);
}

static void
test_without_a_node_there_is_no_route_and_the_client_is_told_when_to_ask_again(void **state)
{
	(void)state;
	const struct rig_answer *answer = NULL;
	const char *code = "starting";
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	while (strcmp(code, "starting") == 0 && rig_now_ms() < deadline_ms) {
		answer = ask_route("");
		code = rig_member(answer, "error.code");
		assert_non_null(code);
	}
	assert_int_equal(answer->status, 503);
	assert_string_equal(code, "no_node_available");
	assert_non_null(rig_header(answer, "Retry-After"));
}

static void
test_R83_requirements_beyond_reason_are_400(void **state)
{
	(void)state;
	const char *const bad[] = { ",\"requirements\":{\"minBandwidth\":-1}",
				    ",\"requirements\":{\"minBandwidth\":1e308}" };
	for (size_t i = 0; i < 2; i++) {
		const struct rig_answer *answer = ask_route(bad[i]);
		assert_int_equal(answer->status, 400);
		assert_string_equal(rig_member(answer, "error.field"), "requirements.minBandwidth");
	}
}

static void
test_a_route_that_there_is_not_is_404(void **state)
{
	(void)state;
	const char *target = "/api/v1/routing/route/5f0c0c0c-0000-4000-8000-00000000000f";
	const struct rig_answer *answer =
		rig_request(&rig, "GET", target, rig_bearer(&rig, "admin.key"), NULL, NULL);
	assert_int_equal(answer->status, 404);
	assert_string_equal(rig_member(answer, "error.code"), "route_unknown");
	answer = rig_request(&rig, "DELETE", target, rig_bearer(&rig, "admin.key"), NULL, NULL);
	assert_int_equal(answer->status, 404);
}

static void
test_what_a_node_measured_can_be_read_by_it_and_by_admin(void **state)
{
	(void)state;
	static struct rig_node node, other;
	char json[RIG_TEXT_BYTES], target[128];
	struct timespec now;
	rig_node_enrol(&rig, &node);
	rig_node_enrol(&rig, &other);
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(json, sizeof(json),
		 "{\"nodeId\":\"%s\",\"timestamp\":%lld,\"metrics\":{\"system\":{\"cpuUsage\":12.5,"
		 "\"loadAverage\":[0.1,0.2,0.3]},\"connections\":{\"active\":3}}}",
		 node.id_text, (long long)now.tv_sec * 1000);
	const struct rig_answer *answer =
		rig_request(&rig, "POST", "/api/v1/metrics", node.bearer, NULL, json);
	if (answer->status != 202)
		print_message("%s\n", answer->body);
	assert_int_equal(answer->status, 202);
	snprintf(target, sizeof(target), "/api/v1/metrics/%s/latest", node.id_text);
	answer = rig_request(&rig, "GET", target, node.bearer, NULL, NULL);
	assert_int_equal(answer->status, 200);
	assert_string_equal(rig_member(answer, "metrics.system.cpuUsage"), "12.5");
	assert_string_equal(rig_member(answer, "metrics.connections.active"), "3");
	assert_int_equal(
		rig_request(&rig, "GET", target, rig_bearer(&rig, "admin.key"), NULL, NULL)->status,
		200);
	assert_int_equal(rig_request(&rig, "GET", target, other.bearer, NULL, NULL)->status, 403);
	assert_int_equal(
		rig_request(&rig, "GET", target, rig_bearer(&rig, "client.key"), NULL, NULL)
			->status,
		403);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_discovery_and_routing_the_gateway_is_ready),
		cmocka_unit_test(
			test_without_a_node_there_is_no_route_and_the_client_is_told_when_to_ask_again),
		cmocka_unit_test(test_R83_requirements_beyond_reason_are_400),
		cmocka_unit_test(test_a_route_that_there_is_not_is_404),
		cmocka_unit_test(test_what_a_node_measured_can_be_read_by_it_and_by_admin),
	};
	return cmocka_run_group_tests(tests, start, rig_one_stop);
}
