/*
 * cache_driver: what a place for short-lived things must do. Arguments were checked. Only
 * shared/cache includes this.
 */
#pragma once

#include "cache/cache.h"

struct cache_driver {
	const char *scheme; /* "memory:" */
	/* What can be said of a location without opening it: 0 or -EINVAL with a reason. */
	int (*check)(const char *location, char *ret_error, size_t error_bytes);
	int (*open)(const char *location, size_t max_entries, void **ret);
	void (*close)(void *db);
	int (*probe)(void *db);
	int (*first)(void *db, const char *key, int64_t ttl_ms, int64_t now_ms);
	int64_t (*take)(void *db, const char *key, uint32_t rate_per_minute, uint32_t burst,
			int64_t now_ms);
	int (*charge)(void *db, const char *key, uint32_t rate_per_minute, uint32_t burst,
		      uint32_t count, int64_t now_ms, int64_t *ret_left);
};

extern const struct cache_driver cache_driver_memory, cache_driver_redis;
