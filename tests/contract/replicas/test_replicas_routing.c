/*
 * Two routings on one PostgreSQL: either answers for any session, either may be killed, a request
 * that was sent again makes no second session, and one of them at a time sweeps (F01, F03, F13).
 */
#include "identity/ticket.h"
#include "loop/clock.h"
#include "routing_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct routing_pair pair;

RIG_CLOSURE(on_clients, Boson__Routing__ListClientsReply)

static int
setup(void **state)
{
	*state = &pair;
	routing_pair_start(&pair, "answer_timeout = 10s\n");
	return 0;
}

static int
setup_short_lived(void **state)
{
	*state = &pair;
	routing_pair_start(&pair, "session_lifetime = 3s\n");
	return 0;
}

static void
assert_status(const struct route_rig_answer *answer, const char *client_id, const char *status)
{
	struct rig_call call;

	route_rig_get(&pair.rig, &call, answer->route_id, client_id);
	assert_non_null(call.reply);
	assert_string_equal(((const Boson__Routing__Route *)call.reply)->status, status);
	rig_call_fini(&call);
}

/* Of the only client, as a replica tells. */
static uint32_t
sessions_of_client(const char *client_id)
{
	Boson__Routing__ListClientsRequest request = BOSON__ROUTING__LIST_CLIENTS_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__ADMIN, NULL);
	const Boson__Routing__ListClientsReply *reply;
	struct rig_call call;
	uint32_t sessions = 0;

	request.caller = &caller;
	rig_call_init(&call, &pair.rig.rig, pair.rig.routing);
	boson__routing__routing__list_clients(bus_peer_service(pair.rig.routing), &request,
					      on_clients, &call);
	rig_call_wait(&call);
	reply = (const Boson__Routing__ListClientsReply *)call.reply;
	assert_non_null(reply);
	for (size_t i = 0; i < reply->n_clients; i++)
		if (strcmp(reply->clients[i]->client_id, client_id) == 0)
			sessions += reply->clients[i]->sessions;
	rig_call_fini(&call);
	return sessions;
}

static void
test_either_answers_for_any_session(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer first, again;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&pair.rig, &node, RELAY_NODE_OPENS);
	route_rig_connect(&pair.rig, &client, NULL, &first);
	routing_pair_use(&pair, pair.peers[1]);
	assert_status(&first, client.token, "open");
	assert_int_equal(sessions_of_client(client.id_text), 1);
	route_rig_request_until_served(&pair.rig, &call, &client,
				       NULL); /* it has heard of the node */
	route_rig_take(&call, &again);
	assert_string_equal(first.session_id, again.session_id);
	route_rig_request(&pair.rig, &call, &client, NULL, NULL, first.session_id);
	route_rig_take(&call, &again);
	assert_string_equal(first.session_id, again.session_id);
	route_rig_delete(&pair.rig, &call, first.route_id, client.token);
	rig_call_assert_served(&call);
	routing_pair_use(&pair, pair.peers[0]);
	assert_status(&first, client.token, "closed");
	route_rig_request(&pair.rig, &call, &client, NULL, NULL, first.session_id);
	assert_int_equal(call.result.status, BUS_NOT_FOUND);
	rig_call_fini(&call);
}

static void
test_tickets_of_either_are_of_one_key(void **state)
{
	char node_public[RIG_PATH_BYTES], session_public[RIG_PATH_BYTES];
	struct route_rig_client client;
	struct ticket_verifier *verifier;
	struct enrolment_node node;
	struct ticket ticket;
	struct route_rig_answer answer;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&pair.rig, &node, RELAY_NODE_OPENS);
	routing_pair_use(&pair, pair.peers[1]);
	route_rig_connect(&pair.rig, &client, NULL, &answer);
	rig_path(&pair.rig.rig, "state/keys/ticket-node.pub", node_public);
	rig_path(&pair.rig.rig, "state/keys/ticket-session.pub", session_public); /* a's */
	assert_int_equal(ticket_verifier_open(node_public, session_public, "default", &verifier),
			 0);
	assert_int_equal(ticket_verify(verifier, answer.ticket, strlen(answer.ticket),
				       clock_wall_ms(), &ticket),
			 0);
	ticket_verifier_free(&verifier);
}

static void
test_one_client_at_both_at_once_has_one_session(void **state)
{
	struct route_rig_client client, other;
	struct route_rig_answer answers[REPLICAS], warm;
	struct rig_call calls[REPLICAS];
	struct enrolment_node node;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&pair.rig, &node, RELAY_NODE_OPENS);
	for (size_t i = 0; i < REPLICAS; i++) { /* both have heard of the node */
		route_rig_client_init(&other);
		routing_pair_use(&pair, pair.peers[i]);
		route_rig_connect(&pair.rig, &other, NULL, &warm);
	}
	for (int round = 0; round < 12; round++) {
		route_rig_client_init(&client);
		for (size_t i = 0; i < REPLICAS; i++) {
			routing_pair_use(&pair, pair.peers[i]);
			route_rig_request_begin(&pair.rig, &calls[i], &client, NULL, NULL, NULL);
		}
		for (size_t i = 0; i < REPLICAS; i++) {
			rig_call_wait(&calls[i]);
			route_rig_take(&calls[i], &answers[i]);
		}
		assert_string_equal(answers[0].session_id, answers[1].session_id);
	}
}

/* Challenged by one, heard by the other, which need not know yet whose session it is. */
static void
test_a_proof_takes_a_key_at_either_T05(void **state)
{
	struct route_rig_answer stolen, own, warm;
	struct route_rig_client client, thief;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	route_rig_client_init(&thief);
	(void)route_rig_add_node(&pair.rig, &node, RELAY_NODE_OPENS);
	routing_pair_use(&pair, pair.peers[1]); /* it has heard of the node */
	route_rig_connect(&pair.rig, &thief, NULL, &warm);
	route_rig_client_init(&thief);
	memcpy(thief.public_text, client.public_text, sizeof(thief.public_text));
	thief.subject = "key:second";
	routing_pair_use(&pair, pair.peers[0]);
	route_rig_connect(&pair.rig, &thief, NULL, &stolen);
	route_rig_prove(&pair.rig.rig, pair.peers[0], &client);
	routing_pair_use(&pair, pair.peers[1]);
	route_rig_request(&pair.rig, &call, &client, NULL, NULL, NULL);
	route_rig_take(&call, &own);
	routing_pair_use(&pair, pair.peers[0]);
	route_rig_request(&pair.rig, &call, &thief, NULL, NULL, stolen.session_id);
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "session_unknown");
	route_rig_request(&pair.rig, &call, &thief, NULL, NULL, NULL);
	rig_call_assert_refused(&call, BUS_CONFLICT, "key_in_use");
}

static bool
is_held(void *arg)
{
	return pair.rig.relay.held_count == *(const size_t *)arg;
}

/* a dies after it has asked the node: the bus asks b, which finds what a had in mind. */
static void
test_a_request_that_outlives_its_replica_makes_one_session_F01(void **state)
{
	char asked_first[UUID_TEXT_BYTES];
	struct route_rig_client client, other;
	struct relay_mailbox_leg *leg;
	struct route_rig_answer answer, warm;
	struct enrolment_node node;
	struct rig_call call;
	size_t held = 1;

	(void)state;
	route_rig_client_init(&client);
	leg = route_rig_add_node(&pair.rig, &node, RELAY_NODE_OPENS);
	for (size_t i = 0; i < REPLICAS; i++) {
		route_rig_client_init(&other);
		routing_pair_use(&pair, pair.peers[i]);
		route_rig_connect(&pair.rig, &other, NULL, &warm);
	}
	leg->answer = RELAY_NODE_IS_SILENT;
	routing_pair_use(&pair, pair.both);
	route_rig_request_begin(&pair.rig, &call, &client, NULL, NULL, NULL);
	rig_wait(&pair.rig.rig, is_held, &held, "OpenSession of one");
	memcpy(asked_first, pair.rig.relay.last_session, sizeof(asked_first));
	leg->answer = RELAY_NODE_OPENS;
	routing_pair_kill(&pair, 0); /* the list's first is the one that is asked */
	rig_call_wait(&call);
	if (call.reply == NULL) { /* the bus did not know b yet: the client asks again itself */
		assert_true(rig_call_may_be_repeated(&call));
		rig_call_fini(&call);
		route_rig_request_until_served(&pair.rig, &call, &client, NULL);
	}
	route_rig_take(&call, &answer);
	assert_string_equal(answer.session_id, asked_first);
	routing_pair_use(&pair, pair.peers[1]);
	assert_int_equal(sessions_of_client(client.id_text), 1);
	relay_mailbox_open_held(&pair.rig.relay); /* nobody waits for this one */
}

static bool
was_closed(void *arg)
{
	return ((const struct relay_mailbox_leg *)arg)->closed > 0;
}

static bool
is_forgotten(void *arg)
{
	const struct route_rig_answer *answer = arg;
	struct rig_call call;
	bool forgotten;

	route_rig_get(&pair.rig, &call, answer->route_id, answer->node_id);
	forgotten = call.reply == NULL && call.result.status == BUS_NOT_FOUND;
	rig_call_fini(&call);
	return forgotten;
}

/* Whichever swept before. */
static void
sweeping_goes_over(size_t killed)
{
	struct route_rig_client client;
	struct relay_mailbox_leg *leg;
	struct enrolment_node node;
	struct route_rig_answer answer;

	route_rig_client_init(&client);
	leg = route_rig_add_node(&pair.rig, &node, RELAY_NODE_OPENS);
	routing_pair_use(&pair, pair.peers[1 - killed]);
	route_rig_connect(&pair.rig, &client, NULL, &answer);
	routing_pair_kill(&pair, killed);
	rig_wait(&pair.rig.rig, was_closed, leg, "CloseSession at its end");
	memcpy(answer.node_id, client.id_text, sizeof(answer.node_id));
	rig_wait(&pair.rig.rig, is_forgotten, &answer, "no row is left");
	/* The one that is killed must not have been needed. */
	routing_pair_use(&pair, pair.peers[0]);
}

static void
test_sweeping_goes_over_when_the_first_is_killed(void **state)
{
	(void)state;
	sweeping_goes_over(0);
}

static void
test_sweeping_goes_over_when_the_second_is_killed(void **state)
{
	(void)state;
	sweeping_goes_over(1);
}

static bool
is_served(void *arg)
{
	struct rig_call call;
	bool served;

	route_rig_request(&pair.rig, &call, arg, NULL, NULL, NULL);
	served = call.reply != NULL;
	/* Until then nothing is unknown: 503, never 404. */
	if (!served)
		assert_true(rig_call_may_be_repeated(&call));
	rig_call_fini(&call);
	return served;
}

static void
test_a_replica_starts_while_postgresql_is_down_F13(void **state)
{
	struct route_rig_client client, other;
	struct enrolment_node node;
	struct route_rig_answer answer;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	route_rig_client_init(&other);
	(void)route_rig_add_node(&pair.rig, &node, RELAY_NODE_OPENS);
	route_rig_connect(&pair.rig, &client, NULL, &answer);
	servers_postgresql_kill(&pair.servers);
	routing_pair_kill(&pair, 1);
	routing_pair_spawn(&pair, 1);
	rig_wait_up(&pair.rig.rig, pair.peers[1]);
	routing_pair_use(&pair, pair.peers[1]);
	route_rig_get(&pair.rig, &call, answer.route_id, client.token);
	rig_call_assert_refused(&call, BUS_UNAVAILABLE, "store_failed");
	/* a remembers: what is only read is answered from memory. */
	routing_pair_use(&pair, pair.peers[0]);
	assert_status(&answer, client.token, "open");
	routing_pair_use(&pair, pair.peers[1]);
	assert_int_equal(servers_postgresql_start(&pair.servers), 0);
	rig_wait(&pair.rig.rig, is_served, &other, "a route of the one that started without it");
	assert_status(&answer, client.token, "open");
	routing_pair_use(&pair, pair.peers[0]);
	rig_wait(&pair.rig.rig, is_served, &other, "a route of the one that lost it");
}

#define WITH_TWO(test) cmocka_unit_test_setup_teardown(test, setup, routing_pair_teardown)
#define WITH_SHORT(test) \
	cmocka_unit_test_setup_teardown(test, setup_short_lived, routing_pair_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TWO(test_either_answers_for_any_session),
		WITH_TWO(test_tickets_of_either_are_of_one_key),
		WITH_TWO(test_one_client_at_both_at_once_has_one_session),
		WITH_TWO(test_a_proof_takes_a_key_at_either_T05),
		WITH_TWO(test_a_request_that_outlives_its_replica_makes_one_session_F01),
		WITH_SHORT(test_sweeping_goes_over_when_the_first_is_killed),
		WITH_SHORT(test_sweeping_goes_over_when_the_second_is_killed),
		WITH_TWO(test_a_replica_starts_while_postgresql_is_down_F13),
	};

	return routing_pair_run(&pair, tests, sizeof(tests) / sizeof(tests[0]));
}
