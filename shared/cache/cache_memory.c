/*
 * cache_memory: the cache inside the process. Marks and buckets share one bounded table; the first
 * byte of a name tells them apart.
 */
#include "cache/cache_driver.h"
#include "cache/cache_entries.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN = 60 * 1000 }; /* one token, in parts that refill at rate_per_minute a ms */

enum kind { KIND_MARK = 'm', KIND_BUCKET = 'b' };

static void
make_name(enum kind kind, const char *key, struct cache_name *ret)
{
	size_t n = strlen(key);

	assert(n < CACHE_NAME_MAX_BYTES);
	ret->bytes[0] = (char)kind;
	memcpy(ret->bytes + 1, key, n);
	ret->n = n + 1;
}

static int
memory_check(const char *location, char *ret_error, size_t error_bytes)
{
	if (*location == '\0')
		return 0;
	snprintf(ret_error, error_bytes, "cache: nothing may follow memory:");
	return -EINVAL;
}

static void
memory_close(void *db)
{
	cache_entries_fini(db);
	free(db);
}

static int
memory_open(const char *location, size_t max_entries, void **ret)
{
	struct cache_entries *entries;

	(void)location;
	entries = malloc(sizeof(*entries));
	if (entries == NULL || cache_entries_init(entries, max_entries) < 0) {
		free(entries);
		return -EIO;
	}
	*ret = entries;
	return 0;
}

static int
memory_probe(void *db)
{
	(void)db;
	return 0;
}

static int
memory_first(void *db, const char *key, int64_t ttl_ms, int64_t now_ms)
{
	struct cache_entries *entries = db;
	struct cache_name name;

	make_name(KIND_MARK, key, &name);
	if (cache_entries_find(entries, &name, now_ms) != NULL)
		return 0;
	return cache_entries_add(entries, &name, now_ms + ttl_ms, now_ms) != NULL ? 1 : -EIO;
}

struct bucket {
	int64_t rate, full; /* in parts of a token, a ms and in all */
	struct cache_name name;
	struct cache_entry *entry; /* NULL: not there, so full */
	int64_t level;
};

static int64_t
refilled(const struct bucket *bucket, int64_t now_ms)
{
	const struct cache_entry *entry = bucket->entry;
	int64_t elapsed_ms = now_ms > entry->filled_at_ms ? now_ms - entry->filled_at_ms : 0;
	int64_t missing = entry->level < bucket->full ? bucket->full - entry->level : 0;

	/* by division: a product could overflow */
	return elapsed_ms >= missing / bucket->rate + 1 ? bucket->full
							: entry->level + elapsed_ms * bucket->rate;
}

static void
bucket_find(struct cache_entries *entries, const char *key, uint32_t rate_per_minute,
	    uint32_t burst, int64_t now_ms, struct bucket *ret)
{
	ret->rate = rate_per_minute;
	ret->full = (int64_t)burst * TOKEN;
	make_name(KIND_BUCKET, key, &ret->name);
	ret->entry = cache_entries_find(entries, &ret->name, now_ms);
	ret->level = ret->entry != NULL ? refilled(ret, now_ms) : ret->full;
	if (ret->level > ret->full)
		ret->level = ret->full;
}

/* A bucket that is not there is full, so one that has had the time to fill may expire. */
static int
bucket_keep(struct cache_entries *entries, struct bucket *bucket, int64_t now_ms)
{
	int64_t fills_ms = (bucket->full - bucket->level) / bucket->rate + 1;

	if (bucket->entry == NULL)
		bucket->entry = cache_entries_add(entries, &bucket->name, now_ms, now_ms - 1);
	if (bucket->entry == NULL)
		return -EIO;
	bucket->entry->level = bucket->level;
	bucket->entry->filled_at_ms = now_ms;
	cache_entries_renew(entries, bucket->entry, now_ms + fills_ms);
	return 0;
}

static int64_t
memory_take(void *db, const char *key, uint32_t rate_per_minute, uint32_t burst, int64_t now_ms)
{
	struct bucket bucket;

	bucket_find(db, key, rate_per_minute, burst, now_ms, &bucket);
	if (bucket.level < TOKEN)
		return (TOKEN - bucket.level + bucket.rate - 1) / bucket.rate;
	bucket.level -= TOKEN;
	return bucket_keep(db, &bucket, now_ms);
}

static int
memory_charge(void *db, const char *key, uint32_t rate_per_minute, uint32_t burst, uint32_t count,
	      int64_t now_ms, int64_t *ret_left)
{
	struct bucket bucket;
	int result;

	bucket_find(db, key, rate_per_minute, burst, now_ms, &bucket);
	bucket.level -= (int64_t)count * TOKEN;
	if (bucket.level < -bucket.full)
		bucket.level = -bucket.full;
	result = bucket_keep(db, &bucket, now_ms);
	if (result == 0)
		*ret_left = (bucket.level - (bucket.level < 0 ? TOKEN - 1 : 0)) / TOKEN;
	return result;
}

const struct cache_driver cache_driver_memory = {
	.scheme = "memory:",
	.check = memory_check,
	.open = memory_open,
	.close = memory_close,
	.probe = memory_probe,
	.first = memory_first,
	.take = memory_take,
	.charge = memory_charge,
};
