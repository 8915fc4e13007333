/*
 * routing starts while discovery is dead: with the list of nodes and relays that it wrote down
 * before, if that is whole and not old (F02, F03). Sessions are opened then as ever.
 */
#include "loop/clock.h"
#include "route_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIST_MAX_BYTES = 64 * 1024, OLD_SEC = 90 };

static struct route_rig rig;
static struct route_rig_client client;
static struct enrolment_node node;
static char list[RIG_PATH_BYTES];

static bool
is_in_the_list(void *arg)
{
	char bytes[LIST_MAX_BYTES];
	FILE *file = fopen(list, "re");
	size_t n = file == NULL ? 0 : fread(bytes, 1, sizeof(bytes), file);

	if (file != NULL)
		(void)fclose(file);
	return memmem(bytes, n, arg, strlen(arg)) != NULL;
}

/* A node has a route, and is in the list; then discovery and routing are killed. */
static int
setup(void **state)
{
	struct rig_call call;

	*state = &rig;
	route_rig_start(&rig, "[discovery]\nenrolment = open\n[routing]\nlist_every = 50ms\n");
	rig_path(&rig.rig, "state/routing/candidates", list);
	route_rig_client_init(&client);
	(void)route_rig_add_node(&rig, &node, RELAY_NODE_OPENS);
	route_rig_request_until_served(&rig, &call, &client, NULL);
	rig_call_fini(&call);
	rig_wait(&rig.rig, is_in_the_list, node.id_text, "the node is in the list");
	rig_kill(&rig.rig, rig.discovery_process);
	rig_kill(&rig.rig, rig.routing_process);
	return 0;
}

static void
start_routing(void)
{
	rig.routing_process = rig_spawn(&rig.rig, PROGRAM_ROUTING, 0);
	rig_wait_up(&rig.rig, rig.routing);
}

/* The first answer that is no "starting". */
static void
ask(struct rig_call *call, const struct route_rig_client *who)
{
	int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;

	for (;;) {
		route_rig_request(&rig, call, who, NULL, NULL, NULL);
		if (call->reply != NULL || strcmp(call->result.code, "starting") != 0)
			return;
		assert_true(rig_call_may_be_repeated(call));
		assert_true(clock_monotonic_ms() < deadline_ms);
		rig_call_fini(call);
	}
}

static void
test_a_start_without_discovery_hands_out_routes_F02_F03(void **state)
{
	const Boson__Routing__SelectedRoute *selected;
	struct route_rig_client other;
	struct rig_call call;

	(void)state;
	start_routing();
	route_rig_client_init(&other);
	ask(&call, &other);
	if (call.reply == NULL)
		fail_msg("%s", call.result.code);
	selected = ((const Boson__Routing__RouteReply *)call.reply)->selected_route;
	assert_string_equal(selected->node_endpoint->node_id, node.id_text);
	assert_string_equal(selected->node_endpoint->public_key, node.public_text);
	rig_call_fini(&call);
	/* Who had one has the same. */
	ask(&call, &client);
	rig_call_assert_served(&call);
}

/* Discovery comes back and knows better. */
static void
test_discoverys_word_replaces_the_list_F02(void **state)
{
	struct enrolment_node fresh;
	struct route_rig_client other;
	struct rig_call call;

	(void)state;
	start_routing();
	rig.discovery_process = rig_spawn(&rig.rig, PROGRAM_DISCOVERY, 0);
	rig_wait_up(&rig.rig, rig.discovery);
	route_rig_announce(&rig);
	(void)route_rig_add_node(&rig, &fresh, RELAY_NODE_OPENS);
	route_rig_client_init(&other);
	route_rig_request_until_served(&rig, &call, &other, fresh.id_text);
	rig_call_fini(&call);
	route_rig_request_until_served(&rig, &call, &other, node.id_text);
	rig_call_fini(&call);
}

static void
assert_that_it_waits_for_discovery(void)
{
	struct rig_call call;

	start_routing();
	route_rig_request(&rig, &call, &client, NULL, NULL, NULL);
	rig_call_assert_refused(&call, BUS_UNAVAILABLE, "starting");
}

static void
test_an_old_list_is_not_used_F03(void **state)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { .tv_sec = clock_wall_ms() / 1000 - OLD_SEC } };

	(void)state;
	assert_int_equal(utimensat(AT_FDCWD, list, times, 0), 0);
	assert_that_it_waits_for_discovery();
}

/* Cut anywhere, at its end and in the midst of a page. */
static void
test_a_torn_list_is_not_used_F03(void **state)
{
	struct stat status;

	(void)state;
	assert_int_equal(stat(list, &status), 0);
	for (off_t n = status.st_size - 1; n >= 0; n -= status.st_size / 3) {
		assert_int_equal(truncate(list, n), 0);
		assert_that_it_waits_for_discovery();
		rig_kill(&rig.rig, rig.routing_process);
	}
	assert_int_equal(unlink(list), 0);
	assert_that_it_waits_for_discovery();
}

#define AFTER_BOTH_DIED(test) cmocka_unit_test_setup_teardown(test, setup, route_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		AFTER_BOTH_DIED(test_a_start_without_discovery_hands_out_routes_F02_F03),
		AFTER_BOTH_DIED(test_discoverys_word_replaces_the_list_F02),
		AFTER_BOTH_DIED(test_an_old_list_is_not_used_F03),
		AFTER_BOTH_DIED(test_a_torn_list_is_not_used_F03),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
