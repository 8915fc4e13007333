/*
 * cache_entries: the bounded table of the memory driver: a hash table to find an entry by name, a
 * heap to find what has expired, a list to find what was written longest ago.
 */
#pragma once

#include "cache/cache_hash.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum { CACHE_NAME_MAX_BYTES = 256 };

struct cache_name {
	char bytes[CACHE_NAME_MAX_BYTES];
	size_t n;
};

struct cache_entry {
	/* the caller's */
	int64_t level; /* of a token bucket; negative: owed */
	int64_t filled_at_ms;

	/* the table's */
	struct cache_entry *chain; /* next in the same slot */
	TAILQ_ENTRY(cache_entry) by_age;
	size_t heap_index;
	int64_t expires_at_ms;
	uint64_t hash;
	size_t name_n;
	char name[]; /* no NUL */
};

struct cache_entries {
	uint8_t secret[CACHE_HASH_SECRET_BYTES];
	struct cache_entry **slots;
	size_t slots_n; /* a power of two */
	struct cache_entry **heap;
	size_t n, max, heap_capacity;
	TAILQ_HEAD(, cache_entry) by_age; /* written longest ago, first */
};

/* 0 or -EIO. */
int cache_entries_init(struct cache_entries *entries, size_t max);
void cache_entries_fini(struct cache_entries *entries);

/* The entry of this name; NULL when there is none or it has expired. */
struct cache_entry *cache_entries_find(struct cache_entries *entries, const struct cache_name *name,
				       int64_t now_ms);

/* A new one (there is none of this name), in place of the oldest where there is no room. NULL when
 * out of memory. */
struct cache_entry *cache_entries_add(struct cache_entries *entries, const struct cache_name *name,
				      int64_t expires_at_ms, int64_t now_ms);

/* Written again: it is the newest now. */
void cache_entries_renew(struct cache_entries *entries, struct cache_entry *entry,
			 int64_t expires_at_ms);
