/* discovery: who may be whom. A process, a real bus, a real store. */
#include "enrolment.h"
#include "identity/ticket.h"
#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t body[32] = { 7 };
static struct rig rig;
static struct bus_peer *discovery;

RIG_CLOSURE(on_node, Boson__Discovery__Node)
RIG_CLOSURE(on_list, Boson__Discovery__ListNodesReply)
RIG_CLOSURE(on_empty, Boson__Common__Empty)

static int
setup_with(void **state, const char *config)
{
	*state = &rig;
	rig_start(&rig, config);
	discovery = rig_serve(&rig, PROGRAM_DISCOVERY, "discovery",
			      &boson__discovery__discovery__descriptor, NULL);
	return 0;
}

static int
setup(void **state)
{
	return setup_with(state,
			  "[discovery]\nenrolment = open\nstun_servers = stun.example:3479\n");
}

static int
setup_with_policy(void **state)
{
	return setup_with(state, "[discovery]\nenrolment = token\n");
}

/* Registers and wants it to succeed. */
static void
enrol(const struct enrolment_node *node, bool created)
{
	const Boson__Discovery__RegisterReply *reply;
	struct rig_call call;

	rig_call_init(&call, &rig, discovery);
	enrolment_run(&call, node);
	assert_non_null(call.reply);
	reply = (const Boson__Discovery__RegisterReply *)call.reply;
	assert_int_equal(reply->created, created);
	assert_string_equal(reply->mint_subject, node->id_text);
	rig_call_fini(&call);
}

static void
enrol_fails(const struct enrolment_node *node, enum bus_status status, const char *code)
{
	struct rig_call call;

	rig_call_init(&call, &rig, discovery);
	enrolment_run(&call, node);
	rig_call_assert_refused(&call, status, code);
}

static void
get_node(struct rig_call *call, const char *id, bool with_caller)
{
	Boson__Discovery__GetNodeRequest request = BOSON__DISCOVERY__GET_NODE_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, NULL);

	request.node_id = (char *)(uintptr_t)id;
	request.caller = with_caller ? &caller : NULL;
	rig_call_init(call, &rig, discovery);
	boson__discovery__discovery__get_node(bus_peer_service(discovery), &request, on_node, call);
}

static void
delete_node(struct rig_call *call, const char *id, const char *subject,
	    Boson__Common__Caller__Role role)
{
	Boson__Discovery__DeleteNodeRequest request = BOSON__DISCOVERY__DELETE_NODE_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(role, subject);

	request.node_id = (char *)(uintptr_t)id;
	request.caller = &caller;
	rig_call_init(call, &rig, discovery);
	boson__discovery__discovery__delete_node(bus_peer_service(discovery), &request, on_empty,
						 call);
}

static void
test_a_node_with_a_good_proof_gets_a_ticket_that_relays_accept(void **state)
{
	const Boson__Discovery__RegisterReply *reply;
	char node_public[RIG_PATH_BYTES], session_public[RIG_PATH_BYTES];
	struct ticket_verifier *verifier;
	struct enrolment_node node;
	struct ticket ticket;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&node);
	rig_call_init(&call, &rig, discovery);
	enrolment_run(&call, &node);
	assert_non_null(call.reply);
	reply = (const Boson__Discovery__RegisterReply *)call.reply;
	assert_string_equal(reply->status, "registered");
	assert_true(reply->created);
	assert_int_equal(reply->n_stun_servers, 1);
	assert_string_equal(reply->stun_servers[0]->host, "stun.example");
	assert_int_equal(reply->stun_servers[0]->port, 3479);
	rig_path(&rig, "state/keys/ticket-node.pub", node_public);
	rig_path(&rig, "state/keys/ticket-session.pub", session_public);
	assert_int_equal(ticket_verifier_open(node_public, session_public, "default", &verifier),
			 0);
	assert_int_equal(ticket_verify(verifier, reply->relay_ticket, strlen(reply->relay_ticket),
				       clock_wall_ms(), &ticket),
			 0);
	assert_int_equal(ticket.role, TICKET_ROLE_NODE);
	assert_memory_equal(ticket.node_id, node.id, UUID_BYTES);
	ticket_verifier_free(&verifier);
	rig_call_fini(&call);
	enrol(&node, false);
}

/* R51, R53, R55, T01: nobody learns from the answer whether a node or its key exists. */
static void
test_wrong_key_unknown_node_and_bad_cookie_look_alike_T01(void **state)
{
	static const uint8_t other_body[32] = { 8 };
	char proof[PROOF_HEADER_MAX_BYTES];
	struct enrolment_node known, thief, unknown;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&known);
	enrolment_node_init(&unknown);
	enrol(&known, true);
	thief = known;
	assert_int_equal(key_generate(&thief.private_key),
			 0); /* claims the key without having it */
	enrolment_prove(&rig, discovery, &thief, body, proof);
	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, &thief, proof, body, NULL);
	rig_call_assert_refused(&call, BUS_UNAUTHENTICATED, "challenge");
	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, &known, NULL, body, NULL); /* no challenge at all */
	rig_call_assert_refused(&call, BUS_UNAUTHENTICATED, "challenge");
	enrolment_prove(&rig, discovery, &known, body, proof);
	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, &known, proof, other_body, NULL); /* another body */
	rig_call_assert_refused(&call, BUS_UNAUTHENTICATED, "challenge");
	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, &unknown, proof, body, NULL); /* another node's proof */
	rig_call_assert_refused(&call, BUS_UNAUTHENTICATED, "challenge");
}

static void
test_a_proof_is_good_once_T08(void **state)
{
	char proof[PROOF_HEADER_MAX_BYTES];
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&node);
	enrolment_prove(&rig, discovery, &node, body, proof);
	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, &node, proof, body, NULL);
	rig_call_assert_served(&call);
	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, &node, proof, body, NULL);
	rig_call_assert_refused(&call, BUS_UNAUTHENTICATED, "challenge");
}

static void
test_an_id_and_a_key_belong_together_for_good_P01_P04_R49(void **state)
{
	struct enrolment_node owner, taker, other;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&owner);
	enrol(&owner, true);
	enrolment_node_init(&taker);
	memcpy(taker.id, owner.id, sizeof(taker.id));
	memcpy(taker.id_text, owner.id_text, sizeof(taker.id_text));
	enrol_fails(&taker, BUS_CONFLICT, "identity_in_use");
	other = owner;
	assert_int_equal(uuid_generate_text(other.id_text), 0);
	assert_int_equal(uuid_parse(other.id_text, other.id), 0);
	enrol_fails(&other, BUS_CONFLICT, "key_in_use");
	/* Deleted, it is gone, but free to nobody else. */
	delete_node(&call, owner.id_text, owner.id_text, BOSON__COMMON__CALLER__ROLE__NODE);
	rig_call_assert_served(&call);
	get_node(&call, owner.id_text, true);
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "node_unknown");
	enrol_fails(&taker, BUS_CONFLICT, "identity_in_use");
	enrol_fails(&other, BUS_CONFLICT, "key_in_use");
	enrol(&owner, true);
}

/* Two registrations that reach the same batch: the table decides, one wins. */
static void
test_of_two_at_once_for_one_id_only_one_wins(void **state)
{
	enum { ROUNDS = 8 };
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		char proof_a[PROOF_HEADER_MAX_BYTES], proof_b[PROOF_HEADER_MAX_BYTES];
		struct enrolment_node a, b;
		struct rig_call call_a, call_b;

		enrolment_node_init(&a);
		enrolment_node_init(&b);
		memcpy(b.id, a.id, sizeof(b.id));
		memcpy(b.id_text, a.id_text, sizeof(b.id_text));
		enrolment_prove(&rig, discovery, &a, body, proof_a);
		enrolment_prove(&rig, discovery, &b, body, proof_b);
		rig_call_init(&call_a, &rig, discovery);
		rig_call_init(&call_b, &rig, discovery);
		enrolment_send(&call_a, &a, proof_a, body, NULL);
		enrolment_send(&call_b, &b, proof_b, body, NULL);
		rig_call_wait(&call_a);
		assert_non_null(call_a.reply);
		rig_call_fini(&call_a);
		rig_call_assert_refused(&call_b, BUS_CONFLICT, "identity_in_use");
	}
}

static void
test_only_the_node_itself_or_an_admin_deletes_it_R73(void **state)
{
	struct enrolment_node node, other;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&node);
	enrolment_node_init(&other);
	enrol(&node, true);
	delete_node(&call, node.id_text, other.id_text, BOSON__COMMON__CALLER__ROLE__NODE);
	rig_call_assert_refused(&call, BUS_FORBIDDEN, "role");
	delete_node(&call, node.id_text, node.id_text, BOSON__COMMON__CALLER__ROLE__CLIENT);
	rig_call_assert_refused(&call, BUS_FORBIDDEN, "role");
	get_node(&call, node.id_text, true);
	rig_call_assert_served(&call);
	delete_node(&call, node.id_text, "admin", BOSON__COMMON__CALLER__ROLE__ADMIN);
	rig_call_assert_served(&call);
}

static void
test_a_new_node_needs_the_access_key_when_the_policy_says_so_T02(void **state)
{
	char proof[PROOF_HEADER_MAX_BYTES];
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&node);
	enrol_fails(&node, BUS_UNAUTHENTICATED, "enrolment");
	enrolment_prove(&rig, discovery, &node, body, proof);
	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, &node, proof, body, "enrol");
	rig_call_assert_served(&call);
	enrol(&node, false); /* known now: its proof is enough */
}

static void
test_the_public_sees_nodes_without_private_addresses_R87(void **state)
{
	Boson__Discovery__ListNodesRequest request = BOSON__DISCOVERY__LIST_NODES_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__CLIENT, NULL);
	const Boson__Discovery__ListNodesReply *list;
	struct enrolment_node nodes[3];
	struct rig_call call;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		enrolment_node_init(&nodes[i]);
		enrol(&nodes[i], true);
	}
	get_node(&call, nodes[0].id_text, false);
	rig_call_assert_refused(&call, BUS_UNAUTHENTICATED, "token");
	request.caller = &caller;
	request.has_limit = 1;
	request.limit = 2;
	request.country = "DE";
	request.status = "online";
	rig_call_init(&call, &rig, discovery);
	boson__discovery__discovery__list_nodes(bus_peer_service(discovery), &request, on_list,
						&call);
	rig_call_wait(&call);
	assert_non_null(call.reply);
	list = (const Boson__Discovery__ListNodesReply *)call.reply;
	assert_int_equal(list->n_nodes, 2);
	assert_non_null(list->next_cursor);
	for (size_t i = 0; i < list->n_nodes; i++) {
		assert_string_equal(list->nodes[i]->node_id, nodes[i].id_text);
		assert_true(list->nodes[i]->network_info == NULL ||
			    list->nodes[i]->network_info->ipv4 == NULL);
	}
	rig_call_fini(&call);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_node_with_a_good_proof_gets_a_ticket_that_relays_accept),
		IN_A_RIG(test_wrong_key_unknown_node_and_bad_cookie_look_alike_T01),
		IN_A_RIG(test_a_proof_is_good_once_T08),
		IN_A_RIG(test_an_id_and_a_key_belong_together_for_good_P01_P04_R49),
		IN_A_RIG(test_of_two_at_once_for_one_id_only_one_wins),
		IN_A_RIG(test_only_the_node_itself_or_an_admin_deletes_it_R73),
		cmocka_unit_test_setup_teardown(
			test_a_new_node_needs_the_access_key_when_the_policy_says_so_T02,
			setup_with_policy, rig_teardown),
		IN_A_RIG(test_the_public_sees_nodes_without_private_addresses_R87),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
