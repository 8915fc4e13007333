/*
 * What sessions used, from conntrack's events and dumps in every order that they can come in. F39:
 * events that were lost cost no bytes.
 */
#include "forwarder/flow_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SESSION "11111111-1111-4111-8111-111111111111"
#define OTHER	"22222222-2222-4222-8222-222222222222"

enum { MTU = 1280 };

static struct flow_table *table;
static struct in6_addr none;

static struct in6_addr
address(const char *text)
{
	struct in6_addr parsed;
	assert_int_equal(inet_pton(AF_INET6, text, &parsed), 1);
	return parsed;
}

static int
setup(void **state)
{
	(void)state;
	struct in6_addr a4 = address("::ffff:10.90.0.2"), a6 = address("fd48::2");
	struct in6_addr b4 = address("::ffff:10.90.0.3");
	return flow_table_new(MTU, 1, &table) < 0 ||
			       flow_table_session_add(table, SESSION, &a4, &a6) < 0 ||
			       flow_table_session_add(table, OTHER, &b4, &none) < 0
		       ? -1
		       : 0;
}

static int
teardown(void **state)
{
	(void)state;
	flow_table_free(&table);
	return 0;
}

/* UDP, so that bytes stand for themselves. */
static struct flow_seen
flow(uint32_t id, uint64_t up, uint64_t down)
{
	struct flow_seen seen;
	memset(&seen, 0, sizeof seen);
	seen.id = id;
	seen.client = address("::ffff:10.90.0.2");
	seen.reply.source = address("::ffff:198.51.100.80");
	seen.reply.destination = address("::ffff:192.168.1.10");
	seen.reply.source_port = 443;
	seen.reply.destination_port = (uint16_t)(33000 + id);
	seen.reply.protocol = IPPROTO_UDP;
	seen.bytes_up = up;
	seen.bytes_down = down;
	seen.packets_up = seen.packets_down = 1;
	return seen;
}

static void
see(uint32_t id, uint64_t up, uint64_t down, bool from_dump)
{
	struct flow_seen seen = flow(id, up, down);
	flow_table_see(table, &seen, from_dump);
}

static void
end(uint32_t id, uint64_t up, uint64_t down)
{
	struct flow_seen seen = flow(id, up, down);
	flow_table_end(table, &seen);
}

static void
assert_usage(const char *session, uint64_t up, uint64_t down, uint32_t live)
{
	struct flow_usage usage;
	assert_int_equal(flow_table_usage(table, session, &usage), 0);
	assert_int_equal(usage.bytes_up, up);
	assert_int_equal(usage.bytes_down, down);
	assert_int_equal(usage.live, live);
}

static void
test_usage_is_live_and_ended_flows_together(void **state)
{
	(void)state;
	see(1, 0, 0, false);
	see(2, 0, 0, false);
	flow_table_dump_begin(table);
	see(1, 100, 1000, true);
	see(2, 10, 20, true);
	flow_table_dump_end(table);
	assert_usage(SESSION, 110, 1020, 2);
	end(1, 150, 1500);
	assert_usage(SESSION, 160, 1520, 1);
	assert_usage(OTHER, 0, 0, 0);
}

static void
test_flow_of_no_session_is_passed_over(void **state)
{
	(void)state;
	struct flow_seen seen = flow(1, 5, 5);
	seen.client = address("::ffff:10.90.0.77");
	flow_table_see(table, &seen, false);
	flow_table_end(table, &seen);
	assert_usage(SESSION, 0, 0, 0);
}

static void
test_both_address_families_belong_to_the_session(void **state)
{
	(void)state;
	struct flow_seen seen = flow(1, 7, 9);
	seen.client = address("fd48::2");
	seen.is_ipv6 = true;
	flow_table_see(table, &seen, false);
	assert_usage(SESSION, 7, 9, 1);
}

/* A dump that was under way when the flow ended still shows it. */
static void
test_dump_does_not_revive_a_flow_that_ended_meanwhile(void **state)
{
	(void)state;
	see(1, 0, 0, false);
	flow_table_dump_begin(table);
	end(1, 100, 100);
	see(1, 90, 90, true);
	flow_table_dump_end(table);
	assert_usage(SESSION, 100, 100, 0);
	flow_table_dump_begin(table);
	flow_table_dump_end(table);
	flow_table_dump_begin(table);
	flow_table_dump_end(table);
	assert_usage(SESSION, 100, 100, 0);
}

static void
test_flow_whose_start_was_never_heard_counts(void **state)
{
	(void)state;
	flow_table_dump_begin(table);
	end(1, 100, 50);
	see(1, 80, 40, true);
	flow_table_dump_end(table);
	assert_usage(SESSION, 100, 50, 0);
}

static void
test_flow_whose_end_was_never_heard_ends_after_two_dumps(void **state)
{
	(void)state;
	see(1, 0, 0, false);
	flow_table_dump_begin(table);
	see(1, 100, 100, true);
	flow_table_dump_end(table);
	flow_table_dump_begin(table);
	flow_table_dump_end(table);
	assert_usage(SESSION, 100, 100, 1);
	/* Its event may only have been slow. */
	flow_table_dump_begin(table);
	flow_table_dump_end(table);
	assert_usage(SESSION, 100, 100, 0);
	end(1, 120, 130);
	assert_usage(SESSION, 100, 100, 0);
}

static void
test_id_that_the_kernel_gave_again_is_a_new_flow(void **state)
{
	(void)state;
	see(1, 0, 0, false);
	end(1, 100, 100);
	see(1, 0, 0, false);
	end(1, 5, 6);
	assert_usage(SESSION, 105, 106, 0);
}

/* The same five-tuple at once again, under another id. */
static void
test_reply_tuple_that_comes_again_is_the_new_flow(void **state)
{
	(void)state;
	struct flow_seen again = flow(1, 0, 0);
	see(1, 0, 0, false);
	end(1, 100, 100);
	again.id = 9;
	flow_table_see(table, &again, false);
	assert_usage(SESSION, 100, 100, 1);
}

static void
test_late_message_with_older_figures_changes_nothing(void **state)
{
	(void)state;
	see(1, 100, 100, true);
	see(1, 50, 50, true);
	assert_usage(SESSION, 100, 100, 1);
}

static void
test_session_that_is_gone_takes_its_flows_along(void **state)
{
	(void)state;
	struct flow_seen seen = flow(1, 1, 1);
	struct flow_usage usage;
	flow_table_see(table, &seen, false);
	flow_table_session_remove(table, SESSION);
	assert_int_equal(flow_table_usage(table, SESSION, &usage), -ENOENT);
	flow_table_end(table, &seen);
	assert_int_equal(flow_table_session_count(table), 1);
}

static void
test_address_belongs_to_one_session_only(void **state)
{
	(void)state;
	struct in6_addr taken = address("::ffff:10.90.0.2");
	assert_int_equal(flow_table_session_add(table, "33333333-3333-4333-8333-333333333333",
						&taken, &none),
			 -EEXIST);
	assert_int_equal(flow_table_session_add(table, SESSION, &none, &none), -EEXIST);
	assert_int_equal(flow_table_session_count(table), 2);
}

/* 100 segments of 1280 bytes that the kernel joined into ten: conntrack counts ten headers. */
static void
test_headers_of_joined_segments_are_put_back(void **state)
{
	(void)state;
	struct flow_seen seen = flow(1, 0, 0);
	seen.reply.protocol = IPPROTO_TCP;
	seen.packets_down = 10;
	seen.bytes_down = 100 * (MTU - 52) + 10 * 52;
	seen.packets_up = 50;
	seen.bytes_up = 50 * 52;
	flow_table_see(table, &seen, false);
	assert_usage(SESSION, 50 * 52, 100 * MTU, 1);
}

static bool
collect(const struct flow_seen *seen, void *arg)
{
	uint32_t *sum = arg;
	*sum += seen->id;
	return *sum < 100;
}

static void
test_live_flows_are_listed_until_told_to_stop(void **state)
{
	(void)state;
	uint32_t sum = 0;
	see(1, 0, 0, false);
	see(2, 0, 0, false);
	see(4, 0, 0, false);
	end(2, 0, 0);
	flow_table_each(table, SESSION, collect, &sum);
	assert_int_equal(sum, 5);
	sum = 99;
	flow_table_each(table, SESSION, collect, &sum);
	assert_int_equal(sum, 103);
}

static void
test_table_is_bounded_and_counts_what_it_cannot_hold(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < FLOWS_MAX; i++) {
		struct flow_seen seen = flow(i, 0, 0);
		seen.reply.source_port = (uint16_t)(i >> 8);
		seen.reply.destination_port = (uint16_t)i;
		flow_table_see(table, &seen, false);
	}
	struct flow_seen late = flow(FLOWS_MAX, 70, 80);
	late.reply.protocol = 132;
	flow_table_see(table, &late, false);
	assert_usage(SESSION, 0, 0, FLOWS_MAX);
	flow_table_end(table, &late);
	assert_usage(SESSION, 70, 80, FLOWS_MAX);
}

#define FLOW_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_usage_is_live_and_ended_flows_together),
		FLOW_TEST(test_flow_of_no_session_is_passed_over),
		FLOW_TEST(test_both_address_families_belong_to_the_session),
		FLOW_TEST(test_dump_does_not_revive_a_flow_that_ended_meanwhile),
		FLOW_TEST(test_flow_whose_start_was_never_heard_counts),
		FLOW_TEST(test_flow_whose_end_was_never_heard_ends_after_two_dumps),
		FLOW_TEST(test_id_that_the_kernel_gave_again_is_a_new_flow),
		FLOW_TEST(test_reply_tuple_that_comes_again_is_the_new_flow),
		FLOW_TEST(test_late_message_with_older_figures_changes_nothing),
		FLOW_TEST(test_session_that_is_gone_takes_its_flows_along),
		FLOW_TEST(test_address_belongs_to_one_session_only),
		FLOW_TEST(test_headers_of_joined_segments_are_put_back),
		FLOW_TEST(test_live_flows_are_listed_until_told_to_stop),
		FLOW_TEST(test_table_is_bounded_and_counts_what_it_cannot_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
