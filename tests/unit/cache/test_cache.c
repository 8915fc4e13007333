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
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ENTRIES_MAX = 8, KEYS = 40, STEPS = 20000 };

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

static void
assert_text(const char *key, int64_t now_ms, const char *expected)
{
	void *value = NULL;
	size_t n = 0;
	int result = cache_get(cache, key, now_ms, &value, &n);

	if (expected == NULL) {
		assert_int_equal(result, -ENOENT);
		return;
	}
	assert_int_equal(result, 0);
	assert_int_equal(n, strlen(expected));
	assert_string_equal(value, expected);
	free(value);
}

static void
put(const char *key, const char *value, int64_t ttl_ms, int64_t now_ms)
{
	assert_int_equal(cache_put(cache, key, value, strlen(value), ttl_ms, now_ms), 0);
}

/* P25 */
static void
test_value_lives_until_its_time_and_not_a_millisecond_longer(void **state)
{
	(void)state;
	put("a", "one", 100, 1000);
	assert_text("a", 1099, "one");
	assert_text("a", 1100, NULL);
	assert_text("b", 1000, NULL);
}

static void
test_second_put_replaces_value_and_lifetime(void **state)
{
	(void)state;
	put("a", "one", 100, 1000);
	put("a", "three", 500, 1050);
	assert_text("a", 1400, "three");
	put("a", "", 10, 1400);
	assert_text("a", 1409, "");
	assert_text("a", 1410, NULL);
}

static void
test_remove_forgets_value_mark_and_bucket(void **state)
{
	(void)state;
	put("a", "one", 100, 0);
	assert_int_equal(cache_first(cache, "a", 100, 0), 1);
	assert_int_equal(cache_take(cache, "a", 1, 1, 0), 0);
	assert_true(cache_take(cache, "a", 1, 1, 0) > 0);
	cache_remove(cache, "a");
	cache_remove(cache, "a");
	assert_text("a", 0, NULL);
	assert_int_equal(cache_first(cache, "a", 100, 0), 1);
	assert_int_equal(cache_take(cache, "a", 1, 1, 0), 0);
}

static void
test_full_cache_drops_what_was_written_longest_ago(void **state)
{
	char key[16];

	(void)state;
	for (int i = 0; i < ENTRIES_MAX; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		put(key, key, 1000000 - i, 0);
	}
	put("k0", "again", 1000, 1); /* now k1 is the oldest */
	put("new", "new", 1000, 2);
	assert_text("k0", 3, "again");
	assert_text("k1", 3, NULL);
	assert_text("k2", 3, "k2");
	assert_text("new", 3, "new");
}

static void
test_expired_entries_make_room_before_living_ones(void **state)
{
	char key[16];

	(void)state;
	put("long", "long", 1000, 0);
	for (int i = 1; i < ENTRIES_MAX; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		put(key, key, 10, 0);
	}
	put("new", "new", 1000, 20);
	assert_text("long", 21, "long");
}

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
	static char value[CACHE_VALUE_MAX_BYTES + 1];
	char key[CACHE_KEY_MAX_BYTES + 2];
	struct cache *other = NULL;

	(void)state;
	memset(key, 'k', sizeof(key));
	key[CACHE_KEY_MAX_BYTES + 1] = '\0';
	assert_int_equal(cache_put(cache, key, "v", 1, 100, 0), -EINVAL);
	assert_int_equal(cache_first(cache, key, 100, 0), -EIO);
	assert_int_equal(cache_take(cache, key, 1, 1, 0), -EIO);
	assert_text(key, 0, NULL);
	key[CACHE_KEY_MAX_BYTES] = '\0';
	assert_int_equal(cache_put(cache, key, value, sizeof(value), 100, 0), -EINVAL);
	assert_int_equal(cache_put(cache, key, value, sizeof(value) - 1, 100, 0), 0);
	assert_int_equal(cache_put(cache, "a", "v", 1, 0, 0), -EINVAL);
	assert_int_equal(cache_open("memory:", 0, &other), -EINVAL);
	assert_int_equal(cache_open("memory:x", 1, &other), -EINVAL);
	assert_int_equal(cache_open("carrier-pigeon:", 1, &other), -EINVAL);
}

/* Against a model so simple that it is right: an array, searched. */
static void
test_many_random_steps_agree_with_a_plain_array(void **state)
{
	struct {
		int64_t expires_at_ms;
		long value;
	} model[KEYS] = { 0 };
	struct cache *big = NULL;
	int64_t now_ms = 1;

	(void)state;
	assert_int_equal(cache_open("memory:", KEYS, &big), 0);
	srandom(7);
	for (long step = 1; step < STEPS; step++) {
		size_t k = (size_t)random() % KEYS;
		void *value = NULL;
		size_t n = 0;
		char key[16];

		now_ms += random() % 3;
		snprintf(key, sizeof(key), "%zu", k);
		if (random() % 2 == 0) {
			int64_t ttl_ms = 1 + random() % 60;

			assert_int_equal(cache_put(big, key, &step, sizeof(step), ttl_ms, now_ms),
					 0);
			model[k].expires_at_ms = now_ms + ttl_ms;
			model[k].value = step;
		} else if (random() % 8 == 0) {
			cache_remove(big, key);
			model[k].expires_at_ms = 0;
		} else if (cache_get(big, key, now_ms, &value, &n) == 0) {
			assert_true(model[k].expires_at_ms > now_ms);
			assert_memory_equal(value, &model[k].value, sizeof(long));
			free(value);
		} else {
			assert_true(model[k].expires_at_ms <= now_ms);
		}
	}
	cache_close(&big);
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
		TEST(test_value_lives_until_its_time_and_not_a_millisecond_longer),
		TEST(test_second_put_replaces_value_and_lifetime),
		TEST(test_remove_forgets_value_mark_and_bucket),
		TEST(test_full_cache_drops_what_was_written_longest_ago),
		TEST(test_expired_entries_make_room_before_living_ones),
		TEST(test_only_the_first_is_first_until_its_time_is_over),
		TEST(test_bucket_gives_its_burst_and_then_its_rate),
		TEST(test_bucket_never_holds_more_than_its_burst),
		TEST(test_bucket_over_a_long_time_gives_exactly_its_rate),
		TEST(test_bucket_of_nothing_lets_nobody_through),
		TEST(test_what_is_out_of_bounds_is_refused),
		TEST(test_many_random_steps_agree_with_a_plain_array),
		TEST(test_hash_is_siphash_2_4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
