/* What relays say of their load, and what routing makes of it: RelayLoad, the table, the choice.
 * T23: a relay's word is a hint, which moves clients elsewhere and back, and shuts nobody out. */
#include "two_relays.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* What relays say each second, until routing does as expected. */
struct loads {
	double first, second;
	struct expected entry;
};

static bool
enters_as_expected(void *arg)
{
	struct loads *loads = arg;

	relay_mailbox_tell_load(&rig.relay, loads->first);
	relay_mailbox_tell_load(&second, loads->second);
	return two_relays_do(&loads->entry);
}

static void
test_clients_enter_elsewhere_while_a_relay_says_that_it_is_full(void **state)
{
	struct loads idle = { 0, 0, { 10, 50, 2, first_url, BOSON__ROUTING__ROUTE__TYPE__relay } };
	struct loads full = { 0.95,
			      0,
			      { 10, 50, 2, second_url, BOSON__ROUTING__ROUTE__TYPE__cascade } };

	(void)state;
	rig_wait(&rig.rig, enters_as_expected, &idle, "the nearer one");
	rig_wait(&rig.rig, enters_as_expected, &full, "the other one: the nearer is full");
	rig_wait(&rig.rig, enters_as_expected, &idle, "the nearer one again");
}

struct newcomers {
	double first, second; /* what the relays say */
	const char *node_id;
	int n; /* so many in a row */
};

/* The node of a route of somebody who was not here before, and who leaves at once. Relays say how
 * it is with them before each: who says nothing for long is none. */
static bool
newcomer_gets(const struct newcomers *newcomers)
{
	struct route_rig_answer answer;
	struct route_rig_client newcomer;
	struct rig_call call;

	relay_mailbox_tell_load(&rig.relay, newcomers->first);
	relay_mailbox_tell_load(&second, newcomers->second);
	route_rig_client_init(&newcomer);
	route_rig_connect(&rig, &newcomer, NULL, &answer);
	route_rig_delete(&rig, &call, answer.route_id, newcomer.token);
	rig_call_assert_served(&call);
	return strcmp(answer.node_id, newcomers->node_id) == 0;
}

static bool
newcomers_get(void *arg)
{
	const struct newcomers *newcomers = arg;
	int got = 0;

	while (got < newcomers->n && newcomer_gets(newcomers))
		got++;
	return got == newcomers->n;
}

/* Nodes are drawn at random: so many of the same kind are no accident. */
static void
expect_all_newcomers_at(double first_load, double second_load, const struct enrolment_node *at)
{
	struct newcomers newcomers = { first_load, second_load, at->id_text, 16 };

	rig_wait(&rig.rig, newcomers_get, &newcomers, "a node whose relay is not full");
}

static void
test_newcomers_get_nodes_of_other_relays_while_one_is_full(void **state)
{
	struct enrolment_node other;

	(void)state;
	(void)route_rig_add_node(&rig, &other, RELAY_NODE_OPENS);
	relay_mailbox_detach(&rig.relay, other.id_text);
	(void)relay_mailbox_attach(&second, other.id_text, RELAY_NODE_OPENS);
	expect_all_newcomers_at(0.95, 0, &other);
	expect_all_newcomers_at(0, 0.95, &node);
	expect_all_newcomers_at(0.95, 0, &other);
	/* Both are: better that than nothing. */
	struct newcomers any = { 0.95, 0.95, node.id_text, 1 };
	rig_wait(&rig.rig, newcomers_get, &any, "a node, although its relay is full");
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, two_relays_setup, two_relays_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_clients_enter_elsewhere_while_a_relay_says_that_it_is_full),
		IN_A_RIG(test_newcomers_get_nodes_of_other_relays_while_one_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
