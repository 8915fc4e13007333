/* routing: its clients as an admin sees them, and where a node's leg is. */
#include "route_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { CLIENTS = 5 };

static struct route_rig rig;

RIG_CLOSURE(on_clients, Boson__Routing__ListClientsReply)
RIG_CLOSURE(on_client, Boson__Routing__Client)
RIG_CLOSURE(on_place, Boson__Routing__LocateNodeReply)

static int
setup(void **state)
{
	*state = &rig;
	route_rig_start(&rig, "[discovery]\nenrolment = open\n");
	return 0;
}

static void
list(struct rig_call *call, uint32_t limit, const char *cursor, Boson__Common__Caller__Role role)
{
	Boson__Routing__ListClientsRequest request = BOSON__ROUTING__LIST_CLIENTS_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(role, "somebody");

	request.has_limit = 1;
	request.limit = limit;
	request.cursor = (char *)(uintptr_t)cursor;
	request.caller = &caller;
	rig_call_init(call, &rig.rig, rig.routing);
	boson__routing__routing__list_clients(bus_peer_service(rig.routing), &request, on_clients,
					      call);
	rig_call_wait(call);
}

static void
get(struct rig_call *call, const char *client_id)
{
	Boson__Routing__GetClientRequest request = BOSON__ROUTING__GET_CLIENT_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__ADMIN, "somebody");

	request.client_id = (char *)(uintptr_t)client_id;
	request.caller = &caller;
	rig_call_init(call, &rig.rig, rig.routing);
	boson__routing__routing__get_client(bus_peer_service(rig.routing), &request, on_client,
					    call);
	rig_call_wait(call);
}

static const Boson__Routing__SelectedRoute *
selected_of(const struct rig_call *call)
{
	return ((const Boson__Routing__RouteReply *)call->reply)->selected_route;
}

static void
connect_clients(struct route_rig_client clients[CLIENTS])
{
	struct rig_call call;

	for (size_t i = 0; i < CLIENTS; i++) {
		route_rig_client_init(&clients[i]);
		route_rig_request_until_served(&rig, &call, &clients[i], NULL);
		rig_call_fini(&call);
	}
}

static void
test_clients_are_listed_a_page_at_a_time_each_once(void **state)
{
	struct route_rig_client clients[CLIENTS];
	char cursor[UUID_TEXT_BYTES] = "";
	struct enrolment_node node;
	size_t seen = 0, pages = 0;
	struct rig_call call;

	(void)state;
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	connect_clients(clients);
	for (bool more = true; more; pages++) {
		const Boson__Routing__ListClientsReply *reply;

		list(&call, 2, cursor, BOSON__COMMON__CALLER__ROLE__ADMIN);
		reply = (const Boson__Routing__ListClientsReply *)call.reply;
		assert_non_null(reply);
		for (size_t i = 0; i < reply->n_clients; i++, seen++) {
			assert_true(strcmp(reply->clients[i]->client_id, cursor) > 0);
			assert_string_equal(reply->clients[i]->status, "connected");
			assert_string_equal(reply->clients[i]->node_id, node.id_text);
			assert_int_equal(reply->clients[i]->sessions, 1);
			strcpy(cursor, reply->clients[i]->client_id);
		}
		more = reply->next_cursor != NULL;
		if (more)
			assert_string_equal(reply->next_cursor, cursor);
		rig_call_fini(&call);
	}
	assert_int_equal(seen, CLIENTS);
	assert_int_equal(pages, 3);
}

static void
test_a_client_is_shown_with_its_session_and_what_it_used(void **state)
{
	const Boson__Routing__Client *shown;
	struct route_rig_client client;
	char session_id[UUID_TEXT_BYTES], route_id[UUID_TEXT_BYTES];
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	rig.relay.bytes_up = 1234;
	route_rig_request_until_served(&rig, &call, &client, NULL);
	memcpy(session_id, selected_of(&call)->session_id, sizeof(session_id));
	memcpy(route_id, selected_of(&call)->id, sizeof(route_id));
	rig_call_fini(&call);
	get(&call, client.id_text);
	shown = (const Boson__Routing__Client *)call.reply;
	assert_non_null(shown);
	assert_string_equal(shown->session_id, session_id);
	assert_string_equal(shown->public_key, client.public_text);
	assert_string_equal(shown->status, "connected");
	assert_int_equal(shown->bytes_up, 1234);
	assert_non_null(shown->connected_at);
	rig_call_fini(&call);
	route_rig_delete(&rig, &call, route_id, client.token);
	rig_call_fini(&call);
	get(&call, client.id_text);
	shown = (const Boson__Routing__Client *)call.reply;
	assert_string_equal(shown->status, "disconnected");
	assert_int_equal(shown->sessions, 0);
	rig_call_fini(&call);
}

static void
test_clients_are_for_admins_and_wrong_pages_are_refused(void **state)
{
	struct rig_call call;

	(void)state;
	list(&call, 2, NULL, BOSON__COMMON__CALLER__ROLE__CLIENT);
	assert_int_equal(call.result.status, BUS_FORBIDDEN);
	rig_call_fini(&call);
	list(&call, 201, NULL, BOSON__COMMON__CALLER__ROLE__ADMIN);
	assert_int_equal(call.result.status, BUS_INVALID);
	assert_string_equal(call.result.field, "limit");
	rig_call_fini(&call);
	list(&call, 2, "' OR 1=1", BOSON__COMMON__CALLER__ROLE__ADMIN);
	assert_string_equal(call.result.field, "cursor");
	rig_call_fini(&call);
	get(&call, "0b2a7f0e-7a4b-4b9b-8a53-0d8f1f5b2c3d");
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "client_unknown");
}

static void
locate(struct rig_call *call, char *node_id)
{
	Boson__Routing__LocateNodeRequest request = BOSON__ROUTING__LOCATE_NODE_REQUEST__INIT;

	request.node_id = node_id;
	rig_call_init(call, &rig.rig, rig.routing);
	boson__routing__routing__locate_node(bus_peer_service(rig.routing), &request, on_place,
					     call);
	rig_call_wait(call);
}

static void
test_another_relay_is_told_where_a_nodes_leg_is(void **state)
{
	const Boson__Routing__LocateNodeReply *place;
	char bus_endpoint[RIG_PATH_BYTES];
	struct route_rig_client client;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_request_until_served(&rig, &call, &client, NULL);
	rig_call_fini(&call);
	locate(&call, node.id_text);
	place = (const Boson__Routing__LocateNodeReply *)call.reply;
	assert_non_null(place);
	rig_endpoint(&rig.rig, "relay", false, bus_endpoint);
	assert_string_equal(place->relay->id, "relay-1");
	assert_string_equal(place->relay->bus_endpoint, bus_endpoint);
	assert_int_equal(place->generation, rig.relay.generation);
	rig_call_fini(&call);
	locate(&call, client.id_text);
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "node_not_attached");
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, route_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_clients_are_listed_a_page_at_a_time_each_once),
		IN_A_RIG(test_a_client_is_shown_with_its_session_and_what_it_used),
		IN_A_RIG(test_clients_are_for_admins_and_wrong_pages_are_refused),
		IN_A_RIG(test_another_relay_is_told_where_a_nodes_leg_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
