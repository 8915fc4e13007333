/* routing: an answer is a working route. Processes, a real bus, real stores. */
#include "identity/ticket.h"
#include "loop/clock.h"
#include "route_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

/* Its nodes may be silent for as long as a test wants. */
static int
setup_patient(void **state)
{
	*state = &rig;
	route_rig_start(&rig, "[discovery]\nenrolment = open\n[routing]\nanswer_timeout = 10s\n");
	return 0;
}

static const Boson__Routing__SelectedRoute *
selected_of(const struct rig_call *call)
{
	return ((const Boson__Routing__RouteReply *)call->reply)->selected_route;
}

static void
assert_ticket(const Boson__Routing__SelectedRoute *selected, const struct enrolment_node *node)
{
	char node_public[RIG_PATH_BYTES], session_public[RIG_PATH_BYTES];
	struct ticket_verifier *verifier;
	char session_id[UUID_TEXT_BYTES];
	struct ticket ticket;

	rig_path(&rig.rig, "state/keys/ticket-node.pub", node_public);
	rig_path(&rig.rig, "state/keys/ticket-session.pub", session_public);
	assert_int_equal(ticket_verifier_open(node_public, session_public, "default", &verifier),
			 0);
	assert_int_equal(ticket_verify(verifier, selected->relay_ticket,
				       strlen(selected->relay_ticket), clock_wall_ms(), &ticket),
			 0);
	assert_int_equal(ticket.role, TICKET_ROLE_SESSION);
	assert_memory_equal(ticket.node_id, node->id, UUID_BYTES);
	uuid_format(ticket.session_id, session_id);
	assert_string_equal(session_id, selected->session_id);
	ticket_verifier_free(&verifier);
}

static void
test_a_route_is_a_session_that_its_node_has_opened(void **state)
{
	const Boson__Routing__SelectedRoute *selected;
	const Boson__Routing__WireguardConfig *wireguard;
	const Boson__Routing__RouteReply *reply;
	struct route_rig_client client;
	struct enrolment_node node;
	char url[128];
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_request_until_served(&rig, &call, &client, NULL);
	reply = (const Boson__Routing__RouteReply *)call.reply;
	selected = selected_of(&call);
	wireguard = selected->node_endpoint->wireguard_config;
	assert_string_equal(reply->mint_subject, client.token);
	assert_int_equal(reply->n_routes, 1);
	assert_string_equal(reply->routes[0]->id, selected->id);
	assert_string_equal(reply->routes[0]->path[0], node.id_text);
	assert_int_equal(reply->routes[0]->type, BOSON__ROUTING__ROUTE__TYPE__relay);
	assert_true(reply->routes[0]->estimated_latency == 12);
	(void)snprintf(url, sizeof(url), "wss://relay.example:8443/relay/%s", selected->session_id);
	assert_string_equal(selected->relay_endpoint, url);
	assert_int_equal(selected->n_relay_endpoints, 1);
	assert_string_equal(selected->node_endpoint->public_key, node.public_text);
	assert_string_equal(wireguard->peer_public_key, node.public_text);
	assert_string_equal(wireguard->address, "10.90.0.2/32, fd48:6967:6773::2/128");
	assert_int_equal(wireguard->n_dns, 1);
	assert_string_equal(wireguard->dns[0], "10.90.0.1");
	assert_int_equal(wireguard->mtu, 1240); /* the node said less than 1280 */
	assert_int_equal(wireguard->n_allowed_i_ps, 2);
	assert_string_equal(rig.relay.last_session, selected->session_id);
	assert_string_equal(rig.relay.last_client_key, client.public_text);
	assert_true(selected->expires_at > clock_wall_ms());
	assert_ticket(selected, &node);
	rig_call_fini(&call);
}

static void
assert_it_serves_all(const struct enrolment_node *node, const struct relay_mailbox_leg *leg)
{
	enum { CLIENTS = 10 };
	struct route_rig_client client;
	struct rig_call call;

	for (int i = 0; i < CLIENTS; i++) {
		route_rig_client_init(&client);
		route_rig_request_until_served(&rig, &call, &client, NULL);
		assert_string_equal(selected_of(&call)->node_endpoint->node_id, node->id_text);
		rig_call_fini(&call);
	}
	assert_true(leg->opened >= CLIENTS);
}

/* T21: a relay, or who speaks for one, cannot put a key of its own in a node's place. */
static void
test_a_node_that_answers_with_another_key_is_passed_over_T21(void **state)
{
	struct relay_mailbox_leg *false_one, *open;
	struct enrolment_node nodes[2];
	struct route_rig_client client;
	struct rig_call call;

	(void)state;
	false_one = route_rig_add_node(&rig, &nodes[0], RELAY_NODE_HAS_ANOTHER_KEY);
	open = route_rig_add_node(&rig, &nodes[1], RELAY_NODE_OPENS);
	assert_it_serves_all(&nodes[1], open);
	route_rig_client_init(&client);
	route_rig_request(&rig, &call, &client, nodes[0].id_text, NULL, NULL);
	rig_call_assert_refused(&call, BUS_UNAVAILABLE, "no_node_available");
	assert_true(false_one->opened > 0);
	/* What it may have opened all the same is closed there. */
	assert_int_equal(false_one->closed, false_one->opened);
}

/* T04: silence and refusal cost the client nothing but time. */
static void
test_nodes_that_refuse_or_are_silent_are_passed_over_T04(void **state)
{
	struct relay_mailbox_leg *silent, *refusing, *open;
	struct enrolment_node nodes[3];

	(void)state;
	silent = route_rig_add_node(&rig, &nodes[0], RELAY_NODE_IS_SILENT);
	refusing = route_rig_add_node(&rig, &nodes[1], RELAY_NODE_REFUSES);
	open = route_rig_add_node(&rig, &nodes[2], RELAY_NODE_OPENS);
	assert_it_serves_all(&nodes[2], open);
	/* Who was asked in vain was told that it is over, and who refused need not be. */
	assert_int_equal(silent->closed, silent->opened);
	assert_int_equal(refusing->closed, 0);
}

static void
test_not_found_is_for_what_waiting_will_not_change(void **state)
{
	struct relay_mailbox_leg *leg;
	struct route_rig_client client;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	leg = route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_request_until_served(&rig, &call, &client, node.id_text);
	rig_call_fini(&call);
	route_rig_request(&rig, &call, &client, NULL, "FR", NULL);
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "no_suitable_node");
	route_rig_request(&rig, &call, &client, client.id_text, NULL, NULL);
	assert_int_equal(call.result.status, BUS_NOT_FOUND);
	rig_call_fini(&call);
	leg->answer = RELAY_NODE_IS_FULL;
	route_rig_request(&rig, &call, &client, node.id_text, NULL, NULL);
	assert_int_equal(call.result.status, BUS_UNAVAILABLE);
	assert_string_equal(call.result.code, "no_node_available");
	assert_true(call.result.retry_after_sec > 0);
	rig_call_fini(&call);
}

static bool
was_closed(void *arg)
{
	return ((const struct relay_mailbox_leg *)arg)->closed > 0;
}

static void
test_a_deleted_route_is_closed_at_its_node(void **state)
{
	char route_id[UUID_TEXT_BYTES], session_id[UUID_TEXT_BYTES];
	struct relay_mailbox_leg *leg;
	struct route_rig_client client;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	leg = route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_request_until_served(&rig, &call, &client, NULL);
	memcpy(route_id, selected_of(&call)->id, sizeof(route_id));
	memcpy(session_id, selected_of(&call)->session_id, sizeof(session_id));
	rig_call_fini(&call);
	leg->closed = 0;
	route_rig_delete(&rig, &call, route_id, client.token);
	rig_call_assert_served(&call);
	rig_wait(&rig.rig, was_closed, leg, "CloseSession");
	route_rig_get(&rig, &call, route_id, client.token);
	assert_string_equal(((Boson__Routing__Route *)call.reply)->status, "closed");
	rig_call_fini(&call);
	route_rig_request(&rig, &call, &client, NULL, NULL, session_id);
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "session_unknown");
}

static bool
is_held(void *arg)
{
	(void)arg;
	return rig.relay.held_count > 0;
}

static void
test_a_resume_in_flight_does_not_bring_back_a_deleted_session(void **state)
{
	char route_id[UUID_TEXT_BYTES], session_id[UUID_TEXT_BYTES];
	struct relay_mailbox_leg *leg;
	struct route_rig_client client;
	struct enrolment_node node;
	struct rig_call call, resume;

	(void)state;
	route_rig_client_init(&client);
	leg = route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_request_until_served(&rig, &call, &client, NULL);
	memcpy(route_id, selected_of(&call)->id, sizeof(route_id));
	memcpy(session_id, selected_of(&call)->session_id, sizeof(session_id));
	rig_call_fini(&call);
	leg->answer = RELAY_NODE_IS_SILENT;
	route_rig_request_begin(&rig, &resume, &client, NULL, NULL, session_id);
	rig_wait(&rig.rig, is_held, NULL, "the resume's OpenSession");
	route_rig_delete(&rig, &call, route_id, client.token);
	rig_call_assert_served(&call);
	rig_wait(&rig.rig, was_closed, leg, "CloseSession");
	leg->closed = 0;
	relay_mailbox_open_held(&rig.relay);
	rig_call_wait(&resume);
	assert_int_equal(resume.result.status, BUS_NOT_FOUND);
	assert_string_equal(resume.result.code, "session_unknown");
	rig_call_fini(&resume);
	rig_wait(&rig.rig, was_closed, leg, "CloseSession of what the node opened again");
	route_rig_get(&rig, &call, route_id, client.token);
	assert_string_equal(((Boson__Routing__Route *)call.reply)->status, "closed");
	rig_call_fini(&call);
}

static void
test_another_clients_route_looks_unknown_T05(void **state)
{
	char route_id[UUID_TEXT_BYTES], session_id[UUID_TEXT_BYTES];
	struct route_rig_client client, other, thief;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	route_rig_client_init(&other);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_request_until_served(&rig, &call, &client, NULL);
	memcpy(route_id, selected_of(&call)->id, sizeof(route_id));
	memcpy(session_id, selected_of(&call)->session_id, sizeof(session_id));
	rig_call_fini(&call);
	route_rig_get(&rig, &call, route_id, other.token);
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "route_unknown");
	route_rig_delete(&rig, &call, route_id, other.token);
	assert_int_equal(call.result.status, BUS_NOT_FOUND);
	rig_call_fini(&call);
	thief = client; /* knows both ids, has another key */
	memcpy(thief.public_text, other.public_text, sizeof(thief.public_text));
	route_rig_request(&rig, &call, &thief, NULL, NULL, session_id);
	assert_string_equal(call.result.code, "session_unknown");
	rig_call_fini(&call);
	route_rig_get(&rig, &call, route_id, client.token);
	assert_string_equal(((Boson__Routing__Route *)call.reply)->status, "open");
	rig_call_fini(&call);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, route_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_route_is_a_session_that_its_node_has_opened),
		IN_A_RIG(test_a_node_that_answers_with_another_key_is_passed_over_T21),
		IN_A_RIG(test_nodes_that_refuse_or_are_silent_are_passed_over_T04),
		IN_A_RIG(test_not_found_is_for_what_waiting_will_not_change),
		IN_A_RIG(test_a_deleted_route_is_closed_at_its_node),
		cmocka_unit_test_setup_teardown(
			test_a_resume_in_flight_does_not_bring_back_a_deleted_session,
			setup_patient, route_rig_teardown),
		IN_A_RIG(test_another_clients_route_looks_unknown_T05),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
