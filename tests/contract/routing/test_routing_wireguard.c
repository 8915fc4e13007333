/* routing: a stock WireGuard app is bound at the relay that has its node's leg, and stays so. */
#include "route_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct route_rig rig;
static struct route_rig_client client;
static struct enrolment_node node;
static char session_id[UUID_TEXT_BYTES], route_id[UUID_TEXT_BYTES];

RIG_CLOSURE(on_wireguard, Boson__Routing__WireguardReply)

static void
start(const char *udp_endpoint)
{
	struct route_rig_answer answer;

	route_rig_start(&rig, "[discovery]\nenrolment = open\n");
	rig.relay.udp_endpoint = udp_endpoint;
	route_rig_announce(&rig);
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_connect(&rig, &client, NULL, &answer);
	memcpy(session_id, answer.session_id, sizeof(session_id));
	memcpy(route_id, answer.route_id, sizeof(route_id));
}

static int
setup(void **state)
{
	*state = &rig;
	start("relay.example:51820");
	return 0;
}

static int
setup_without_udp(void **state)
{
	*state = &rig;
	start(NULL);
	return 0;
}

static void
register_app(struct rig_call *call, const char *session, const char *subject)
{
	Boson__Routing__RegisterWireguardRequest request =
		BOSON__ROUTING__REGISTER_WIREGUARD_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, subject);

	request.client_id = client.id_text;
	request.public_key = client.public_text;
	request.session_id = (char *)(uintptr_t)session;
	request.caller = &caller;
	rig_call_init(call, &rig.rig, rig.routing);
	boson__routing__routing__register_wireguard(bus_peer_service(rig.routing), &request,
						    on_wireguard, call);
	rig_call_wait(call);
}

static void
unregister_app(struct rig_call *call, const char *session)
{
	Boson__Routing__UnregisterWireguardRequest request =
		BOSON__ROUTING__UNREGISTER_WIREGUARD_REQUEST__INIT;
	Boson__Common__Caller caller =
		rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, client.token);

	request.client_id = client.id_text;
	request.session_id = (char *)(uintptr_t)session;
	request.caller = &caller;
	rig_call_init(call, &rig.rig, rig.routing);
	boson__routing__routing__unregister_wireguard(bus_peer_service(rig.routing), &request,
						      on_wireguard, call);
	rig_call_wait(call);
}

static void
test_an_app_is_bound_at_its_nodes_relay_and_freed(void **state)
{
	const Boson__Routing__WireguardReply *reply;
	struct rig_call call;

	(void)state;
	register_app(&call, session_id, client.token);
	reply = (const Boson__Routing__WireguardReply *)call.reply;
	assert_non_null(reply);
	assert_string_equal(reply->status, "registered");
	assert_string_equal(reply->client_id, client.id_text);
	assert_string_equal(reply->node_id, node.id_text);
	assert_string_equal(reply->session_id, session_id);
	assert_string_equal(reply->udp_endpoint, "relay.example:51820");
	rig_call_fini(&call);
	assert_string_equal(rig.relay.last_bound, session_id);
	assert_string_equal(rig.relay.last_client_key, client.public_text);
	unregister_app(&call, NULL);
	reply = (const Boson__Routing__WireguardReply *)call.reply;
	assert_non_null(reply);
	assert_string_equal(reply->status, "unregistered");
	rig_call_fini(&call);
	assert_int_equal(rig.relay.unbound, 1);
	unregister_app(&call, session_id); /* once more does no harm */
	rig_call_assert_served(&call);
	unregister_app(&call, NULL); /* none is left */
	assert_int_equal(call.result.status, BUS_NOT_FOUND);
	rig_call_fini(&call);
}

static void
test_the_session_is_found_by_the_clients_key(void **state)
{
	struct rig_call call;

	(void)state;
	register_app(&call, NULL, client.subject);
	assert_non_null(call.reply);
	assert_string_equal(((Boson__Routing__WireguardReply *)call.reply)->session_id, session_id);
	rig_call_fini(&call);
}

static void
test_another_ones_session_looks_unknown_T05(void **state)
{
	struct rig_call call;

	(void)state;
	register_app(&call, session_id, "key:second");
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "session_unknown");
	register_app(&call, node.id_text, client.id_text);
	assert_string_equal(call.result.code, "session_unknown");
	rig_call_fini(&call);
	register_app(&call, session_id, node.id_text);
	assert_int_equal(call.result.status, BUS_FORBIDDEN);
	rig_call_fini(&call);
	assert_int_equal(rig.relay.bound, 0);
}

static bool
is_bound_again(void *arg)
{
	return rig.relay.bound > *(const unsigned int *)arg;
}

static void
test_an_app_is_bound_again_when_its_relay_started_anew_F04(void **state)
{
	struct rig_call call;
	unsigned int bound;

	(void)state;
	register_app(&call, session_id, client.token);
	rig_call_assert_served(&call);
	relay_mailbox_stop(&rig.relay);
	bound = rig.relay.bound;
	rig.relay.last_bound[0] = '\0';
	relay_mailbox_start(&rig.relay, &rig.rig);
	rig_wait(&rig.rig, is_bound_again, &bound, "BindUdp at the new relay");
	assert_string_equal(rig.relay.last_bound, session_id);
}

/* Also: routing itself may start anew in between. */
static void
test_an_app_is_bound_again_after_kill_9_of_routing_F03(void **state)
{
	struct rig_call call;
	unsigned int bound;

	(void)state;
	register_app(&call, session_id, client.token);
	rig_call_assert_served(&call);
	rig_kill(&rig.rig, rig.routing_process);
	bound = rig.relay.bound;
	rig.routing_process = rig_spawn(&rig.rig, PROGRAM_ROUTING, 0);
	rig_wait(&rig.rig, is_bound_again, &bound, "BindUdp by the new routing");
	assert_string_equal(rig.relay.last_bound, session_id);
}

static void
test_an_app_is_bound_again_when_its_session_goes_to_another_node(void **state)
{
	struct enrolment_node other;
	struct rig_call call;
	unsigned int bound;

	(void)state;
	register_app(&call, session_id, client.token);
	rig_call_assert_served(&call);
	bound = rig.relay.bound;
	(void)route_rig_add_node(&rig, &other, RELAY_NODE_OPENS);
	route_rig_request_until_served(&rig, &call, &client, other.id_text);
	rig_call_fini(&call);
	rig_wait(&rig.rig, is_bound_again, &bound, "BindUdp for the other node");
	assert_string_equal(rig.relay.last_bound, session_id);
}

/* ---- two relays, of one name ---- */

static struct relay_mailbox second;

static int
setup_two(void **state)
{
	*state = &rig;
	start("relay.example:51820");
	memset(&second, 0, sizeof(second));
	second.id = "relay-2";
	second.name = "second";
	second.udp_endpoint = "relay.example:51820";
	relay_mailbox_start(&second, &rig.rig);
	route_rig_announce_relay(&rig, &second, "wss://second.example", false);
	return 0;
}

static int
teardown_two(void **state)
{
	relay_mailbox_stop(&second);
	return route_rig_teardown(state);
}

static bool
is_bound_at_second(void *arg)
{
	struct rig_call call;

	(void)arg;
	register_app(&call, session_id, client.token); /* until routing knows the relay */
	rig_call_assert_served(&call);
	return second.bound > 0;
}

static bool
is_unbound_at_second(void *arg)
{
	(void)arg;
	return second.unbound > 0;
}

static void
test_an_app_is_bound_at_all_relays_that_share_a_name(void **state)
{
	struct rig_call call;

	(void)state;
	rig_wait(&rig.rig, is_bound_at_second, NULL, "BindUdp at the second relay");
	assert_string_equal(second.last_bound, session_id);
	assert_string_equal(rig.relay.last_bound, session_id);
	unregister_app(&call, session_id);
	rig_call_assert_served(&call);
	rig_wait(&rig.rig, is_unbound_at_second, NULL, "UnbindUdp at the second relay");
	assert_int_equal(rig.relay.unbound, 1);
}

static bool
is_told_the_second(void *arg)
{
	const Boson__Routing__WireguardReply *reply;
	struct rig_call call;
	bool is_second;

	(void)arg;
	register_app(&call, session_id, client.token);
	reply = (const Boson__Routing__WireguardReply *)call.reply;
	assert_non_null(reply);
	is_second = strcmp(reply->udp_endpoint, "second.example:51820") == 0;
	rig_call_fini(&call);
	return is_second;
}

/* The node's leg is still there; the mesh carries what comes in at the other (F21). */
static void
test_an_app_is_not_sent_to_a_relay_that_drains_F21(void **state)
{
	const Boson__Routing__SelectedRoute *selected;
	struct rig_call call;

	(void)state;
	second.udp_endpoint = "second.example:51820";
	route_rig_announce_relay(&rig, &second, "wss://second.example", false);
	route_rig_announce_relay(&rig, &rig.relay, NULL, true);
	rig_wait(&rig.rig, is_told_the_second, NULL, "the second relay's endpoint");
	assert_string_equal(second.last_bound, session_id);
	route_rig_request_until_served(&rig, &call, &client, NULL);
	selected = ((const Boson__Routing__RouteReply *)call.reply)->selected_route;
	assert_string_equal(selected->node_endpoint->wireguard_config->endpoint,
			    "second.example:51820");
	rig_call_fini(&call);
}

static bool
is_bound_again_at_second(void *arg)
{
	return second.bound > *(const unsigned int *)arg;
}

static bool
knows_the_session_at_second(void *arg)
{
	(void)arg;
	return strcmp(second.last_bound, session_id) == 0;
}

/* A relay without a leg of the node, which the app sends to all the same. */
static void
test_an_app_is_bound_again_where_it_was_told_to_send_F04(void **state)
{
	unsigned int bound;

	(void)state;
	second.udp_endpoint = "second.example:51820";
	route_rig_announce_relay(&rig, &second, "wss://second.example", false);
	route_rig_announce_relay(&rig, &rig.relay, NULL, true);
	rig_wait(&rig.rig, is_told_the_second, NULL, "the second relay's endpoint");
	bound = second.bound;
	rig_wait(&rig.rig, is_bound_again_at_second, &bound, "the tick's own BindUdp");
	relay_mailbox_stop(&second);
	second.last_bound[0] = '\0';
	relay_mailbox_start(&second, &rig.rig);
	rig_wait(&rig.rig, knows_the_session_at_second, NULL, "BindUdp when it came back");
}

static void
test_a_relay_without_udp_is_not_asked(void **state)
{
	struct rig_call call;

	(void)state;
	register_app(&call, session_id, client.token);
	rig_call_assert_refused(&call, BUS_UNAVAILABLE, "no_udp");
	assert_int_equal(rig.relay.bound, 0);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, route_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_an_app_is_bound_at_its_nodes_relay_and_freed),
		IN_A_RIG(test_the_session_is_found_by_the_clients_key),
		IN_A_RIG(test_another_ones_session_looks_unknown_T05),
		IN_A_RIG(test_an_app_is_bound_again_when_its_relay_started_anew_F04),
		IN_A_RIG(test_an_app_is_bound_again_after_kill_9_of_routing_F03),
		IN_A_RIG(test_an_app_is_bound_again_when_its_session_goes_to_another_node),
		cmocka_unit_test_setup_teardown(
			test_an_app_is_bound_at_all_relays_that_share_a_name, setup_two,
			teardown_two),
		cmocka_unit_test_setup_teardown(test_an_app_is_not_sent_to_a_relay_that_drains_F21,
						setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(
			test_an_app_is_bound_again_where_it_was_told_to_send_F04, setup_two,
			teardown_two),
		cmocka_unit_test_setup_teardown(test_a_relay_without_udp_is_not_asked,
						setup_without_udp, route_rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
