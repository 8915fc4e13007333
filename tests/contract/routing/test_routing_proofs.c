/*
 * routing: who proves to have the private half of a client's WireGuard key gets it from those who
 * have only named it (T05). What a proof is good for, and for whom (T08).
 */
#include "route_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct route_rig rig;
static struct enrolment_node node;
static struct relay_mailbox_leg *leg;
static struct route_rig_client client, thief;

/* A client, and who knows its id and public key and has an access key of his own. */
static void
start(const char *more)
{
	char config[512];

	(void)snprintf(config, sizeof(config),
		       "[discovery]\nenrolment = open\n[routing]\nanswer_timeout = 10s\n%s", more);
	route_rig_start(&rig, config);
	leg = route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_client_init(&client);
	thief = client;
	thief.subject = "key:second";
	assert_int_equal(key_generate(&thief.private_key), 0);
}

static int
setup(void **state)
{
	*state = &rig;
	start("");
	return 0;
}

static int
setup_strict(void **state)
{
	*state = &rig;
	start("require_proof = yes\n");
	return 0;
}

static void
prove(struct route_rig_client *who)
{
	route_rig_prove(&rig.rig, rig.routing, who);
}

static void
assert_no_route(const struct route_rig_client *who, const char *session_id, enum bus_status status,
		const char *code)
{
	struct rig_call call;

	do { /* until routing has heard of node and leg */
		route_rig_request(&rig, &call, who, NULL, NULL, session_id);
		assert_null(call.reply);
		if (!rig_call_may_be_repeated(&call))
			break;
		rig_call_fini(&call);
	} while (true);
	rig_call_assert_refused(&call, status, code);
}

static bool
was_closed(void *arg)
{
	return leg->closed >= *(const unsigned int *)arg;
}

/* The thief's sessions are over: he is refused, and their node has heard. */
static void
assert_taken(const struct route_rig_answer *stolen, unsigned int closed, const char *code)
{
	char token[ROUTE_RIG_TOKEN_BYTES];
	struct rig_call call;

	assert_no_route(&thief, NULL, BUS_CONFLICT, code);
	assert_no_route(&thief, stolen->session_id, BUS_NOT_FOUND, "session_unknown");
	rig_wait(&rig.rig, was_closed, &closed, "CloseSession of what was stolen");
	/* SHA-256 of key:second begins so. */
	(void)snprintf(token, sizeof(token), "%s.%s", thief.id_text, "25da93b9533105d2");
	route_rig_get(&rig, &call, stolen->route_id, token);
	assert_non_null(call.reply);
	assert_string_not_equal(((const Boson__Routing__Route *)call.reply)->status, "open");
	rig_call_fini(&call);
}

static void
test_a_proof_takes_the_key_from_a_session_without_T05(void **state)
{
	struct route_rig_answer stolen, also_stolen, own;
	struct route_rig_client second;

	(void)state;
	assert_int_equal(uuid_generate_text(thief.id_text), 0);
	route_rig_connect(&rig, &thief, NULL, &stolen);
	second = thief; /* one access key may use a key for several clients */
	assert_int_equal(uuid_generate_text(second.id_text), 0);
	route_rig_connect(&rig, &second, NULL, &also_stolen);
	assert_no_route(&client, NULL, BUS_CONFLICT, "key_in_use");
	prove(&client);
	route_rig_connect(&rig, &client, NULL, &own);
	assert_string_not_equal(own.session_id, stolen.session_id);
	assert_taken(&stolen, 2, "key_in_use");
	assert_no_route(&second, NULL, BUS_CONFLICT, "key_in_use");
}

static void
test_a_proof_takes_the_client_id_with_the_key_T05(void **state)
{
	struct route_rig_answer stolen, own;

	(void)state;
	route_rig_connect(&rig, &thief, NULL, &stolen);
	assert_no_route(&client, NULL, BUS_CONFLICT, "client_in_use");
	prove(&client);
	route_rig_connect(&rig, &client, NULL, &own);
	assert_string_not_equal(own.session_id, stolen.session_id);
	assert_taken(&stolen, 1, "client_in_use");
}

/* It is a private key in two places, and the first keeps what it has. */
static void
test_a_proven_session_is_not_taken_by_another_proof(void **state)
{
	struct route_rig_client other = client;
	struct route_rig_answer own, again;

	(void)state;
	prove(&client);
	route_rig_connect(&rig, &client, NULL, &own);
	other.subject = "key:second";
	prove(&other);
	assert_no_route(&other, NULL, BUS_CONFLICT, "client_in_use");
	assert_int_equal(uuid_generate_text(other.id_text), 0);
	prove(&other);
	assert_no_route(&other, NULL, BUS_CONFLICT, "key_in_use");
	route_rig_connect(&rig, &client, NULL, &again);
	assert_string_equal(own.session_id, again.session_id);
}

/* T05: of those, too, who have the same access key. */
static void
test_a_proven_session_is_taken_up_by_a_proof_only_T05(void **state)
{
	struct route_rig_answer first, own, again;
	struct route_rig_client other = client;
	struct rig_call call;

	(void)state;
	route_rig_connect(&rig, &client, NULL, &first);
	prove(&client);
	route_rig_connect(&rig, &client, NULL, &own); /* it was its own all along */
	assert_string_equal(first.session_id, own.session_id);
	assert_no_route(&other, NULL, BUS_CONFLICT, "client_in_use");
	assert_no_route(&other, own.session_id, BUS_NOT_FOUND, "session_unknown");
	assert_int_equal(uuid_generate_text(other.id_text), 0);
	assert_no_route(&other, NULL, BUS_CONFLICT, "key_in_use");
	client.subject = client.token; /* which is its access key's */
	prove(&client);
	route_rig_request(&rig, &call, &client, NULL, NULL, own.session_id);
	route_rig_take(&call, &again);
	assert_string_equal(own.session_id, again.session_id);
	assert_int_equal(leg->closed, 0);
}

static void
test_a_proof_is_good_for_one_access_key_and_one_private_key_T08(void **state)
{
	struct route_rig_answer first, again;

	(void)state;
	prove(&client);
	memcpy(thief.proof, client.proof, sizeof(thief.proof)); /* overheard */
	assert_no_route(&thief, NULL, BUS_UNAUTHENTICATED, "challenge");
	prove(&thief); /* with a private key of his own */
	assert_no_route(&thief, NULL, BUS_UNAUTHENTICATED, "challenge");
	strcpy(thief.proof, "v1 stale");
	assert_no_route(&thief, NULL, BUS_UNAUTHENTICATED, "challenge");
	/* Sent again, as by a bus whose replica died, it asks for the same (F01). */
	route_rig_connect(&rig, &client, NULL, &first);
	route_rig_connect(&rig, &client, NULL, &again);
	assert_string_equal(first.session_id, again.session_id);
}

static void
test_routing_may_want_a_proof_of_everyone_T05(void **state)
{
	struct route_rig_answer answer;

	(void)state;
	assert_no_route(&client, NULL, BUS_UNAUTHENTICATED, "challenge");
	prove(&client);
	route_rig_connect(&rig, &client, NULL, &answer);
	client.proof[0] = '\0';
	assert_no_route(&client, answer.session_id, BUS_UNAUTHENTICATED, "challenge");
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, route_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_proof_takes_the_key_from_a_session_without_T05),
		IN_A_RIG(test_a_proof_takes_the_client_id_with_the_key_T05),
		IN_A_RIG(test_a_proven_session_is_not_taken_by_another_proof),
		IN_A_RIG(test_a_proven_session_is_taken_up_by_a_proof_only_T05),
		IN_A_RIG(test_a_proof_is_good_for_one_access_key_and_one_private_key_T08),
		cmocka_unit_test_setup_teardown(test_routing_may_want_a_proof_of_everyone_T05,
						setup_strict, route_rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
