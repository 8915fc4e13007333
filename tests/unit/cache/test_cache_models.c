/*
 * The memory cache through many random steps, on a clock of our own, against a model so simple that
 * it is right: an array, searched.
 */
#include "cache/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { KEYS = 40, FEW = 16, STEPS = 20000, TOKEN = 60000, RATE = 1500, BURST = 3 };
enum { FULL = BURST * TOKEN };

/* A mark or, of an odd key, a bucket. */
struct known {
	int64_t expires_at_ms; /* past: it is not there */
	long step;	       /* in which it was written last */
	int64_t level, at_ms;  /* of a bucket; level in tokens / TOKEN */
};

/* These two say whether it was written. */

static bool
step_mark(struct cache *cache, struct known *known, const char *key, int64_t now_ms)
{
	int64_t ttl_ms = 1 + 2 * (random() % 60);
	bool is_first = known->expires_at_ms <= now_ms;

	assert_int_equal(cache_first(cache, key, ttl_ms, now_ms), is_first ? 1 : 0);
	if (is_first)
		known->expires_at_ms = now_ms + ttl_ms;
	return is_first;
}

static bool
step_bucket(struct cache *cache, struct known *known, const char *key, int64_t now_ms)
{
	int64_t level = known->level + (now_ms - known->at_ms) * RATE, left = 0;
	uint32_t count = (uint32_t)(random() % 3);

	level = level < FULL && known->expires_at_ms > now_ms ? level : FULL;
	if (random() % 4 == 0) {
		level = level - count * TOKEN > -FULL ? level - count * TOKEN : -FULL;
		assert_int_equal(cache_charge(cache, key, RATE, BURST, count, now_ms, &left), 0);
		assert_true(left * TOKEN <= level && level < (left + 1) * TOKEN);
	} else if (level < TOKEN) {
		assert_int_equal(cache_take(cache, key, RATE, BURST, now_ms),
				 (TOKEN - level + RATE - 1) / RATE);
		return false;
	} else {
		assert_int_equal(cache_take(cache, key, RATE, BURST, now_ms), 0);
		level -= TOKEN;
	}
	known->level = level;
	known->at_ms = now_ms;
	known->expires_at_ms = now_ms + (FULL - level) / RATE + 1;
	return true;
}

/* Only when all the room is taken by newer ones that live does one go that lives. */
static int
drop(struct known model[KEYS], int max, int64_t now_ms)
{
	int dropped = 0;

	for (size_t i = 0; i < KEYS; i++) {
		int newer = 0;

		if (model[i].expires_at_ms <= now_ms)
			continue;
		for (size_t j = 0; j < KEYS; j++)
			newer += model[j].step > model[i].step && model[j].expires_at_ms > now_ms;
		if (newer < max)
			continue;
		model[i].expires_at_ms = 0;
		dropped++;
	}
	return dropped;
}

/* How many were dropped. Asks at even times, so that nothing ends just then. */
static int
run(int max)
{
	struct known model[KEYS] = { 0 };
	struct cache *cache = NULL;
	int64_t now_ms = 1000;
	int dropped = 0;

	assert_int_equal(cache_open("memory:", (size_t)max, &cache), 0);
	srandom(7);
	for (long step = 1; step <= STEPS; step++) {
		size_t k = (size_t)random() % KEYS;
		bool was_there;
		char key[16];

		now_ms += random() % 2 * 2;
		was_there = model[k].expires_at_ms > now_ms;
		snprintf(key, sizeof(key), "%zu", k / 2);
		if (!(k % 2 == 1 ? step_bucket : step_mark)(cache, &model[k], key, now_ms))
			continue;
		model[k].step = step;
		if (!was_there)
			dropped += drop(model, max, now_ms);
	}
	cache_close(&cache);
	return dropped;
}

static void
test_cache_with_room_forgets_nothing_before_its_time(void **state)
{
	(void)state;
	assert_int_equal(run(KEYS), 0);
}

static void
test_full_cache_forgets_the_oldest_alone(void **state)
{
	(void)state;
	assert_true(run(FEW) > STEPS / 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache_with_room_forgets_nothing_before_its_time),
		cmocka_unit_test(test_full_cache_forgets_the_oldest_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
