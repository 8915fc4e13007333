/*
 * F32: REST requests, while the n-th allocation in gateway, discovery, routing and metrics together
 * is refused, for each n: an answer or none, but never a wrong one; all of them live on,
 * and the next request is served. When they end, nothing has leaked (the sanitizers look).
 */
#include "../gateway/gateway_rig_node.h"
#include "../gateway/gateway_rig_one.h"
#include "scarce_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { REQUESTS_MAX = 2000 };

static struct scarce *page;
static struct rig_node node;

/* A request again and again, and what it is answered when there is memory. */
struct asked {
	const char *method, *target, *bearer, *json;
	int status;
};

static int
ask(const struct asked *asked)
{
	return rig_request(&rig, asked->method, asked->target, asked->bearer, NULL, asked->json)
		->status;
}

/* 0: the connection ended without an answer. */
static bool
is_honest(int status, int expected)
{
	return status == expected || status == 0 || status == 500 || status == 503 || status == 504;
}

/* What was lost is made up for in time: a peer that is asked again, a connection that comes back.
 */
static void
assert_recovers(const struct asked *asked, unsigned long n)
{
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	int status;

	while ((status = ask(asked)) != asked->status)
		if (rig_now_ms() > deadline_ms)
			fail_msg("%s %s is %d after allocation %lu was refused", asked->method,
				 asked->target, status, n);
}

static void
sweep(const struct asked *asked)
{
	unsigned long n = 0, refusals = 0;
	bool is_more = true;

	assert_recovers(asked, 0);
	while (is_more && ++n < REQUESTS_MAX) {
		scarce_start(page, n, 1);
		int status = ask(asked);
		is_more = scarce_stop(page);
		if (!is_honest(status, asked->status))
			fail_msg("%s %s is answered %d when allocation %lu is refused",
				 asked->method, asked->target, status, n);
		refusals += status != asked->status;
		assert_recovers(asked, n);
	}
	print_message("%s %s: %lu allocations, %lu requests failed\n", asked->method, asked->target,
		      n - 1, refusals);
	assert_in_range(n, 10, REQUESTS_MAX - 1);
	assert_true(refusals > 0);
}

static void
test_a_challenge_with_too_little_memory(void **state)
{
	char json[256];

	(void)state;
	snprintf(json, sizeof(json), "{\"nodeId\":\"%s\",\"publicKey\":\"%s\",\"role\":\"node\"}",
		 node.id_text, node.key_text);
	sweep(&(struct asked){ "POST", "/api/v1/nodes/challenge", NULL, json, 200 });
}

static void
test_a_heartbeat_with_too_little_memory(void **state)
{
	char target[128];

	(void)state;
	snprintf(target, sizeof(target), "/api/v1/nodes/%s/heartbeat", node.id_text);
	sweep(&(struct asked){ "POST", target, node.bearer,
			       "{\"metrics\":{\"cpuUsage\":3,\"activeConnections\":1}}", 200 });
}

static void
test_lists_with_too_little_memory(void **state)
{
	char admin[512];

	(void)state;
	snprintf(admin, sizeof(admin), "%s", rig_bearer(&rig, "admin.key"));
	sweep(&(struct asked){ "GET", "/api/v1/nodes?limit=10", admin, NULL, 200 });
	sweep(&(struct asked){ "GET", "/api/v1/clients?limit=10", admin, NULL, 200 });
}

static void
test_what_the_gateway_answers_itself_with_too_little_memory(void **state)
{
	(void)state;
	sweep(&(struct asked){ "GET", "/health/live", NULL, NULL, 200 });
	sweep(&(struct asked){ "GET", "/api/v1/openapi.json", NULL, NULL, 200 });
}

static void
test_figures_with_too_little_memory(void **state)
{
	char target[128], admin[512];

	(void)state;
	snprintf(admin, sizeof(admin), "%s", rig_bearer(&rig, "admin.key"));
	snprintf(target, sizeof(target), "/api/v1/metrics/%s/history", node.id_text);
	sweep(&(struct asked){ "GET", target, admin, NULL, 200 });
	sweep(&(struct asked){ "GET", "/metrics", admin, NULL, 200 });
}

/* A proof is good for once, so each try has its own. */
static void
test_a_registration_with_too_little_memory(void **state)
{
	char bearer[512], json[RIG_TEXT_BYTES], header[RIG_TEXT_BYTES];
	struct proof_challenge challenge;
	unsigned long n = 0;
	bool is_more = true;
	int status = 0;

	(void)state;
	snprintf(bearer, sizeof(bearer), "%s", rig_bearer(&rig, "node.key"));
	snprintf(json, sizeof(json), "{\"nodeId\":\"%s\",\"publicKey\":\"%s\"}", node.id_text,
		 node.key_text);
	while (is_more && ++n < REQUESTS_MAX) {
		rig_node_challenge(&rig, &node, &challenge);
		rig_node_proof(&node, &challenge, json, header);
		scarce_start(page, n, 1);
		status = rig_request(&rig, "POST", "/api/v1/nodes/register", bearer, header, json)
				 ->status;
		is_more = scarce_stop(page);
		if (!is_honest(status, 200))
			fail_msg("answered %d when allocation %lu is refused", status, n);
	}
	print_message("POST /api/v1/nodes/register: %lu allocations\n", n - 1);
	assert_int_equal(status, 200);
	assert_in_range(n, 50, REQUESTS_MAX - 1);
}

static int
start(void **state)
{
	(void)state;
	page = scarce_page_open();
	if (page == NULL ||
	    rig_one_start("rate_general = 1000000\nrate_enrolment = 1000000\n"
			  "rate_admin = 1000000\nrate_heartbeat = 1000000\n"
			  "request_deadline = 2s\nmax_connections_per_address = 1000",
			  false, RIG_ALL) < 0)
		return -1;
	rig_node_enrol(&rig, &node);
	return 0;
}

static int
stop(void **state)
{
	int r = rig_one_stop(state);

	scarce_page_close(&page);
	return r;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_gateway_answers_itself_with_too_little_memory),
		cmocka_unit_test(test_a_challenge_with_too_little_memory),
		cmocka_unit_test(test_a_registration_with_too_little_memory),
		cmocka_unit_test(test_a_heartbeat_with_too_little_memory),
		cmocka_unit_test(test_lists_with_too_little_memory),
		cmocka_unit_test(test_figures_with_too_little_memory),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
