/*
 * Conntrack's events and dumps, with the real NAT of the exit policy in the lab's home: every byte
 * of a session is in the flow table, and ends with the session. F39.
 */
#include "holder.h"
#include "lab.h"

#include "forwarder/flow_events.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SESSION "11111111-1111-4111-8111-111111111111"

enum { HEADERS4 = 28, HEADERS6 = 48 }; /* IP and UDP */

static const char *const allow[] = { "198.51.100.0/24", "2001:db8:80::/64", NULL };

struct fixture {
	struct lab lab;
	struct holder holder;
	char state_dir[64];
	struct loop *loop;
	struct loop_timer *deadline, *look;
	struct metrics *metrics;
	struct flow_table *table;
	struct flow_events *events;
	int client, client6, inet;
	struct flow_usage wanted;
	unsigned dumps;
	bool is_reached;
};

static void
on_deadline(struct loop *loop, void *arg)
{
	(void)arg;
	print_error("deadline\n");
	loop_stop(loop);
}

static void
on_dump(void *arg)
{
	struct fixture *f = arg;
	f->dumps++;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct in6_addr address4, address6;
	*state = f;
	if (!f || !lab_can_run())
		return f ? 0 : -1;
	snprintf(f->state_dir, sizeof f->state_dir, "/tmp/higgs-test-XXXXXX");
	assert_non_null(mkdtemp(f->state_dir));
	lab_up(&f->lab, true);
	const struct holder_options options = {
		.policy_on = true, .allow = allow, .flows_max = 2000, .state_dir = f->state_dir
	};
	holder_start(&f->lab, &options, &f->holder);
	f->client = lab_udp(f->lab.client, "10.90.0.2", 0);
	f->client6 = lab_udp(f->lab.client, "fd48:6967:6773::2", 0);
	f->inet = lab_udp(f->lab.inet, NULL, LAB_PORT);
	lab_enter(f->lab.node);
	inet_pton(AF_INET6, "::ffff:10.90.0.2", &address4);
	inet_pton(AF_INET6, "fd48:6967:6773::2", &address6);
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(metrics_new("test", &f->metrics), 0);
	assert_int_equal(
		loop_timer_start(f->loop, 2 * LAB_DEADLINE_MS, 0, on_deadline, f, &f->deadline), 0);
	assert_int_equal(flow_table_new(1280, 1, &f->table), 0);
	assert_int_equal(flow_table_session_add(f->table, SESSION, &address4, &address6), 0);
	assert_int_equal(flow_events_new(f->loop, f->metrics, f->table, on_dump, f, &f->events), 0);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char path[128];
	if (f->state_dir[0]) {
		flow_events_free(&f->events);
		flow_table_free(&f->table);
		loop_free(&f->loop);
		metrics_free(&f->metrics);
		close(f->client);
		close(f->client6);
		close(f->inet);
		holder_bury(&f->holder);
		lab_down(&f->lab);
		snprintf(path, sizeof path, "%s/sysctl.journal", f->state_dir);
		unlink(path);
		rmdir(f->state_dir);
	}
	free(f);
	return 0;
}

static void
on_look(struct loop *loop, void *arg)
{
	struct fixture *f = arg;
	struct flow_usage usage;
	if (flow_table_usage(f->table, SESSION, &usage) < 0 ||
	    usage.bytes_up != f->wanted.bytes_up || usage.bytes_down != f->wanted.bytes_down ||
	    usage.live != f->wanted.live)
		return;
	f->is_reached = true;
	loop_stop(loop);
}

/* Runs the loop until the session's usage is exactly this. */
static void
expect_usage(struct fixture *f, uint64_t up, uint64_t down, uint32_t live)
{
	struct flow_usage usage;
	memset(&f->wanted, 0, sizeof f->wanted);
	f->wanted.bytes_up = up;
	f->wanted.bytes_down = down;
	f->wanted.live = live;
	f->is_reached = false;
	assert_int_equal(loop_timer_start(f->loop, 0, 10, on_look, f, &f->look), 0);
	loop_run(f->loop);
	loop_timer_stop(&f->look);
	if (f->is_reached)
		return;
	assert_int_equal(flow_table_usage(f->table, SESSION, &usage), 0);
	fail_msg("usage is %llu up, %llu down, %u live", (unsigned long long)usage.bytes_up,
		 (unsigned long long)usage.bytes_down, usage.live);
}

/* A question and its answer through the NAT. */
static void
exchange(struct fixture *f, int client, const char *to, const char *question, const char *answer)
{
	struct sockaddr_in6 from;
	char text[64], address[INET6_ADDRSTRLEN];
	lab_send(client, to, LAB_PORT, question);
	assert_true(lab_receive(f->inet, text, sizeof text, &from));
	inet_ntop(AF_INET6, &from.sin6_addr, address, sizeof address);
	lab_send(f->inet, address, ntohs(from.sin6_port), answer);
	assert_true(lab_receive(client, text, sizeof text, NULL));
	assert_string_equal(text, answer);
}

static void
test_bytes_of_a_live_flow_are_exact(void **state)
{
	struct fixture *f = *state;
	if (!f->state_dir[0])
		skip();
	exchange(f, f->client, "198.51.100.80", "four", "sixsix");
	expect_usage(f, HEADERS4 + 4, HEADERS4 + 6, 1);
	exchange(f, f->client, "198.51.100.80", "four", "sixsix");
	expect_usage(f, 2 * (HEADERS4 + 4), 2 * (HEADERS4 + 6), 1);
	assert_true(f->dumps > 0);
}

static void
test_ipv6_flow_counts_for_the_same_session(void **state)
{
	struct fixture *f = *state;
	if (!f->state_dir[0])
		skip();
	exchange(f, f->client, "198.51.100.80", "four", "sixsix");
	exchange(f, f->client6, "2001:db8:80::80", "five!", "seven!!");
	expect_usage(f, HEADERS4 + 4 + HEADERS6 + 5, HEADERS4 + 6 + HEADERS6 + 7, 2);
}

/* The event brings the last figures, whether a dump saw the flow or not. */
static void
test_flow_that_ended_still_counts(void **state)
{
	struct fixture *f = *state;
	if (!f->state_dir[0])
		skip();
	lab_run(f->lab.node, "echo 1 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout");
	lab_run(f->lab.node, "echo 1 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream");
	exchange(f, f->client, "198.51.100.80", "four", "sixsix");
	expect_usage(f, HEADERS4 + 4, HEADERS4 + 6, 0);
}

static bool
remember_reply(const struct flow_seen *flow, void *arg)
{
	*(struct flow_tuple *)arg = flow->reply;
	return false;
}

static void
test_a_flow_is_known_by_what_the_internet_sees_of_it(void **state)
{
	struct fixture *f = *state;
	struct flow_tuple reply;
	char text[INET6_ADDRSTRLEN];
	if (!f->state_dir[0])
		skip();
	exchange(f, f->client, "198.51.100.80", "four", "sixsix");
	expect_usage(f, HEADERS4 + 4, HEADERS4 + 6, 1);
	flow_table_each(f->table, SESSION, remember_reply, &reply);
	inet_ntop(AF_INET6, &reply.source, text, sizeof text);
	assert_string_equal(text, "::ffff:198.51.100.80");
	inet_ntop(AF_INET6, &reply.destination, text, sizeof text);
	assert_string_equal(text, "::ffff:192.168.1.10");
	assert_int_equal(reply.source_port, LAB_PORT);
	assert_in_range(reply.destination_port, 32768, 60999);
}

/* So that the next session with this address gets none of its answers. */
static void
test_flows_of_a_session_can_be_cut(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in6 from;
	char text[64];
	if (!f->state_dir[0])
		skip();
	lab_send(f->client, "198.51.100.80", LAB_PORT, "four");
	assert_true(lab_receive(f->inet, text, sizeof text, &from));
	expect_usage(f, HEADERS4 + 4, 0, 1);
	flow_events_cut(f->events, SESSION);
	expect_usage(f, HEADERS4 + 4, 0, 0);
	lab_send(f->inet, "192.168.1.10", ntohs(from.sin6_port), "late");
	exchange(f, f->client, "198.51.100.80", "control", "control");
	assert_true(lab_is_silent(f->client));
}

#define FLOW_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_bytes_of_a_live_flow_are_exact),
		FLOW_TEST(test_ipv6_flow_counts_for_the_same_session),
		FLOW_TEST(test_flow_that_ended_still_counts),
		FLOW_TEST(test_a_flow_is_known_by_what_the_internet_sees_of_it),
		FLOW_TEST(test_flows_of_a_session_can_be_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
