/*
 * gateway_limits on a Redis of the program's own: two gateways share a limit, and a Redis that is
 * slow or away holds nobody up (R89, F16).
 */
#include "gateway/gateway_limits.h"
#include "loop/clock.h"
#include "net/address.h"

#include "../../servers/servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { BURST = 10, WAIT_MS = 20 * 1000, TICK_MS = 1, OWN_ENTRIES = 1024 };

static struct servers servers;
static char url[SERVERS_URL_BYTES];

/* Two gateways on one loop. */
static struct loop *loop;
static struct gateway_limits one, two;
static unsigned next_address;

static int
open_limits(struct gateway_limits *limits, const char *shared_url)
{
	*limits = (struct gateway_limits){ .per_address = { [RATE_GENERAL] = BURST } };
	int r = cache_open("memory:", OWN_ENTRIES, &limits->cache);
	return r < 0 ? r : limits_shared_new(loop, limits->cache, shared_url, &limits->shared);
}

static void
close_limits(struct gateway_limits *limits)
{
	limits_shared_free(&limits->shared);
	cache_close(&limits->cache);
}

static int
setup(void **state)
{
	(void)state;
	return loop_new(&loop) < 0 || open_limits(&one, url) < 0 || open_limits(&two, url) < 0 ? -1
											       : 0;
}

static int
teardown(void **state)
{
	(void)state;
	close_limits(&one);
	close_limits(&two);
	loop_free(&loop);
	return 0;
}

static struct in6_addr
fresh_address(void)
{
	struct in6_addr parsed;
	char text[INET6_ADDRSTRLEN];
	snprintf(text, sizeof(text), "198.18.%u.%u", next_address / 256, next_address % 256);
	next_address++;
	assert_int_equal(address_parse(text, &parsed), 0);
	return parsed;
}

static uint32_t
take(struct gateway_limits *limits, const struct in6_addr *from)
{
	return gateway_limits_take_address(limits, RATE_GENERAL, from, clock_monotonic_ms());
}

static unsigned
take_all(struct gateway_limits *limits, const struct in6_addr *from)
{
	unsigned n = 0;
	while (n <= BURST && take(limits, from) == 0)
		n++;
	return n;
}

struct waiting {
	const struct limits_shared *shared;
	unsigned ticks;
};

static void
on_tick(struct loop *of, void *arg)
{
	struct waiting *waiting = arg;
	waiting->ticks++;
	if (limits_shared_is_settled(waiting->shared) || waiting->ticks > WAIT_MS / TICK_MS)
		loop_stop(of);
}

/* Runs the loop until the cache was told: how often it went on meanwhile. */
static unsigned
settle(const struct gateway_limits *limits)
{
	struct waiting waiting = { .shared = limits->shared };
	struct loop_timer *timer = NULL;
	assert_int_equal(loop_timer_start(loop, TICK_MS, TICK_MS, on_tick, &waiting, &timer), 0);
	assert_int_equal(loop_run(loop), 0);
	loop_timer_stop(&timer);
	assert_true(limits_shared_is_settled(limits->shared));
	return waiting.ticks;
}

static void
test_R89_what_one_gateway_let_through_the_other_has_less_of(void **state)
{
	(void)state;
	struct in6_addr from = fresh_address();
	for (int i = 0; i < BURST - 1; i++)
		assert_int_equal(take(&one, &from), 0);
	settle(&one);
	/* The other cannot know before it has told of one itself; then both are at the end. */
	assert_int_equal(take(&two, &from), 0);
	settle(&two);
	assert_true(take(&two, &from) > 0);
	assert_int_equal(take(&one, &from), 0);
	settle(&one);
	/* That one was too much: it is owed, and costs both a token's time more. */
	uint32_t token_sec = 60 / BURST, wait_sec = take(&one, &from);
	assert_in_range(wait_sec, token_sec + 1, 2 * token_sec);
	struct in6_addr other = fresh_address();
	assert_int_equal(take(&two, &other), 0);
}

/* Whatever comes at once, before anything could be told, is bounded by each one's own burst. */
static void
test_what_came_meanwhile_is_owed(void **state)
{
	(void)state;
	struct in6_addr from = fresh_address();
	assert_int_equal(take_all(&one, &from), BURST);
	assert_int_equal(take_all(&two, &from), BURST);
	settle(&one);
	settle(&two);
	/* By whoever was told last: a whole burst, and the token that it wants now. */
	uint32_t first_sec = take(&one, &from), second_sec = take(&two, &from);
	assert_true(first_sec > 0 && second_sec > 0);
	assert_in_range(first_sec > second_sec ? first_sec : second_sec, 60, 66);
}

static void
test_many_addresses_at_once_are_each_told_for_themselves(void **state)
{
	(void)state;
	enum { ADDRESSES = 500 };
	struct in6_addr from[ADDRESSES];
	for (int i = 0; i < ADDRESSES; i++) {
		from[i] = fresh_address();
		for (int n = 0; n < BURST; n++)
			assert_int_equal(take(&one, &from[i]), 0);
	}
	settle(&one);
	for (int i = 0; i < ADDRESSES; i++)
		assert_int_equal(take(&two, &from[i]), 0);
	settle(&two);
	for (int i = 0; i < ADDRESSES; i++)
		assert_true(take(&two, &from[i]) > 0);
}

/* Do the two share what a new address takes? */
static bool
is_shared(void)
{
	struct in6_addr from = fresh_address();
	assert_int_equal(take_all(&one, &from), BURST);
	settle(&one);
	assert_int_equal(take(&two, &from), 0);
	settle(&two);
	return take(&two, &from) > 0;
}

static void
await_shared(void)
{
	int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
	while (!is_shared())
		assert_true(clock_monotonic_ms() < deadline_ms);
}

/* The loop goes on while the side thread waits; the limit is kept by each for itself. */
static void
test_F16_a_redis_that_hangs_holds_nobody_up(void **state)
{
	(void)state;
	struct in6_addr before = fresh_address(), from = fresh_address();
	assert_int_equal(take(&one, &before), 0); /* connected */
	settle(&one);
	servers_redis_stop(&servers, true);
	assert_int_equal(take_all(&one, &from), BURST);
	assert_int_equal(take_all(&two, &from), BURST);
	assert_true(settle(&one) > 1);
	assert_true(take(&one, &from) > 0);
	assert_int_equal(take_all(&one, &before), BURST - 1);
	servers_redis_stop(&servers, false);
	await_shared();
}

static void
test_F16_a_redis_that_was_killed_is_found_again(void **state)
{
	(void)state;
	struct in6_addr from = fresh_address();
	servers_redis_kill(&servers);
	assert_int_equal(take_all(&one, &from), BURST);
	settle(&one);
	assert_true(take(&one, &from) > 0);
	assert_int_equal(take_all(&two, &from), BURST);
	assert_int_equal(servers_redis_start(&servers), 0);
	await_shared();
}

/* The end does not wait for more than the call that is under way, and leaves nothing behind. */
static void
test_a_gateway_ends_while_redis_hangs(void **state)
{
	(void)state;
	struct in6_addr from = fresh_address();
	servers_redis_stop(&servers, true);
	assert_int_equal(take(&one, &from), 0);
	close_limits(&one);
	servers_redis_stop(&servers, false);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_R89_what_one_gateway_let_through_the_other_has_less_of),
		TEST(test_what_came_meanwhile_is_owed),
		TEST(test_many_addresses_at_once_are_each_told_for_themselves),
		TEST(test_F16_a_redis_that_hangs_holds_nobody_up),
		TEST(test_F16_a_redis_that_was_killed_is_found_again),
		TEST(test_a_gateway_ends_while_redis_hangs),
	};
	int result = servers_begin(&servers, SERVERS_REDIS);
	if (result != 0)
		return result;
	servers_redis_url(&servers, url);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	servers_fini(&servers);
	return result;
}
