/*
 * F32: routes are asked for and given back while the n-th allocation of routing and discovery is
 * refused, for each n: a route or a refusal that says that it may be asked again; afterwards the
 * same client gets its route. When they end, nothing has leaked (the sanitizers look).
 */
#include "route_rig.h"
#include "scarce_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { TRIES_MAX = 2000 };

static struct scarce *page;
static struct route_rig rig;
static struct enrolment_node node;

static bool
may_be_asked_again(const struct bus_result *result)
{
	return result->status == BUS_UNAVAILABLE || result->status == BUS_DEADLINE ||
	       result->status == BUS_INTERNAL;
}

static void
ask(const struct route_rig_client *client)
{
	struct rig_call call;

	route_rig_request(&rig, &call, client, node.id_text, NULL, NULL);
	if (call.reply == NULL && !may_be_asked_again(&call.result))
		fail_msg("refused with %d %s", (int)call.result.status, call.result.code);
	rig_call_fini(&call);
}

static void
give_back(const char *route_id, const struct route_rig_client *client)
{
	struct rig_call call;

	route_rig_delete(&rig, &call, route_id, client->token);
	if (call.reply == NULL && !may_be_asked_again(&call.result))
		fail_msg("not given back: %d %s", (int)call.result.status, call.result.code);
	rig_call_fini(&call);
}

static void
ask_with_too_little(bool proves)
{
	struct route_rig_answer route;
	struct route_rig_client client;
	bool is_more = true;
	unsigned long n = 0;

	/* Once with enough: the node has to be known. */
	route_rig_client_init(&client);
	route_rig_connect(&rig, &client, node.id_text, &route);
	give_back(route.route_id, &client);
	while (is_more && ++n < TRIES_MAX) {
		route_rig_client_init(&client);
		if (proves)
			route_rig_prove(&rig.rig, rig.routing, &client);
		scarce_start(page, n, 1);
		ask(&client);
		is_more = scarce_stop(page);
		route_rig_connect(&rig, &client, node.id_text, &route);
		assert_string_equal(route.node_id, node.id_text);
		give_back(route.route_id, &client);
	}
	print_message("%lu allocations\n", n - 1);
	assert_in_range(n, 50, TRIES_MAX - 1);
}

static void
test_routes_with_too_little_memory(void **state)
{
	(void)state;
	ask_with_too_little(false);
}

/* A proof that cannot be checked is none that does not hold. */
static void
test_proven_routes_with_too_little_memory(void **state)
{
	(void)state;
	ask_with_too_little(true);
}

static void
test_routes_are_given_back_with_too_little_memory(void **state)
{
	struct route_rig_answer route;
	struct route_rig_client client;
	bool is_more = true;
	unsigned long n = 0;

	(void)state;
	while (is_more && ++n < TRIES_MAX) {
		route_rig_client_init(&client);
		route_rig_connect(&rig, &client, node.id_text, &route);
		scarce_start(page, n, 1);
		give_back(route.route_id, &client);
		is_more = scarce_stop(page);
		give_back(route.route_id, &client); /* or the node is full soon */
	}
	assert_in_range(n, 10, TRIES_MAX - 1);
}

static int
start(void **state)
{
	*state = &rig;
	page = scarce_page_open();
	if (page == NULL)
		return -1;
	route_rig_start(&rig, "[discovery]\nenrolment = open\n[routing]\nanswer_timeout = 300ms\n");
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	return 0;
}

static int
stop(void **state)
{
	int r = route_rig_teardown(state);

	scarce_page_close(&page);
	return r;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes_with_too_little_memory),
		cmocka_unit_test(test_proven_routes_with_too_little_memory),
		cmocka_unit_test(test_routes_are_given_back_with_too_little_memory),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
