/*
 * routing: nodes that take sessions and drop what is sent to them (T04), as relays count it and as
 * clients say. The relay's counters are the test's; with a real one: test_routing_deaf_legs.c.
 */
#include "route_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
	COMPLAINTS = 3, /* as many as are too many */
	ROUTES_AFTER = 3,
	NEARLY_FULL = 12, /* of the 16 that a node bears that did not say */
	INITIATION_BYTES = 148,
	LITTLE_BYTES = 1024,
	MUCH_BYTES = 64 * 1024,
	LOOKS_MAX = 5, /* at a session whose client says too little */
};

static struct route_rig rig;
static struct enrolment_node deaf, good;
static struct relay_mailbox_leg *deaf_leg, *good_leg;

static int
setup(void **state)
{
	*state = &rig;
	route_rig_start(&rig, "[discovery]\nenrolment = open\n[routing]\ndeaf_after = 50ms\n"
			      "answer_timeout = 5s\n");
	return 0;
}

static void
connect_client(struct route_rig_client *client, const char *target, struct route_rig_answer *ret)
{
	route_rig_client_init(client);
	route_rig_connect(&rig, client, target, ret);
}

static void
complain(const struct route_rig_client *client, const struct route_rig_answer *of,
	 struct route_rig_answer *ret)
{
	struct rig_call call;

	route_rig_complain_begin(&rig, &call, client, of->session_id, of->node_id);
	route_rig_take(&call, ret);
}

/* Both nodes, the deaf one known to routing for sure. */
static void
add_both(void)
{
	struct route_rig_client client;
	struct route_rig_answer answer;

	deaf_leg = route_rig_add_node(&rig, &deaf, RELAY_NODE_OPENS);
	good_leg = route_rig_add_node(&rig, &good, RELAY_NODE_OPENS);
	deaf_leg->bytes_up = good_leg->bytes_up = 3 * INITIATION_BYTES;
	good_leg->bytes_down = INITIATION_BYTES;
	good_leg->data_up = good_leg->data_down = LITTLE_BYTES;
	connect_client(&client, deaf.id_text, &answer);
	connect_client(&client, good.id_text, &answer);
}

/* How many of some new clients routing sends to the deaf one. */
static unsigned int
sent_to_the_deaf_one(void)
{
	unsigned int before = deaf_leg->opened;

	for (int i = 0; i < ROUTES_AFTER; i++) {
		struct route_rig_client client;
		struct route_rig_answer answer;

		connect_client(&client, NULL, &answer);
	}
	return deaf_leg->opened - before;
}

/* The good one is nearly full: one that is not known to be deaf is the better choice. */
static void
fill_the_good_one(void)
{
	struct route_rig_client client;
	struct route_rig_answer answer;

	while (good_leg->opened < NEARLY_FULL)
		connect_client(&client, good.id_text, &answer);
}

static void
test_a_client_whose_node_is_deaf_gets_its_session_at_another_T04(void **state)
{
	struct route_rig_answer first, moved, again;
	struct route_rig_client client;
	struct rig_call call;
	unsigned int closed;

	(void)state;
	add_both();
	connect_client(&client, deaf.id_text, &first);
	closed = deaf_leg->closed;
	complain(&client, &first, &moved);
	assert_string_equal(moved.session_id, first.session_id);
	assert_string_equal(moved.node_id, good.id_text);
	/* The same again, as after a lost answer: it has moved, and stays. */
	complain(&client, &first, &again);
	assert_string_equal(again.session_id, first.session_id);
	assert_string_equal(again.node_id, good.id_text);
	assert_int_equal(deaf_leg->closed, closed + 1);
	/* A word about another's session moves nothing. */
	route_rig_client_init(&client);
	route_rig_complain_begin(&rig, &call, &client, first.session_id, good.id_text);
	rig_call_wait(&call);
	rig_call_assert_refused(&call, BUS_NOT_FOUND, "session_unknown");
}

static void
test_without_another_node_a_deaf_one_is_no_route_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer first, again;
	struct rig_call call;

	(void)state;
	(void)route_rig_add_node(&rig, &deaf, RELAY_NODE_OPENS);
	connect_client(&client, NULL, &first);
	route_rig_complain_begin(&rig, &call, &client, first.session_id, first.node_id);
	rig_call_wait(&call);
	rig_call_assert_refused(&call, BUS_UNAVAILABLE, "no_node_available");
	route_rig_request(&rig, &call, &client, NULL, NULL, first.session_id);
	route_rig_take(&call, &again);
	assert_string_equal(again.session_id, first.session_id);
}

static void
test_three_clients_that_a_relay_bears_out_close_a_node_to_others_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer first, moved;

	(void)state;
	add_both();
	for (int i = 0; i < COMPLAINTS; i++) {
		connect_client(&client, deaf.id_text, &first);
		complain(&client, &first, &moved);
	}
	fill_the_good_one();
	assert_int_equal(sent_to_the_deaf_one(), 0);
	connect_client(&client, deaf.id_text, &first); /* who wants just this one may */
	assert_string_equal(first.node_id, deaf.id_text);
}

static void
test_clients_that_no_relay_bears_out_close_no_node_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer first, moved;

	(void)state;
	add_both();
	deaf_leg->bytes_down = INITIATION_BYTES; /* it has answered */
	for (int i = 0; i < COMPLAINTS; i++) {
		connect_client(&client, deaf.id_text, &first);
		complain(&client, &first, &moved);
	}
	fill_the_good_one();
	assert_true(sent_to_the_deaf_one() > 0);
}

static void
test_a_client_that_complains_again_and_again_counts_once_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer first, moved;
	struct rig_call call;

	(void)state;
	add_both();
	route_rig_client_init(&client);
	for (int i = 0; i < COMPLAINTS; i++) {
		route_rig_request(&rig, &call, &client, deaf.id_text, NULL, NULL);
		route_rig_take(&call, &first);
		assert_string_equal(first.node_id, deaf.id_text);
		complain(&client, &first, &moved);
		assert_string_equal(moved.node_id, good.id_text);
	}
	fill_the_good_one();
	assert_true(sent_to_the_deaf_one() > 0);
}

static void
connect_by(const char *access_key, const char *target, struct route_rig_client *client,
	   struct route_rig_answer *ret)
{
	route_rig_client_init(client);
	client->subject = access_key;
	route_rig_connect(&rig, client, target, ret);
}

static const char *const keys[COMPLAINTS] = { "key:first", "key:second", "key:third" };

/* Where there are three access keys. */
static void
complain_by(const char *const by[COMPLAINTS])
{
	struct route_rig_answer first, moved;
	struct route_rig_client client;

	add_both();
	for (int i = 0; i < COMPLAINTS; i++)
		connect_by(keys[i], good.id_text, &client, &first);
	for (int i = 0; i < COMPLAINTS; i++) {
		connect_by(by[i], deaf.id_text, &client, &first);
		complain(&client, &first, &moved);
	}
	fill_the_good_one();
}

/* Client ids cost nothing. */
static void
test_where_there_are_many_access_keys_one_closes_no_node_T04(void **state)
{
	(void)state;
	complain_by((const char *const[COMPLAINTS]){ keys[0], keys[0], keys[0] });
	assert_true(sent_to_the_deaf_one() > 0);
}

static void
test_where_there_are_many_access_keys_three_close_a_node_T04(void **state)
{
	(void)state;
	complain_by(keys);
	assert_int_equal(sent_to_the_deaf_one(), 0);
}

static bool
was_looked_at(void *arg)
{
	return deaf_leg->looked_at >= *(const unsigned int *)arg;
}

/* Stock apps say nothing: routing looks itself, twice, because an answer may be on its way. */
static void
test_a_deaf_node_is_found_without_a_complaint_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer answer;
	unsigned int looks;

	(void)state;
	add_both(); /* and one client at each */
	for (int i = 1; i < COMPLAINTS; i++)
		connect_client(&client, deaf.id_text, &answer);
	looks = 2 * COMPLAINTS;
	rig_wait(&rig.rig, was_looked_at, &looks, "two looks at each session");
	fill_the_good_one();
	assert_int_equal(sent_to_the_deaf_one(), 0);
	assert_int_equal(deaf_leg->looked_at, looks);
}

static void
answer_handshakes(uint64_t data_up)
{
	deaf_leg->bytes_up += data_up;
	deaf_leg->data_up = data_up;
	deaf_leg->bytes_down = INITIATION_BYTES;
}

static void
test_a_node_that_answers_handshakes_and_drops_the_rest_is_found_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer answer;
	unsigned int looks = 2 * COMPLAINTS;

	(void)state;
	add_both();
	answer_handshakes(MUCH_BYTES);
	for (int i = 1; i < COMPLAINTS; i++)
		connect_client(&client, deaf.id_text, &answer);
	rig_wait(&rig.rig, was_looked_at, &looks, "two looks at each session");
	fill_the_good_one();
	assert_int_equal(sent_to_the_deaf_one(), 0);
}

/* An idle client, or one that only says that it lives, hears nothing from the best of nodes. */
static void
test_clients_that_say_little_close_no_node_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer answer;
	unsigned int looks = LOOKS_MAX * COMPLAINTS;

	(void)state;
	add_both();
	answer_handshakes(LITTLE_BYTES);
	for (int i = 1; i < COMPLAINTS; i++)
		connect_client(&client, deaf.id_text, &answer);
	rig_wait(&rig.rig, was_looked_at, &looks, "all looks at each session");
	fill_the_good_one();
	assert_true(sent_to_the_deaf_one() > 0);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, route_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_client_whose_node_is_deaf_gets_its_session_at_another_T04),
		IN_A_RIG(test_without_another_node_a_deaf_one_is_no_route_T04),
		IN_A_RIG(test_three_clients_that_a_relay_bears_out_close_a_node_to_others_T04),
		IN_A_RIG(test_clients_that_no_relay_bears_out_close_no_node_T04),
		IN_A_RIG(test_a_client_that_complains_again_and_again_counts_once_T04),
		IN_A_RIG(test_a_deaf_node_is_found_without_a_complaint_T04),
		IN_A_RIG(test_where_there_are_many_access_keys_one_closes_no_node_T04),
		IN_A_RIG(test_where_there_are_many_access_keys_three_close_a_node_T04),
		IN_A_RIG(test_a_node_that_answers_handshakes_and_drops_the_rest_is_found_T04),
		IN_A_RIG(test_clients_that_say_little_close_no_node_T04),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
