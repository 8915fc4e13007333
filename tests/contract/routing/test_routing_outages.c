/* routing: its own death, discovery's and the relay's (F02, F03, F04). */
#include "loop/clock.h"
#include "route_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct route_rig rig;

static int
setup(void **state)
{
	*state = &rig;
	route_rig_start(&rig, "[discovery]\nenrolment = open\n[routing]\nanswer_timeout = 300ms\n");
	return 0;
}

static void
restart_routing(void)
{
	rig_kill(&rig.rig, rig.routing_process);
	rig.routing_process = rig_spawn(&rig.rig, PROGRAM_ROUTING, 0);
	rig_wait_up(&rig.rig, rig.routing);
}

/* Asks to take the session up until routing knows its node's leg again. */
static void
resume(struct rig_call *call, const struct route_rig_client *client, const char *session_id)
{
	int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;

	for (;;) {
		route_rig_request(&rig, call, client, NULL, NULL, session_id);
		if (call->reply != NULL)
			return;
		assert_true(rig_call_may_be_repeated(call));
		assert_true(clock_monotonic_ms() < deadline_ms);
		rig_call_fini(call);
	}
}

static void
test_a_session_survives_kill_9_of_routing_and_is_taken_up_again_F03(void **state)
{
	char route_id[UUID_TEXT_BYTES], session_id[UUID_TEXT_BYTES];
	const Boson__Routing__SelectedRoute *selected;
	struct route_rig_client client;
	struct enrolment_node nodes[3];
	char first_node[UUID_TEXT_BYTES];
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	for (size_t i = 0; i < 3; i++)
		(void)route_rig_add_node(&rig, &nodes[i], RELAY_NODE_OPENS);
	route_rig_request_until_served(&rig, &call, &client, NULL);
	selected = ((Boson__Routing__RouteReply *)call.reply)->selected_route;
	memcpy(route_id, selected->id, sizeof(route_id));
	memcpy(session_id, selected->session_id, sizeof(session_id));
	memcpy(first_node, selected->node_endpoint->node_id, sizeof(first_node));
	rig_call_fini(&call);
	restart_routing();
	route_rig_get(&rig, &call, route_id, client.token);
	assert_non_null(call.reply);
	assert_string_equal(((Boson__Routing__Route *)call.reply)->status, "open");
	rig_call_fini(&call);
	resume(&call, &client, session_id);
	selected = ((Boson__Routing__RouteReply *)call.reply)->selected_route;
	assert_string_equal(selected->session_id, session_id);
	assert_string_equal(selected->id, route_id);
	assert_string_equal(selected->node_endpoint->node_id, first_node);
	rig_call_fini(&call);
	route_rig_delete(&rig, &call, route_id, client.token);
	rig_call_assert_served(&call);
	restart_routing();
	route_rig_get(&rig, &call, route_id, client.token);
	assert_string_equal(((Boson__Routing__Route *)call.reply)->status, "closed");
	rig_call_fini(&call);
}

static void
test_routes_are_handed_out_while_discovery_is_dead_F02(void **state)
{
	struct route_rig_client client;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_request_until_served(&rig, &call, &client, NULL);
	rig_call_fini(&call);
	rig_kill(&rig.rig, rig.discovery_process);
	for (int i = 0; i < 3; i++) {
		route_rig_request(&rig, &call, &client, node.id_text, NULL, NULL);
		assert_non_null(call.reply);
		rig_call_fini(&call);
	}
	/* It comes back without knowing the relay, and nothing is forgotten here. */
	rig.discovery_process = rig_spawn(&rig.rig, PROGRAM_DISCOVERY, 0);
	rig_wait_up(&rig.rig, rig.discovery);
	route_rig_request(&rig, &call, &client, node.id_text, NULL, NULL);
	rig_call_assert_served(&call);
}

static bool
was_listed_again(void *arg)
{
	return rig.relay.listed > *(const unsigned int *)arg;
}

static void
test_a_relay_that_comes_back_is_asked_for_its_legs_F04(void **state)
{
	struct enrolment_node stays, leaves;
	struct route_rig_client client;
	unsigned int listed;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &leaves, RELAY_NODE_OPENS);
	(void)route_rig_add_node(&rig, &stays, RELAY_NODE_OPENS);
	route_rig_request_until_served(&rig, &call, &client, leaves.id_text);
	rig_call_fini(&call);
	relay_mailbox_stop(&rig.relay);
	rig.relay.legs[0] = rig.relay.legs[1]; /* only one node comes back */
	rig.relay.leg_count = 1;
	listed = rig.relay.listed;
	relay_mailbox_start(&rig.relay, &rig.rig);
	rig_wait(&rig.rig, was_listed_again, &listed, "ListLegs");
	route_rig_request_until_served(&rig, &call, &client, stays.id_text);
	rig_call_fini(&call);
	route_rig_request(&rig, &call, &client, leaves.id_text, NULL, NULL);
	rig_call_assert_refused(&call, BUS_UNAVAILABLE, "no_node_available");
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, route_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_session_survives_kill_9_of_routing_and_is_taken_up_again_F03),
		IN_A_RIG(test_routes_are_handed_out_while_discovery_is_dead_F02),
		IN_A_RIG(test_a_relay_that_comes_back_is_asked_for_its_legs_F04),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
