/*
 * Which loopback address is which channel's. T17: what is late or guessed reaches its own session
 * or nobody.
 */
#include "forwarder/channel_map.h"

#include "identity/key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SESSION_A "11111111-1111-4111-8111-111111111111"
#define SESSION_B "22222222-2222-4222-8222-222222222222"

static struct channel_map *map;

static int
setup(void **state)
{
	(void)state;
	return channel_map_new(0, &map);
}

static int
teardown(void **state)
{
	(void)state;
	channel_map_free(&map);
	return 0;
}

static void
test_each_channel_has_an_address_of_its_own(void **state)
{
	(void)state;
	assert_int_equal(channel_map_open(map, 1, SESSION_A), 0);
	assert_int_equal(channel_map_open(map, 2, SESSION_B), 0);
	struct in_addr a = channel_map_address(map, 1), b = channel_map_address(map, 2);
	assert_int_not_equal(a.s_addr, b.s_addr);
	assert_int_equal(ntohl(a.s_addr) >> 24, 127);
	assert_int_equal(channel_map_channel(map, a), 1);
	assert_int_equal(channel_map_channel(map, b), 2);
	assert_int_equal(channel_map_count(map), 2);
}

static void
test_addresses_of_the_system_and_the_last_are_never_given(void **state)
{
	(void)state;
	struct channel_map *near_the_end;
	/* 127.1.0.0 to 127.255.255.254 are 0xfeffff addresses; begin at the last of them. */
	assert_int_equal(channel_map_new(0xfefffe, &near_the_end), 0);
	assert_int_equal(channel_map_open(near_the_end, 1, NULL), 0);
	assert_int_equal(channel_map_open(near_the_end, 2, NULL), 0);
	assert_int_equal(ntohl(channel_map_address(near_the_end, 1).s_addr), 0x7ffffffe);
	assert_int_equal(ntohl(channel_map_address(near_the_end, 2).s_addr), 0x7f010000);
	channel_map_free(&near_the_end);
}

static void
test_address_that_was_given_up_rests(void **state)
{
	(void)state;
	assert_int_equal(channel_map_open(map, 1, NULL), 0);
	struct in_addr first = channel_map_address(map, 1);
	for (int i = 0; i < 1000; i++) {
		channel_map_close(map, 1);
		assert_int_equal(channel_map_channel(map, first), 0);
		assert_int_equal(channel_map_open(map, 1, NULL), 0);
		assert_int_not_equal(channel_map_address(map, 1).s_addr, first.s_addr);
	}
}

/* The same number on the next leg is another channel. */
static void
test_channel_of_a_new_leg_gets_a_new_address(void **state)
{
	(void)state;
	assert_int_equal(channel_map_open(map, 7, SESSION_A), 0);
	struct in_addr before = channel_map_address(map, 7);
	channel_map_close_all(map);
	assert_int_equal(channel_map_count(map), 0);
	assert_int_equal(channel_map_address(map, 7).s_addr, 0);
	assert_int_equal(channel_map_open(map, 7, SESSION_B), 0);
	assert_int_not_equal(channel_map_address(map, 7).s_addr, before.s_addr);
	assert_int_equal(channel_map_channel(map, before), 0);
}

/* WireGuard goes on to the old address until the client speaks: it reaches the session's newest. */
static void
test_old_address_reaches_the_same_session_on_a_new_leg(void **state)
{
	(void)state;
	assert_int_equal(channel_map_open(map, 7, SESSION_A), 0);
	struct in_addr before = channel_map_address(map, 7);
	channel_map_close_all(map);
	assert_int_equal(channel_map_channel(map, before), 0);
	assert_int_equal(channel_map_open(map, 3, SESSION_B), 0);
	assert_int_equal(channel_map_channel(map, before), 0);
	assert_int_equal(channel_map_open(map, 4, SESSION_A), 0);
	assert_int_equal(channel_map_channel(map, before), 4);
	assert_int_equal(channel_map_open(map, 5, SESSION_A), 0);
	assert_int_equal(channel_map_channel(map, before), 5);
	channel_map_close(map, 5);
	assert_int_equal(channel_map_channel(map, before), 4);
}

static void
test_open_channel_keeps_its_own_address_when_a_newer_one_comes(void **state)
{
	(void)state;
	assert_int_equal(channel_map_open(map, 1, SESSION_A), 0);
	assert_int_equal(channel_map_open(map, 2, SESSION_A), 0);
	assert_int_equal(channel_map_channel(map, channel_map_address(map, 1)), 1);
}

static void
test_nothing_reaches_a_session_that_is_over(void **state)
{
	(void)state;
	assert_int_equal(channel_map_open(map, 1, SESSION_A), 0);
	struct in_addr closed = channel_map_address(map, 1);
	channel_map_close(map, 1);
	assert_int_equal(channel_map_open(map, 2, SESSION_A), 0);
	struct in_addr open = channel_map_address(map, 2);
	assert_int_equal(channel_map_session_channel(map, SESSION_A), 2);
	channel_map_session_end(map, SESSION_A);
	assert_int_equal(channel_map_channel(map, closed), 0);
	assert_int_equal(channel_map_channel(map, open), 0);
	assert_int_equal(channel_map_count(map), 0);
	assert_int_equal(channel_map_session_channel(map, SESSION_A), 0);
}

static void
test_old_addresses_of_a_session_are_bounded(void **state)
{
	(void)state;
	struct in_addr first = { 0 };
	for (uint32_t i = 1; i <= 6; i++) {
		assert_int_equal(channel_map_open(map, i, SESSION_A), 0);
		if (i == 1)
			first = channel_map_address(map, 1);
		channel_map_close(map, i);
	}
	assert_int_equal(channel_map_open(map, 9, SESSION_A), 0);
	assert_int_equal(channel_map_channel(map, first), 0);
}

static void
test_channels_are_bounded_and_zero_is_none(void **state)
{
	(void)state;
	assert_int_equal(channel_map_open(map, 0, NULL), -EINVAL);
	for (uint32_t i = 1; i <= CHANNELS_MAX; i++)
		assert_int_equal(channel_map_open(map, i, NULL), 0);
	assert_int_equal(channel_map_open(map, CHANNELS_MAX + 1, NULL), -ENOSPC);
	/* One that is there may be opened again. */
	assert_int_equal(channel_map_open(map, 5, NULL), 0);
}

static void
test_session_id_that_is_too_long_is_refused(void **state)
{
	(void)state;
	assert_int_equal(channel_map_open(map, 1, SESSION_A "-and-more"), -EINVAL);
	assert_int_equal(channel_map_count(map), 0);
}

static void
test_a_channel_of_nobody_becomes_a_sessions_and_keeps_its_address(void **state)
{
	(void)state;
	assert_int_equal(channel_map_bind(map, 7, SESSION_A), -ENOENT);
	assert_int_equal(channel_map_open(map, 1, SESSION_A), 0);
	assert_int_equal(channel_map_open(map, 7, NULL), 0);
	struct in_addr older = channel_map_address(map, 1), own = channel_map_address(map, 7);
	assert_int_equal(channel_map_session_channel(map, SESSION_A), 1);
	assert_int_equal(channel_map_bind(map, 7, SESSION_A), 0);
	assert_int_equal(channel_map_address(map, 7).s_addr, own.s_addr);
	assert_int_equal(channel_map_session_channel(map, SESSION_A), 7);
	/* What is late for the older one comes by way of it. */
	channel_map_close(map, 1);
	assert_int_equal(channel_map_channel(map, older), 7);
	/* Its client may turn out to be another's. */
	assert_int_equal(channel_map_bind(map, 7, SESSION_B), 0);
	assert_int_equal(channel_map_session_channel(map, SESSION_A), 0);
	assert_int_equal(channel_map_channel(map, older), 0);
	channel_map_session_end(map, SESSION_B);
	assert_int_equal(channel_map_count(map), 0);
}

/* T19: a relay that makes sessions up, of which none ever ends, costs a node no memory. */
static void
test_t19_sessions_that_a_relay_makes_up_are_forgotten(void **state)
{
	(void)state;
	enum { MADE_UP = 8 * CHANNELS_MAX, KEPT_MAX = 4 * CHANNELS_MAX };
	static struct in_addr closed[MADE_UP];
	char id[UUID_TEXT_BYTES];
	size_t kept = 0;
	assert_int_equal(channel_map_open(map, 2, SESSION_A), 0);
	for (unsigned i = 0; i < MADE_UP; i++) {
		snprintf(id, sizeof id, "%08x-1111-4111-8111-111111111111", i);
		assert_int_equal(channel_map_open(map, 1, id), 0);
		closed[i] = channel_map_address(map, 1);
		channel_map_close(map, 1);
	}
	for (unsigned i = 0; i < MADE_UP; i++) {
		snprintf(id, sizeof id, "%08x-1111-4111-8111-111111111111", i);
		assert_int_equal(channel_map_open(map, 1, id), 0);
		kept += channel_map_channel(map, closed[i]) == 1;
		channel_map_session_end(map, id);
	}
	assert_true(kept > 0 && kept <= KEPT_MAX);
	/* What is open is never forgotten. */
	assert_int_equal(channel_map_session_channel(map, SESSION_A), 2);
}

static void
test_a_channel_is_bound_to_a_session_or_to_nobody(void **state)
{
	(void)state;
	const char *long_id = SESSION_A SESSION_A;
	assert_int_equal(channel_map_open(map, 3, SESSION_A), 0);
	assert_int_equal(channel_map_bind(map, 3, long_id), -EINVAL);
	assert_int_equal(channel_map_session_channel(map, SESSION_A), 3);
	assert_int_equal(channel_map_bind(map, 3, ""), 0);
	assert_int_equal(channel_map_session_channel(map, SESSION_A), 0);
	assert_int_equal(channel_map_session_channel(map, ""), 0);
	assert_int_equal(channel_map_count(map), 1);
}

#define MAP_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MAP_TEST(test_a_channel_of_nobody_becomes_a_sessions_and_keeps_its_address),
		MAP_TEST(test_each_channel_has_an_address_of_its_own),
		MAP_TEST(test_addresses_of_the_system_and_the_last_are_never_given),
		MAP_TEST(test_address_that_was_given_up_rests),
		MAP_TEST(test_channel_of_a_new_leg_gets_a_new_address),
		MAP_TEST(test_old_address_reaches_the_same_session_on_a_new_leg),
		MAP_TEST(test_open_channel_keeps_its_own_address_when_a_newer_one_comes),
		MAP_TEST(test_nothing_reaches_a_session_that_is_over),
		MAP_TEST(test_old_addresses_of_a_session_are_bounded),
		MAP_TEST(test_channels_are_bounded_and_zero_is_none),
		MAP_TEST(test_session_id_that_is_too_long_is_refused),
		MAP_TEST(test_t19_sessions_that_a_relay_makes_up_are_forgotten),
		MAP_TEST(test_a_channel_is_bound_to_a_session_or_to_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
