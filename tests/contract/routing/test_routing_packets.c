/* routing: datagrams by REST go to the relay that has the node's leg, and only within one's own
 * session. */
#include "route_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { RESPONSE_BYTES = 92 };

static struct route_rig rig;
static struct route_rig_client client;
static struct enrolment_node node;
static char session_id[UUID_TEXT_BYTES];

RIG_CLOSURE(on_packet, Boson__Routing__PacketReply)

static int
setup(void **state)
{
	struct route_rig_answer answer;

	*state = &rig;
	route_rig_start(&rig, "[discovery]\nenrolment = open\n");
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_connect(&rig, &client, NULL, &answer);
	memcpy(session_id, answer.session_id, sizeof(session_id));
	return 0;
}

static void
send_from_node(struct rig_call *call, const char *subject, uint8_t *bytes, size_t n)
{
	Boson__Routing__PacketFromNodeRequest request =
		BOSON__ROUTING__PACKET_FROM_NODE_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__NODE, subject);

	request.session_id = session_id;
	request.has_packet = 1;
	request.packet = (ProtobufCBinaryData){ n, bytes };
	request.caller = &caller;
	rig_call_init(call, &rig.rig, rig.routing);
	boson__routing__routing__packet_from_node(bus_peer_service(rig.routing), &request,
						  on_packet, call);
	rig_call_wait(call);
}

static void
send_from_client(struct rig_call *call, const char *subject, uint8_t *bytes, size_t n)
{
	Boson__Routing__PacketFromClientRequest request =
		BOSON__ROUTING__PACKET_FROM_CLIENT_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, subject);

	request.session_id = session_id;
	request.has_packet = 1;
	request.packet = (ProtobufCBinaryData){ n, bytes };
	request.caller = &caller;
	rig_call_init(call, &rig.rig, rig.routing);
	boson__routing__routing__packet_from_client(bus_peer_service(rig.routing), &request,
						    on_packet, call);
	rig_call_wait(call);
}

static void
test_a_datagram_goes_to_the_relay_that_has_the_nodes_leg(void **state)
{
	uint8_t response[RESPONSE_BYTES] = { 2 };
	struct rig_call call;

	(void)state;
	send_from_client(&call, client.token, response, sizeof(response));
	assert_string_equal(((Boson__Routing__PacketReply *)call.reply)->status, "ok");
	rig_call_fini(&call);
	assert_int_equal(rig.relay.carried_to_node, 1);
	send_from_node(&call, node.id_text, response, sizeof(response));
	rig_call_assert_served(&call);
	assert_int_equal(rig.relay.carried_to_client, 1);
}

static void
test_what_is_no_wireguard_datagram_goes_nowhere(void **state)
{
	uint8_t response[RESPONSE_BYTES] = { 2 };
	struct rig_call call;

	(void)state;
	send_from_client(&call, client.token, response, sizeof(response) - 1);
	assert_int_equal(call.result.status, BUS_INVALID);
	assert_string_equal(call.result.field, "packet");
	rig_call_fini(&call);
	assert_int_equal(rig.relay.carried_to_node, 0);
}

static void
test_another_clients_or_nodes_session_looks_unknown_T05(void **state)
{
	uint8_t response[RESPONSE_BYTES] = { 2 };
	struct route_rig_client other;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&other);
	send_from_client(&call, other.token, response, sizeof(response));
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "session_unknown");
	send_from_node(&call, other.id_text, response, sizeof(response));
	assert_string_equal(call.result.code, "session_unknown");
	rig_call_fini(&call);
	assert_int_equal(rig.relay.carried_to_node + rig.relay.carried_to_client, 0);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, route_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_datagram_goes_to_the_relay_that_has_the_nodes_leg),
		IN_A_RIG(test_what_is_no_wireguard_datagram_goes_nowhere),
		IN_A_RIG(test_another_clients_or_nodes_session_looks_unknown_T05),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
