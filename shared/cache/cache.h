/*
 * cache: things with a lifetime: used nonces and rate buckets. One interface; the driver is chosen
 * by URL. Never the truth: losing all of it costs speed, not correctness. One thread.
 *
 *	memory:                                of this process; capped, the oldest goes first
 *	redis:///run/redis/redis.sock?db=0     shared by replicas; Redis's own caps
 *	redis://[user@]127.0.0.1:6379/0        the same; a host name is looked up each time
 *
 * After `?`: db, prefix ("boson:"), passfile (0600, one line; a password is never in the URL), and
 * clear_text=yes, without which an address must be loopback. A Redis that does not answer costs a
 * call 200 ms, and then nothing for a second: -EIO at once.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct cache;

/* Whether cache_open could take this URL; opens nothing. 0, or -EINVAL with a reason. */
int cache_check(const char *url, char *ret_error, size_t error_bytes);

/* -EINVAL when no driver knows the URL or max_entries is 0, -EIO. A Redis that is not there is no
 * error here. */
int cache_open(const char *url, size_t max_entries, struct cache **ret);
void cache_close(struct cache **cache);

/* Whether it answers, and not as a replica that takes no writes: 0 or -EIO. Changes nothing. */
int cache_probe(struct cache *cache);

/* now_ms is the monotonic clock: time is an argument (Redis goes by its own). Replay marks and
 * buckets do not meet, though their keys be the same. */
enum { CACHE_KEY_MAX_BYTES = 255 };

/* 1 for the first caller of this key within ttl_ms, 0 for the others: replay protection. -EIO when
 * the cache cannot say, or when key or ttl_ms is out of bounds. */
int cache_first(struct cache *cache, const char *key, int64_t ttl_ms, int64_t now_ms);

/* Token bucket: takes one of `burst` tokens that refill at rate_per_minute. 0 when taken, else the
 * ms to wait (positive), or -EIO. A rate or burst of 0 lets nobody through. */
int64_t cache_take(struct cache *cache, const char *key, uint32_t rate_per_minute, uint32_t burst,
		   int64_t now_ms);

/* The same bucket is told afterwards of `count` tokens that were let through elsewhere: they are
 * taken, there or not. The whole ones left; negative: owed, at most `burst`. 0, -EINVAL or -EIO. */
int cache_charge(struct cache *cache, const char *key, uint32_t rate_per_minute, uint32_t burst,
		 uint32_t count, int64_t now_ms, int64_t *ret_left);
