/*
 * higgs-forwarder itself, as a process with real nftables, wireguard-go and rtnetlink, and a
 * stand-in for its agent: what it may do, what it sets up, what it leaves. T37, T38, F07.
 */
#include "world.h"

#include "loop/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

static struct world world;

static int
setup(void **state)
{
	*state = NULL;
	if (!lab_can_run())
		return 0;
	*state = &world;
	world_up(&world, "");
	return 0;
}

static int
teardown(void **state)
{
	if (*state)
		world_down(&world);
	return 0;
}

static void
start(void)
{
	world.policy_in_force = false;
	world_agent_start(&world);
	world_forwarder_start(&world, FORWARDER_PROGRAM);
	assert_true(world_wait(&world, world_is_up));
}

static char *
kernel_state(void)
{
	return lab_output(
		world.lab.node,
		"nft list ruleset; ip rule; ip -6 rule; ip -o link; "
		"ip route show table all | sort; "
		"grep -rs . /proc/sys/net/ipv4 /proc/sys/net/ipv6 /proc/sys/net/netfilter | "
		"grep -v nf_conntrack_count");
}

/* CAP_NET_ADMIN is bit 12. */
static void
test_program_holds_net_admin_and_nothing_else(void **state)
{
	char command[64];
	if (!*state)
		skip();
	start();
	snprintf(command, sizeof command, "cat /proc/%d/task/*/status", world.process.pid);
	char *status = lab_output(world.lab.node, command);
	for (const char *line = status; (line = strstr(line, "Cap")); line += 4)
		assert_memory_equal(line + 6, ":\t0000000000001000\n", 19);
	for (const char *line = status; (line = strstr(line, "NoNewPrivs")); line++)
		assert_memory_equal(line, "NoNewPrivs:\t1\n", 14);
	assert_non_null(strstr(status, "CapBnd:"));
	free(status);
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
}

static void
test_guard_stands_before_the_agent_has_answered(void **state)
{
	if (!*state)
		skip();
	world_forwarder_start(&world, FORWARDER_PROGRAM);
	assert_true(world_wait_output(&world, "nft list tables", "higgs_guard_hgf"));
	assert_false(world_has_output(&world, "nft list tables", "higgs_exit_"));
	assert_false(world_has_output(&world, "ip -o link", world.interface));
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
}

static void
test_sessions_of_the_snapshot_are_carried(void **state)
{
	if (!*state)
		skip();
	struct world_session *a = world_session_add(&world), *b = world_session_add(&world);
	start();
	assert_true(world_has_output(&world, world.show_peers, a->key));
	assert_true(world_has_output(&world, world.show_peers, b->key));
	assert_true(
		world_has_output(&world, world.show_peers, "10.90.0.2/32 fd48:6967:6773::2/128"));
	assert_true(world_has_output(&world, "nft list ruleset", "10.90.0.2, 10.90.0.3"));
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
}

static bool is_closed;

static void
on_closed(const Boson__Common__Empty *reply, void *closure)
{
	(void)closure;
	is_closed = reply != NULL;
}

static bool
was_closed(struct world *unused)
{
	(void)unused;
	return is_closed;
}

static void
test_session_that_the_agent_closes_is_gone(void **state)
{
	Boson__Link__SessionClose close = BOSON__LINK__SESSION_CLOSE__INIT;
	if (!*state)
		skip();
	struct world_session *a = world_session_add(&world), *b = world_session_add(&world);
	start();
	is_closed = false;
	close.session_id = a->id;
	boson__node__forwarder__close_session(bus_peer_service(world.forwarder), &close, on_closed,
					      NULL);
	assert_true(world_wait(&world, was_closed));
	assert_false(world_has_output(&world, world.show_peers, a->key));
	assert_true(world_has_output(&world, world.show_peers, b->key));
	assert_false(world_has_output(&world, "nft list ruleset", "10.90.0.2"));
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
}

static bool
has_ended(struct world *unused)
{
	(void)unused;
	return world.ended > 0;
}

static void
test_session_ends_at_its_time(void **state)
{
	if (!*state)
		skip();
	struct world_session *a = world_session_add(&world);
	a->expires_at_ms = clock_wall_ms() + 500;
	start();
	assert_true(world_wait(&world, has_ended));
	assert_string_equal(world.ended_id, a->id);
	assert_true(world_wait_output(&world, world.count_peers, "0"));
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
}

static void
test_clean_stop_leaves_the_node_as_it_was(void **state)
{
	if (!*state)
		skip();
	world_session_add(&world);
	char *before = kernel_state();
	start();
	char *during = kernel_state();
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
	char *after = kernel_state();
	assert_string_not_equal(before, during);
	lab_assert_same(before, after);
	free(before);
	free(during);
	free(after);
}

/* With wireguard-go left alive by its wrapper: only the guard stays, and a new start takes over. */
static void
test_start_after_a_kill_takes_over_and_doubles_nothing(void **state)
{
	if (!*state)
		skip();
	struct world_session *a = world_session_add(&world);
	char *before = kernel_state();
	start();
	char *first = lab_output(world.lab.node, "nft -s list ruleset | grep -v redirect | "
						 "grep -v 'th dport [0-9]* ct original'; ip rule; "
						 "ip -o link | cut -d: -f2 | sort");
	assert_int_equal(world_forwarder_end(&world, SIGKILL), 128 + SIGKILL);
	assert_true(world_wait_output(&world, "nft list tables | wc -l", "1"));
	assert_true(world_has_output(&world, "nft list tables", "higgs_guard_"));
	assert_true(world_has_output(&world, "ip -o link", world.interface));

	world.policy_in_force = false;
	world_forwarder_start(&world, FORWARDER_PROGRAM);
	assert_true(world_wait(&world, world_is_up));
	char *second = lab_output(world.lab.node, "nft -s list ruleset | grep -v redirect | "
						  "grep -v 'th dport [0-9]* ct original'; ip rule; "
						  "ip -o link | cut -d: -f2 | sort");
	lab_assert_same(first, second);
	assert_true(world_has_output(&world, world.show_peers, a->key));
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
	char *after = kernel_state();
	lab_assert_same(before, after);
	free(before);
	free(first);
	free(second);
	free(after);
}

static void
test_interface_of_somebody_else_is_left_alone(void **state)
{
	if (!*state)
		skip();
	lab_run(world.lab.node, "ip link add %s type veth", world.interface);
	world_agent_start(&world);
	world_forwarder_start(&world, FORWARDER_PROGRAM);
	assert_true(world_wait_output(&world, "nft list tables", "higgs_guard_"));
	for (int i = 0; i < 3; i++) /* it tries again, and again leaves it */
		assert_true(world_wait_output(&world, "ip -o -d link", "veth"));
	assert_false(world.policy_in_force);
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
	assert_true(world_has_output(&world, "ip -o link", world.interface));
}

static void
test_public_address_of_the_owners_router_is_denied(void **state)
{
	Boson__Node__Attachment attachment = BOSON__NODE__ATTACHMENT__INIT;
	char *own[] = { (char[]){ "192.0.2.10" }, (char[]){ "2001:db8::10" },
			(char[]){ "0.0.0.0/0 } } add rule" } };
	if (!*state)
		skip();
	start();
	is_closed = false;
	attachment.own_addresses = own;
	attachment.n_own_addresses = 3;
	boson__node__forwarder__set_relays(bus_peer_service(world.forwarder), &attachment,
					   on_closed, NULL);
	assert_true(world_wait(&world, was_closed));
	assert_true(world_has_output(&world, "nft list ruleset | grep -A4 own4", "192.0.2.10"));
	assert_true(world_has_output(&world, "nft list ruleset | grep -A4 own6", "2001:db8::10"));
	assert_int_equal(world_forwarder_end(&world, SIGTERM), 0);
}

static void
on_refused(const Boson__Common__Empty *reply, void *closure)
{
	(void)closure;
	is_closed = reply == NULL;
}

/* The agent changed its key: the forwarder that has the old one ends, to be started anew. */
static void
test_forwarder_of_another_key_than_the_agents_starts_anew(void **state)
{
	Boson__Node__Attachment attachment = BOSON__NODE__ATTACHMENT__INIT;
	char key_text[KEY_TEXT_BYTES];
	if (!*state)
		skip();
	start();
	for (int other = 0; other < 2; other++) {
		struct key key = world.node_public;
		if (other) {
			struct key next;
			assert_int_equal(key_generate(&next), 0);
			assert_int_equal(key_public(&next, &key), 0);
		}
		key_format(&key, key_text);
		attachment.public_key = key_text;
		is_closed = false;
		boson__node__forwarder__set_relays(bus_peer_service(world.forwarder), &attachment,
						   other ? on_refused : on_closed, NULL);
		assert_true(world_wait(&world, was_closed));
	}
	assert_int_equal(world_forwarder_end(&world, 0), EX_TEMPFAIL);
}

#define PROGRAM_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PROGRAM_TEST(test_program_holds_net_admin_and_nothing_else),
		PROGRAM_TEST(test_guard_stands_before_the_agent_has_answered),
		PROGRAM_TEST(test_sessions_of_the_snapshot_are_carried),
		PROGRAM_TEST(test_session_that_the_agent_closes_is_gone),
		PROGRAM_TEST(test_session_ends_at_its_time),
		PROGRAM_TEST(test_clean_stop_leaves_the_node_as_it_was),
		PROGRAM_TEST(test_start_after_a_kill_takes_over_and_doubles_nothing),
		PROGRAM_TEST(test_interface_of_somebody_else_is_left_alone),
		PROGRAM_TEST(test_public_address_of_the_owners_router_is_denied),
		PROGRAM_TEST(test_forwarder_of_another_key_than_the_agents_starts_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
