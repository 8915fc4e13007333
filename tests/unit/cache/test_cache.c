/*
 * The memory cache on a clock of our own: lifetimes, replay marks, token buckets, and that it stays
 * within its bounds.
 */
#include "cache/cache.h"
#include "cache/cache_hash.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ENTRIES_MAX = 8 };

static struct cache *cache;

static int
setup(void **state)
{
	(void)state;
	return cache_open("memory:", ENTRIES_MAX, &cache);
}

static int
teardown(void **state)
{
	(void)state;
	cache_close(&cache);
	return 0;
}

static int
first(int i, int64_t ttl_ms, int64_t now_ms)
{
	char key[16];

	snprintf(key, sizeof(key), "k%d", i);
	return cache_first(cache, key, ttl_ms, now_ms);
}

/* The bucket is k0, the rest are marks; what ends first was written last. */
static void
test_full_cache_drops_what_was_written_longest_ago(void **state)
{
	int64_t left;

	(void)state;
	assert_int_equal(cache_take(cache, "k0", 1, 1000, 0), 0);
	for (int i = 1; i < ENTRIES_MAX; i++)
		assert_int_equal(first(i, 10000 - i, 0), 1);
	assert_int_equal(cache_take(cache, "k0", 1, 1000, 1), 0); /* now k1 is the oldest */
	assert_int_equal(first(1, 10000, 1), 0);		  /* though it is asked for */
	assert_int_equal(first(ENTRIES_MAX, 10000, 2), 1);
	for (int i = 2; i <= ENTRIES_MAX; i++)
		assert_int_equal(first(i, 10000, 3), 0);
	assert_int_equal(cache_charge(cache, "k0", 1, 1000, 0, 3, &left), 0);
	assert_int_equal(left, 998);
	assert_int_equal(first(1, 10000, 4), 1);
	assert_int_equal(first(2, 10000, 4), 1);
}

static void
test_bucket_that_was_dropped_is_full(void **state)
{
	(void)state;
	assert_int_equal(cache_take(cache, "b", 1, 1, 0), 0);
	for (int i = 1; i < ENTRIES_MAX; i++)
		assert_int_equal(first(i, 10000, 0), 1);
	assert_int_equal(cache_take(cache, "b", 1, 1, 0), 60000);
	assert_int_equal(first(ENTRIES_MAX, 10000, 0), 1);
	assert_int_equal(cache_take(cache, "b", 1, 1, 0), 0);
}

static void
test_expired_entries_make_room_before_living_ones(void **state)
{
	(void)state;
	assert_int_equal(first(0, 1000, 0), 1);
	for (int i = 1; i < ENTRIES_MAX; i++)
		assert_int_equal(first(i, 10, 0), 1);
	assert_int_equal(first(ENTRIES_MAX, 1000, 20), 1);
	assert_int_equal(first(0, 1000, 21), 0);
}

/* P25 */
static void
test_only_the_first_is_first_until_its_time_is_over(void **state)
{
	(void)state;
	assert_int_equal(cache_first(cache, "nonce", 60000, 0), 1);
	assert_int_equal(cache_first(cache, "nonce", 60000, 0), 0);
	/* asking does not lengthen it */
	assert_int_equal(cache_first(cache, "nonce", 60000, 59999), 0);
	assert_int_equal(cache_first(cache, "nonce", 60000, 60000), 1);
	assert_int_equal(cache_first(cache, "other", 60000, 60000), 1);
}

static void
test_bucket_gives_its_burst_and_then_its_rate(void **state)
{
	int64_t wait_ms;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(cache_take(cache, "b", 60, 5, 1000), 0);
	wait_ms = cache_take(cache, "b", 60, 5, 1000);
	assert_int_equal(wait_ms, 1000);
	assert_true(cache_take(cache, "b", 60, 5, 1999) > 0);
	assert_int_equal(cache_take(cache, "b", 60, 5, 1000 + wait_ms), 0);
	assert_true(cache_take(cache, "b", 60, 5, 1000 + wait_ms) > 0);
}

/* Its first end, 1001, is that of one token; at 500 it has 4.5 and is left with half of one. */
static void
test_bucket_that_is_used_again_is_kept_until_it_is_full(void **state)
{
	(void)state;
	assert_int_equal(cache_take(cache, "b", 60, 5, 0), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(cache_take(cache, "b", 60, 5, 500), 0);
	assert_int_equal(cache_take(cache, "b", 60, 5, 1500), 0);
	assert_int_equal(cache_take(cache, "b", 60, 5, 1500), 500);
	assert_int_equal(cache_take(cache, "b", 60, 5, 4500), 0);
	assert_int_equal(cache_take(cache, "b", 60, 5, 4500), 0);
	assert_int_equal(cache_take(cache, "b", 60, 5, 4500), 0);
	assert_int_equal(cache_take(cache, "b", 60, 5, 4500), 500);
}

static void
test_bucket_never_holds_more_than_its_burst(void **state)
{
	(void)state;
	assert_int_equal(cache_take(cache, "b", 600, 3, 0), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(cache_take(cache, "b", 600, 3, INT64_MAX / 4), 0);
	assert_true(cache_take(cache, "b", 600, 3, INT64_MAX / 4) > 0);
}

static void
test_bucket_over_a_long_time_gives_exactly_its_rate(void **state)
{
	int taken = 0;

	(void)state;
	for (int64_t now_ms = 0; now_ms < 10 * 60 * 1000; now_ms += 7)
		taken += cache_take(cache, "b", 90, 10, now_ms) == 0;
	assert_in_range(taken, 10 + 90 * 10 - 1, 10 + 90 * 10);
}

static void
test_bucket_of_nothing_lets_nobody_through(void **state)
{
	(void)state;
	assert_true(cache_take(cache, "b", 0, 5, 0) > 0);
	assert_true(cache_take(cache, "b", 5, 0, 0) > 0);
	assert_int_equal(cache_take(cache, "b", UINT32_MAX, UINT32_MAX, 0), 0);
}

static void
test_what_is_out_of_bounds_is_refused(void **state)
{
	struct cache *other = NULL;

	(void)state;
	assert_int_equal(cache_open("memory:", 0, &other), -EINVAL);
	assert_int_equal(cache_open("memory:x", 1, &other), -EINVAL);
	assert_int_equal(cache_open("carrier-pigeon:", 1, &other), -EINVAL);
	assert_null(other);
}

/* The vectors of the paper's appendix and of its reference code: key 00..0f, message 00, 01, ... */
static void
test_hash_is_siphash_2_4(void **state)
{
	uint8_t secret[CACHE_HASH_SECRET_BYTES], message[15];

	(void)state;
	for (uint8_t i = 0; i < sizeof(secret); i++)
		secret[i] = i;
	for (uint8_t i = 0; i < sizeof(message); i++)
		message[i] = i;
	assert_true(cache_hash(secret, message, 15) == 0xa129ca6149be45e5);
	assert_true(cache_hash(secret, message, 0) == 0x726fdb47dd0e0e31);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_full_cache_drops_what_was_written_longest_ago),
		TEST(test_bucket_that_was_dropped_is_full),
		TEST(test_expired_entries_make_room_before_living_ones),
		TEST(test_only_the_first_is_first_until_its_time_is_over),
		TEST(test_bucket_gives_its_burst_and_then_its_rate),
		TEST(test_bucket_that_is_used_again_is_kept_until_it_is_full),
		TEST(test_bucket_never_holds_more_than_its_burst),
		TEST(test_bucket_over_a_long_time_gives_exactly_its_rate),
		TEST(test_bucket_of_nothing_lets_nobody_through),
		TEST(test_what_is_out_of_bounds_is_refused),
		TEST(test_hash_is_siphash_2_4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
