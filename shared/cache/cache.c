/* Chooses the driver and checks what it is given. See cache.h. */
#include "cache/cache.h"

#include "cache/cache_driver.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REFUSED_WAIT_MS = 60 * 1000, REASON_BYTES = 256 };

struct cache {
	const struct cache_driver *driver;
	void *db;
};

static const struct cache_driver *const drivers[] = { &cache_driver_memory, &cache_driver_redis,
						      NULL };

static const struct cache_driver *
driver_of(const char *url)
{
	for (size_t i = 0; drivers[i] != NULL; i++)
		if (strncmp(url, drivers[i]->scheme, strlen(drivers[i]->scheme)) == 0)
			return drivers[i];
	return NULL;
}

int
cache_check(const char *url, char *ret_error, size_t error_bytes)
{
	const struct cache_driver *driver = driver_of(url);

	if (driver != NULL)
		return driver->check(url + strlen(driver->scheme), ret_error, error_bytes);
	snprintf(ret_error, error_bytes, "cache: the URL must begin with memory: or redis:");
	return -EINVAL;
}

int
cache_open(const char *url, size_t max_entries, struct cache **ret)
{
	char reason[REASON_BYTES];
	struct cache *cache;
	int result = max_entries == 0 ? -EINVAL : cache_check(url, reason, sizeof(reason));

	if (result < 0)
		return result;
	cache = calloc(1, sizeof(*cache));
	if (cache == NULL)
		return -EIO;
	cache->driver = driver_of(url);
	result = cache->driver->open(url + strlen(cache->driver->scheme), max_entries, &cache->db);
	if (result < 0) {
		free(cache);
		return result;
	}
	*ret = cache;
	return 0;
}

void
cache_close(struct cache **cache)
{
	if (*cache == NULL)
		return;
	(*cache)->driver->close((*cache)->db);
	free(*cache);
	*cache = NULL;
}

int
cache_probe(struct cache *cache)
{
	return cache->driver->probe(cache->db);
}

static bool
is_key(const char *key)
{
	return strnlen(key, CACHE_KEY_MAX_BYTES + 1) <= CACHE_KEY_MAX_BYTES;
}

/* A key that cannot be kept cannot be known again: that is no answer. */
int
cache_first(struct cache *cache, const char *key, int64_t ttl_ms, int64_t now_ms)
{
	if (!is_key(key) || ttl_ms <= 0 || ttl_ms > INT64_MAX / 2)
		return -EIO;
	return cache->driver->first(cache->db, key, ttl_ms, now_ms);
}

int64_t
cache_take(struct cache *cache, const char *key, uint32_t rate_per_minute, uint32_t burst,
	   int64_t now_ms)
{
	if (rate_per_minute == 0 || burst == 0)
		return REFUSED_WAIT_MS;
	if (!is_key(key))
		return -EIO;
	return cache->driver->take(cache->db, key, rate_per_minute, burst, now_ms);
}

int
cache_charge(struct cache *cache, const char *key, uint32_t rate_per_minute, uint32_t burst,
	     uint32_t count, int64_t now_ms, int64_t *ret_left)
{
	if (rate_per_minute == 0 || burst == 0 || !is_key(key))
		return -EINVAL;
	return cache->driver->charge(cache->db, key, rate_per_minute, burst, count, now_ms,
				     ret_left);
}
