/* routing: a client has one session, whose it is, where it goes when its node is gone, and its end.
 */
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
	route_rig_start(&rig, "[discovery]\nenrolment = open\n"
			      "[routing]\nanswer_timeout = 10s\nsessions_per_key = 2\n");
	return 0;
}

static int
setup_short_lived(void **state)
{
	*state = &rig;
	route_rig_start(&rig, "[discovery]\nenrolment = open\n[routing]\nsession_lifetime = 2s\n");
	return 0;
}

static void
test_a_client_that_asks_again_gets_the_session_that_it_has_F01(void **state)
{
	struct route_rig_client client, other;
	struct relay_mailbox_leg *leg;
	struct route_rig_answer first, second;
	struct enrolment_node node;

	(void)state;
	route_rig_client_init(&client);
	route_rig_client_init(&other);
	leg = route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_connect(&rig, &client, NULL, &first);
	route_rig_connect(&rig, &client, NULL, &second);
	assert_string_equal(first.session_id, second.session_id);
	assert_string_equal(first.route_id, second.route_id);
	route_rig_connect(&rig, &other, NULL, &second);
	assert_string_not_equal(first.session_id, second.session_id);
	assert_int_equal(leg->closed, 0);
}

static bool
are_two_held(void *arg)
{
	(void)arg;
	return rig.relay.held_count == 2;
}

/* As when the bus sends a request again while the first is still under way. */
static void
test_two_requests_at_once_make_one_session_F01(void **state)
{
	struct route_rig_client client;
	struct rig_call calls[2], call;
	struct route_rig_answer answers[2], warm;
	struct relay_mailbox_leg *leg;
	struct enrolment_node node;

	(void)state;
	route_rig_client_init(&client);
	leg = route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_connect(&rig, &client, NULL, &warm);
	route_rig_delete(&rig, &call, warm.route_id, client.token);
	rig_call_fini(&call);
	leg->answer = RELAY_NODE_IS_SILENT;
	for (size_t i = 0; i < 2; i++)
		route_rig_request_begin(&rig, &calls[i], &client, NULL, NULL, NULL);
	rig_wait(&rig.rig, are_two_held, NULL, "both are asked of the node");
	relay_mailbox_open_held(&rig.relay);
	for (size_t i = 0; i < 2; i++) {
		rig_call_wait(&calls[i]);
		route_rig_take(&calls[i], &answers[i]);
	}
	assert_string_equal(answers[0].session_id, answers[1].session_id);
	assert_string_not_equal(answers[0].session_id, warm.session_id);
}

/* T05: who knows the client's id and key, or its session's id, still needs what it was opened with.
 */
static void
test_a_session_is_taken_up_by_its_owner_alone_T05(void **state)
{
	struct route_rig_client client, thief;
	struct route_rig_answer first, again;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_connect(&rig, &client, NULL, &first);
	thief = client;
	thief.subject = "key:second";
	route_rig_request(&rig, &call, &thief, NULL, NULL, NULL);
	rig_call_assert_refused(&call, BUS_CONFLICT, "client_in_use");
	route_rig_request(&rig, &call, &thief, NULL, NULL, first.session_id);
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "session_unknown");
	client.subject = client.token;
	route_rig_request(&rig, &call, &client, NULL, NULL, first.session_id);
	route_rig_take(&call, &again);
	assert_string_equal(first.session_id, again.session_id);
}

/* A client with a session, and another client, of another access key. */
static void
meet(struct route_rig_client *client, struct route_rig_answer *ret_session,
     struct route_rig_client *other)
{
	struct enrolment_node node;

	route_rig_client_init(client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_connect(&rig, client, NULL, ret_session);
	route_rig_client_init(other);
	other->subject = "key:second";
}

/* T05: nor is its public key a secret to its nodes, which have one session for a key. */
static void
test_a_key_with_a_session_gets_none_by_another_access_key_T05(void **state)
{
	struct route_rig_client client, thief;
	struct route_rig_answer first, second;
	struct rig_call call;

	(void)state;
	meet(&client, &first, &thief);
	memcpy(thief.public_text, client.public_text, sizeof(thief.public_text));
	route_rig_request(&rig, &call, &thief, NULL, NULL, NULL);
	rig_call_assert_refused(&call, BUS_CONFLICT, "key_in_use");

	/* Its session over, the key is nobody's. */
	route_rig_delete(&rig, &call, first.route_id, client.token);
	rig_call_assert_served(&call);
	route_rig_connect(&rig, &thief, NULL, &second);
	route_rig_request(&rig, &call, &client, NULL, NULL, NULL);
	rig_call_assert_refused(&call, BUS_CONFLICT, "key_in_use");
}

/* A client whose token opened its session, and that has nothing but its access key left, is still
 * the same. */
static void
test_what_a_token_opened_is_its_access_keys_too(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer first, again;
	struct enrolment_node node;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	client.subject = client.token;
	route_rig_connect(&rig, &client, NULL, &first);
	client.subject = "key:first";
	route_rig_connect(&rig, &client, NULL, &again);
	assert_string_equal(first.session_id, again.session_id);
}

/* T05: the client's id is no secret to the nodes that it used. Who names it with an access key and
 * a key pair of his own gets a session of his own, and a token that is no good for the client's.
 */
static void
test_a_token_for_anothers_client_id_opens_nothing_of_that_client_T05(void **state)
{
	char token[ROUTE_RIG_TOKEN_BYTES];
	struct route_rig_client client, thief;
	struct route_rig_answer first, thiefs;
	struct rig_call call;

	(void)state;
	meet(&client, &first, &thief);
	memcpy(thief.id_text, client.id_text, sizeof(thief.id_text));
	route_rig_request(&rig, &call, &thief, NULL, NULL, NULL);
	assert_non_null(call.reply);
	(void)snprintf(token, sizeof(token), "%s",
		       ((const Boson__Routing__RouteReply *)call.reply)->mint_subject);
	route_rig_take(&call, &thiefs);
	assert_string_not_equal(first.session_id, thiefs.session_id);

	thief = client;
	thief.subject = token;
	route_rig_request(&rig, &call, &thief, NULL, NULL, NULL);
	rig_call_assert_refused(&call, BUS_CONFLICT, "client_in_use");
	route_rig_request(&rig, &call, &thief, NULL, NULL, first.session_id);
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "session_unknown");
	route_rig_get(&rig, &call, first.route_id, token);
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "route_unknown");
	route_rig_delete(&rig, &call, first.route_id, token);
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "route_unknown");
	route_rig_get(&rig, &call, first.route_id, client.token);
	assert_string_equal(((Boson__Routing__Route *)call.reply)->status, "open");
	rig_call_fini(&call);
	route_rig_delete(&rig, &call, thiefs.route_id, token); /* his own */
	rig_call_assert_served(&call);
}

static void
test_a_session_goes_to_another_node_when_its_own_is_gone(void **state)
{
	struct enrolment_node first_node, second_node;
	struct route_rig_client client;
	struct route_rig_answer first, again;
	struct rig_call call;

	(void)state;
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &first_node, RELAY_NODE_OPENS);
	route_rig_connect(&rig, &client, NULL, &first);
	assert_string_equal(first.node_id, first_node.id_text);
	(void)route_rig_add_node(&rig, &second_node, RELAY_NODE_OPENS);
	relay_mailbox_detach(&rig.relay, first_node.id_text);
	do { /* until routing has heard of the second */
		route_rig_request(&rig, &call, &client, NULL, NULL, first.session_id);
		if (call.reply == NULL)
			rig_call_fini(&call);
	} while (call.reply == NULL);
	route_rig_take(&call, &again);
	assert_string_equal(first.session_id, again.session_id);
	assert_string_equal(again.node_id, second_node.id_text);
}

static bool
was_closed(void *arg)
{
	return ((const struct relay_mailbox_leg *)arg)->closed > 0;
}

static void
test_a_session_moves_to_the_node_that_is_asked_for(void **state)
{
	struct enrolment_node first_node, second_node;
	struct relay_mailbox_leg *first_leg;
	struct route_rig_client client;
	struct route_rig_answer first, second;

	(void)state;
	route_rig_client_init(&client);
	first_leg = route_rig_add_node(&rig, &first_node, RELAY_NODE_OPENS);
	(void)route_rig_add_node(&rig, &second_node, RELAY_NODE_OPENS);
	route_rig_connect(&rig, &client, first_node.id_text, &first);
	route_rig_connect(&rig, &client, second_node.id_text, &second);
	assert_string_equal(first.session_id, second.session_id);
	assert_string_equal(second.node_id, second_node.id_text);
	rig_wait(&rig.rig, was_closed, first_leg, "CloseSession at the node that it left");
}

static void
test_an_access_key_has_only_so_many_sessions_at_a_time(void **state)
{
	struct route_rig_client clients[3];
	struct route_rig_answer answers[2], last;
	struct enrolment_node node;
	struct rig_call call;

	(void)state;
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	for (size_t i = 0; i < 3; i++)
		route_rig_client_init(&clients[i]);
	for (size_t i = 0; i < 2; i++)
		route_rig_connect(&rig, &clients[i], NULL, &answers[i]);
	route_rig_request(&rig, &call, &clients[2], NULL, NULL, NULL);
	rig_call_assert_refused(&call, BUS_LIMITED, "sessions");
	route_rig_request(&rig, &call, &clients[0], NULL, NULL, NULL); /* has one */
	rig_call_assert_served(&call);
	route_rig_delete(&rig, &call, answers[0].route_id, clients[0].token);
	rig_call_fini(&call);
	route_rig_request(&rig, &call, &clients[2], NULL, NULL, NULL);
	route_rig_take(&call, &last);
}

static bool
is_forgotten(void *arg)
{
	struct route_rig_answer *answer = arg;
	struct rig_call call;
	bool forgotten;

	route_rig_get(&rig, &call, answer->route_id, answer->node_id);
	forgotten = call.reply == NULL && call.result.status == BUS_NOT_FOUND;
	rig_call_fini(&call);
	return forgotten;
}

static void
test_a_session_ends_at_its_node_and_is_forgotten(void **state)
{
	struct route_rig_client client;
	struct relay_mailbox_leg *leg;
	struct enrolment_node node;
	struct route_rig_answer answer;

	(void)state;
	route_rig_client_init(&client);
	leg = route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_connect(&rig, &client, NULL, &answer);
	memcpy(answer.node_id, client.id_text, sizeof(answer.node_id));
	rig_wait(&rig.rig, was_closed, leg, "CloseSession at its end");
	rig_wait(&rig.rig, is_forgotten, &answer, "the route is unknown");
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, route_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_client_that_asks_again_gets_the_session_that_it_has_F01),
		IN_A_RIG(test_two_requests_at_once_make_one_session_F01),
		IN_A_RIG(test_a_session_is_taken_up_by_its_owner_alone_T05),
		IN_A_RIG(test_a_key_with_a_session_gets_none_by_another_access_key_T05),
		IN_A_RIG(test_what_a_token_opened_is_its_access_keys_too),
		IN_A_RIG(test_a_token_for_anothers_client_id_opens_nothing_of_that_client_T05),
		IN_A_RIG(test_a_session_goes_to_another_node_when_its_own_is_gone),
		IN_A_RIG(test_a_session_moves_to_the_node_that_is_asked_for),
		IN_A_RIG(test_an_access_key_has_only_so_many_sessions_at_a_time),
		cmocka_unit_test_setup_teardown(test_a_session_ends_at_its_node_and_is_forgotten,
						setup_short_lived, route_rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
