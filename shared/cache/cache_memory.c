/*
 * cache_memory: the cache inside the process. Values, marks and buckets share one bounded table;
 * the first byte of a name tells them apart.
 */
#include "cache/cache_driver.h"
#include "cache/cache_entries.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN = 60 * 1000 }; /* one token, in parts that refill at rate_per_minute a ms */

enum kind { KIND_VALUE = 'v', KIND_MARK = 'm', KIND_BUCKET = 'b' };

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
memory_put(void *db, const char *key, const void *value, size_t n, int64_t ttl_ms, int64_t now_ms)
{
	struct cache_entries *entries = db;
	void *copy = malloc(n > 0 ? n : 1);
	struct cache_entry *entry;
	struct cache_name name;

	if (copy == NULL)
		return -EIO;
	if (n > 0)
		memcpy(copy, value, n);
	make_name(KIND_VALUE, key, &name);
	entry = cache_entries_find(entries, &name, now_ms);
	if (entry != NULL)
		cache_entries_renew(entries, entry, now_ms + ttl_ms);
	else
		entry = cache_entries_add(entries, &name, now_ms + ttl_ms, now_ms);
	if (entry == NULL) {
		free(copy);
		return -EIO;
	}
	free(entry->value);
	entry->value = copy;
	entry->value_n = n;
	return 0;
}

static int
memory_get(void *db, const char *key, int64_t now_ms, void **ret_value, size_t *ret_n)
{
	struct cache_entries *entries = db;
	struct cache_entry *entry;
	struct cache_name name;
	char *copy;

	make_name(KIND_VALUE, key, &name);
	entry = cache_entries_find(entries, &name, now_ms);
	if (entry == NULL)
		return -ENOENT;
	copy = malloc(entry->value_n + 1); /* a NUL after it: text may be used as text */
	if (copy == NULL)
		return -EIO;
	memcpy(copy, entry->value, entry->value_n);
	copy[entry->value_n] = '\0';
	*ret_value = copy;
	*ret_n = entry->value_n;
	return 0;
}

static void
memory_remove(void *db, const char *key)
{
	static const enum kind kinds[] = { KIND_VALUE, KIND_MARK, KIND_BUCKET };
	struct cache_entries *entries = db;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct cache_entry *entry;
		struct cache_name name;

		make_name(kinds[i], key, &name);
		entry = cache_entries_find(entries, &name, INT64_MIN);
		if (entry != NULL)
			cache_entries_remove(entries, entry);
	}
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

static uint64_t
refilled(const struct cache_entry *entry, uint64_t rate, uint64_t full, int64_t now_ms)
{
	uint64_t elapsed_ms =
		now_ms > entry->filled_at_ms ? (uint64_t)(now_ms - entry->filled_at_ms) : 0;
	uint64_t missing = entry->level < full ? full - entry->level : 0;

	/* by division: a product could overflow */
	return elapsed_ms >= missing / rate + 1 ? full : entry->level + elapsed_ms * rate;
}

/* A bucket that is not there is full, so one that has had the time to fill may expire. */
static int64_t
memory_take(void *db, const char *key, uint32_t rate_per_minute, uint32_t burst, int64_t now_ms)
{
	struct cache_entries *entries = db;
	uint64_t full = (uint64_t)burst * TOKEN, rate = rate_per_minute, level;
	struct cache_entry *entry;
	struct cache_name name;

	make_name(KIND_BUCKET, key, &name);
	entry = cache_entries_find(entries, &name, now_ms);
	level = entry != NULL ? refilled(entry, rate, full, now_ms) : full;
	if (level > full)
		level = full;
	if (level < TOKEN)
		return (int64_t)((TOKEN - level + rate - 1) / rate);
	level -= TOKEN;
	if (entry == NULL) {
		entry = cache_entries_add(entries, &name, now_ms, now_ms - 1);
		if (entry == NULL)
			return -EIO;
	}
	entry->level = level;
	entry->filled_at_ms = now_ms;
	cache_entries_renew(entries, entry, now_ms + (int64_t)((full - level) / rate) + 1);
	return 0;
}

const struct cache_driver cache_driver_memory = {
	.scheme = "memory:",
	.check = memory_check,
	.open = memory_open,
	.close = memory_close,
	.put = memory_put,
	.get = memory_get,
	.remove = memory_remove,
	.first = memory_first,
	.take = memory_take,
};
