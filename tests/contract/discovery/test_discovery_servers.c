/* discovery while its PostgreSQL or its Redis is away (F13, F16): it says so to who wants to write,
 * answers everybody else from memory, and is well again by itself. */
#include "enrolment.h"
#include "loop/clock.h"

#include "../../servers/servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t body[32] = { 9 };
static struct servers servers;
static struct rig rig;
static struct bus_peer *discovery;

RIG_CLOSURE(on_beat, Boson__Discovery__HeartbeatReply)

static int
setup(void **state)
{
	char store[SERVERS_URL_BYTES], cache[SERVERS_URL_BYTES], config[3 * SERVERS_URL_BYTES];
	static unsigned schemas;
	char schema[32];

	*state = &rig;
	/* what a failed test has left */
	if (servers.postgresql <= 0)
		assert_int_equal(servers_postgresql_start(&servers), 0);
	if (servers.redis <= 0)
		assert_int_equal(servers_redis_start(&servers), 0);
	(void)snprintf(schema, sizeof(schema), "discovery_%u", schemas++);
	servers_postgresql_url(&servers, schema, store);
	servers_redis_url(&servers, cache);
	(void)snprintf(config, sizeof(config),
		       "[discovery]\nenrolment = open\nstore = %s\ncache = %s\n", store, cache);
	rig_start(&rig, config);
	discovery = rig_serve(&rig, PROGRAM_DISCOVERY, "discovery",
			      &boson__discovery__discovery__descriptor, NULL);
	return 0;
}

static void
enrol(const struct enrolment_node *node)
{
	struct rig_call call;

	rig_call_init(&call, &rig, discovery);
	enrolment_run(&call, node);
	rig_call_assert_served(&call);
}

static void
enrol_is_unavailable(const char *code)
{
	struct enrolment_node node;
	struct rig_call call;

	enrolment_node_init(&node);
	rig_call_init(&call, &rig, discovery);
	enrolment_run(&call, &node);
	assert_null(call.reply);
	assert_int_equal(call.result.status, BUS_UNAVAILABLE);
	if (code != NULL)
		assert_string_equal(call.result.code, code);
	rig_call_fini(&call);
}

/* A new node, until it works. */
static void
enrol_in_the_end(void)
{
	int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;
	struct enrolment_node node;
	bool enrolled = false;

	enrolment_node_init(&node);
	while (!enrolled) {
		struct rig_call call;

		assert_true(clock_monotonic_ms() < deadline_ms);
		rig_call_init(&call, &rig, discovery);
		enrolment_run(&call, &node);
		enrolled = call.reply != NULL;
		if (!enrolled)
			assert_true(rig_call_may_be_repeated(&call));
		rig_call_fini(&call);
	}
}

static void
heartbeat_is_answered(const struct enrolment_node *node)
{
	Boson__Discovery__HeartbeatRequest request = BOSON__DISCOVERY__HEARTBEAT_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__NODE, node->id_text);
	struct rig_call call;

	request.caller = &caller;
	request.node_id = (char *)(uintptr_t)node->id_text;
	request.has_status = 1;
	request.status = BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__online;
	rig_call_init(&call, &rig, discovery);
	boson__discovery__discovery__heartbeat(bus_peer_service(discovery), &request, on_beat,
					       &call);
	rig_call_assert_served(&call);
}

static void
test_F13_without_postgresql_nobody_new_gets_in_and_heartbeats_go_on(void **state)
{
	struct enrolment_node node;

	(void)state;
	enrolment_node_init(&node);
	enrol(&node);
	servers_postgresql_kill(&servers);
	enrol_is_unavailable("store_failed");
	enrol_is_unavailable("store_failed");
	heartbeat_is_answered(&node);
	assert_int_equal(servers_postgresql_start(&servers), 0);
	enrol_in_the_end();
	enrol(&node);
}

static void
test_F15_hanging_postgresql_is_unavailable_and_then_well_again(void **state)
{
	struct enrolment_node node;

	(void)state;
	enrolment_node_init(&node);
	enrol(&node);
	servers_postgresql_stop(&servers, true);
	enrol_is_unavailable(NULL);
	servers_postgresql_stop(&servers, false);
	enrol_in_the_end();
	heartbeat_is_answered(&node);
}

static void
test_F16_without_redis_nodes_enrol_and_beat_and_no_proof_counts_twice(void **state)
{
	struct enrolment_node node, late, replayed;
	char proof[PROOF_HEADER_MAX_BYTES];
	struct rig_call call;

	(void)state;
	enrolment_node_init(&node);
	enrol(&node);
	servers_redis_kill(&servers);
	enrolment_node_init(&late);
	enrol(&late);
	enrolment_node_init(&replayed);
	enrolment_prove(&rig, discovery, &replayed, body, proof);
	for (int i = 0; i < 2; i++) {
		rig_call_init(&call, &rig, discovery);
		enrolment_send(&call, &replayed, proof, body, NULL);
		rig_call_wait(&call);
		assert_int_equal(call.result.status, i == 0 ? BUS_OK : BUS_UNAUTHENTICATED);
		rig_call_fini(&call);
	}
	heartbeat_is_answered(&node);
	assert_int_equal(servers_redis_start(&servers), 0);
	enrol_in_the_end();
}

static void
test_F16_flushed_redis_is_no_second_chance_for_a_used_proof(void **state)
{
	static const char *const flush[] = { "FLUSHALL", NULL };
	char proof[PROOF_HEADER_MAX_BYTES];
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&node);
	enrolment_prove(&rig, discovery, &node, body, proof);
	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, &node, proof, body, NULL);
	rig_call_assert_served(&call);
	assert_true(servers_redis_command(&servers, flush));
	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, &node, proof, body, NULL);
	rig_call_wait(&call);
	assert_null(call.reply);
	assert_int_equal(call.result.status, BUS_UNAUTHENTICATED);
	rig_call_fini(&call);
}

int
main(void)
{
#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_F13_without_postgresql_nobody_new_gets_in_and_heartbeats_go_on),
		IN_A_RIG(test_F15_hanging_postgresql_is_unavailable_and_then_well_again),
		IN_A_RIG(test_F16_without_redis_nodes_enrol_and_beat_and_no_proof_counts_twice),
		IN_A_RIG(test_F16_flushed_redis_is_no_second_chance_for_a_used_proof),
	};
	int result = servers_begin(&servers, SERVERS_BOTH);

	if (result != 0)
		return result;
	result = cmocka_run_group_tests(tests, NULL, NULL);
	servers_fini(&servers);
	return result;
}
