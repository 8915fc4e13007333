/*
 * The cases that hold for every cache, on memory and on a Redis of the program's own (first
 * argument: `memory` or `redis`). Redis has a clock of its own, so what must pass in time is waited
 * for, and nothing here is late when the machine is slow.
 */
#include "cache/cache.h"
#include "loop/clock.h"

#include "../../servers/servers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ENTRIES_MAX = 64, LONG_MS = 600 * 1000, SHORT_MS = 30, WAIT_MS = 20 * 1000 };

static struct servers servers;
static char url[SERVERS_URL_BYTES] = "memory:";
static bool is_redis;
static struct cache *cache;
static int64_t now_ms = 1000;
static unsigned tests_run;

static int
setup(void **state)
{
	char own[SERVERS_URL_BYTES + 32];

	(void)state;
	if (!is_redis)
		return cache_open(url, ENTRIES_MAX, &cache);
	snprintf(own, sizeof(own), "%s?prefix=t%u:", url, tests_run++);
	return cache_open(own, ENTRIES_MAX, &cache);
}

static int
teardown(void **state)
{
	(void)state;
	cache_close(&cache);
	return 0;
}

/* Lets time pass until the call says so. */
static void
wait_for(int64_t (*call)(const char *key), const char *key, int64_t wanted)
{
	int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;

	while (call(key) != wanted) {
		assert_true(clock_monotonic_ms() < deadline_ms);
		now_ms++;
	}
}

static int64_t
first_for_long(const char *key)
{
	return cache_first(cache, key, LONG_MS, now_ms);
}

static int64_t
take_fast(const char *key)
{
	return cache_take(cache, key, 6000, 2, now_ms);
}

static void
test_cache_that_is_there_says_so_and_nothing_is_changed_by_it(void **state)
{
	(void)state;
	assert_int_equal(cache_probe(cache), 0);
	assert_int_equal(first_for_long(""), 1);
	assert_int_equal(cache_take(cache, "", 1, 1, now_ms), 0);
	assert_int_equal(cache_probe(cache), 0);
	assert_int_equal(first_for_long(""), 0);
	assert_true(cache_take(cache, "", 1, 1, now_ms) > 0);
}

/* Each is one of its own, to its last byte, and neither is followed by another's answer. */
static void
test_any_text_is_a_key(void **state)
{
	char long_key[CACHE_KEY_MAX_BYTES + 1], like_it[CACHE_KEY_MAX_BYTES + 1];
	const char *const keys[] = { "", "a", "a b\r\nSET x 1\r\n", "x", long_key, like_it };
	size_t n = sizeof(keys) / sizeof(*keys);

	(void)state;
	memset(long_key, 'k', sizeof(long_key) - 1);
	long_key[sizeof(long_key) - 1] = '\0';
	memcpy(like_it, long_key, sizeof(long_key));
	like_it[sizeof(like_it) - 2] = 'l';
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(first_for_long(keys[i]), 1);
		assert_int_equal(cache_take(cache, keys[i], 1, 1, now_ms), 0);
	}
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(first_for_long(keys[i]), 0);
		assert_in_range(cache_take(cache, keys[i], 1, 1, now_ms), 2, 60 * 1000);
	}
}

static void
test_mark_and_bucket_of_one_key_do_not_meet(void **state)
{
	(void)state;
	assert_int_equal(first_for_long("a"), 1);
	assert_int_equal(cache_take(cache, "a", 1, 1, now_ms), 0);
	assert_int_equal(cache_take(cache, "b", 1, 1, now_ms), 0);
	assert_int_equal(first_for_long("b"), 1);
	assert_int_equal(first_for_long("a"), 0);
	assert_true(cache_take(cache, "b", 1, 1, now_ms) > 0);
}

static void
test_only_the_first_is_first_until_its_time_is_over(void **state)
{
	(void)state;
	assert_int_equal(first_for_long("long"), 1);
	assert_int_equal(first_for_long("long"), 0);
	assert_int_equal(cache_first(cache, "long", SHORT_MS, now_ms), 0); /* nor shortens it */
	assert_int_equal(first_for_long("other"), 1);
	assert_int_equal(cache_first(cache, "short", SHORT_MS, now_ms), 1);
	wait_for(first_for_long, "short", 1);
	assert_int_equal(first_for_long("short"), 0);
	assert_int_equal(first_for_long("long"), 0);
}

static void
test_bucket_gives_its_burst_and_then_says_how_long_to_wait(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(cache_take(cache, "b", 1, 5, now_ms) == 0);
	for (int i = 0; i < 3; i++)
		assert_in_range(cache_take(cache, "b", 1, 5, now_ms), 1, 60 * 1000);
	assert_true(cache_take(cache, "other", 1, 5, now_ms) == 0);
}

static void
test_bucket_refills_but_not_beyond_its_burst(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		wait_for(take_fast, "b", 0);
	/* a bucket of a slower rate under the same name starts from what is there, at most full */
	for (int i = 0; i < 2; i++)
		(void)cache_take(cache, "b", 1, 2, now_ms);
	assert_true(cache_take(cache, "b", 1, 2, now_ms) > 0);
}

static void
test_largest_rates_and_bursts_are_counted_right(void **state)
{
	(void)state;
	assert_true(cache_take(cache, "b", UINT32_MAX, UINT32_MAX, now_ms) == 0);
	assert_true(cache_take(cache, "c", 1, UINT32_MAX, now_ms) == 0);
	assert_true(cache_take(cache, "c", 1, UINT32_MAX, now_ms) == 0);
	assert_true(cache_take(cache, "d", 0, 5, now_ms) > 0);
	assert_true(cache_take(cache, "d", 5, 0, now_ms) > 0);
}

static int64_t
charge(const char *key, uint32_t count)
{
	int64_t left = INT64_MIN;

	assert_int_equal(cache_charge(cache, key, 1, 5, count, now_ms, &left), 0);
	return left;
}

static void
test_bucket_is_told_of_what_was_let_through_elsewhere(void **state)
{
	int64_t left = 7;

	(void)state;
	assert_true(charge("b", 0) == 5);
	assert_true(charge("b", 3) == 2);
	assert_true(cache_take(cache, "b", 1, 5, now_ms) == 0);
	assert_true(charge("b", 0) == 1);
	/* more than there was: owed, and so whoever takes waits for longer than a token's time */
	assert_true(charge("b", 4) == -3);
	assert_in_range(cache_take(cache, "b", 1, 5, now_ms), 3 * 60 * 1000 + 1, 4 * 60 * 1000);
	/* never more than a full bucket is owed */
	assert_true(charge("b", 3) == -5);
	assert_true(charge("b", UINT32_MAX) == -5);
	assert_true(charge("other", 0) == 5);
	assert_int_equal(cache_charge(cache, "b", 0, 5, 1, now_ms, &left), -EINVAL);
	assert_int_equal(cache_charge(cache, "b", 5, 0, 1, now_ms, &left), -EINVAL);
	assert_true(left == 7);
}

/* What is owed is paid back at the bucket's own rate. */
static void
test_bucket_that_owes_gives_again_once_it_has_filled(void **state)
{
	int64_t left;

	(void)state;
	assert_int_equal(cache_charge(cache, "b", 6000, 2, 4, now_ms, &left), 0);
	assert_true(left == -2);
	assert_true(take_fast("b") > 0);
	wait_for(take_fast, "b", 0);
}

static void
test_what_is_out_of_bounds_is_refused(void **state)
{
	char key[CACHE_KEY_MAX_BYTES + 2];
	int64_t left = 7;

	(void)state;
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	assert_int_equal(cache_first(cache, key, 100, now_ms), -EIO);
	assert_int_equal(cache_take(cache, key, 1, 1, now_ms), -EIO);
	assert_int_equal(cache_charge(cache, key, 1, 1, 1, now_ms, &left), -EINVAL);
	assert_int_equal(left, 7);
	assert_int_equal(cache_first(cache, "a", 0, now_ms), -EIO);
	assert_int_equal(cache_first(cache, "a", -1, now_ms), -EIO);
	assert_int_equal(cache_first(cache, "a", INT64_MAX / 2 + 1, now_ms), -EIO);
	assert_int_equal(cache_first(cache, "a", INT64_MAX / 2, now_ms), 1);
	assert_int_equal(cache_first(cache, "a", INT64_MAX / 2, now_ms), 0);
}

int
main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_cache_that_is_there_says_so_and_nothing_is_changed_by_it),
		TEST(test_any_text_is_a_key),
		TEST(test_mark_and_bucket_of_one_key_do_not_meet),
		TEST(test_only_the_first_is_first_until_its_time_is_over),
		TEST(test_bucket_gives_its_burst_and_then_says_how_long_to_wait),
		TEST(test_bucket_refills_but_not_beyond_its_burst),
		TEST(test_largest_rates_and_bursts_are_counted_right),
		TEST(test_bucket_is_told_of_what_was_let_through_elsewhere),
		TEST(test_bucket_that_owes_gives_again_once_it_has_filled),
		TEST(test_what_is_out_of_bounds_is_refused),
	};
	int result = 0;

	is_redis = argc > 1 && strcmp(argv[1], "redis") == 0;
	if (is_redis)
		result = servers_begin(&servers, SERVERS_REDIS);
	if (result != 0)
		return result;
	if (is_redis)
		servers_redis_url(&servers, url);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	if (is_redis)
		servers_fini(&servers);
	return result;
}
