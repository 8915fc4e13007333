/*
 * gateway_limits_shared: one limit for several gateways. Each counts at once and for itself, and
 * then tells a cache that all share what it let through; the answer says how much is left for all.
 * Nobody waits for that. What came while an exchange was under way may be too much; it is owed, so
 * that in the long run the rate is kept. While the cache does not answer, each counts alone.
 *
 *	gateway_limits -> limits_shared_tell -> (side thread) cache_charge on the shared cache
 *	                  own bucket lowered to what is left  <-
 */
#pragma once

#include "cache/cache.h"
#include "gateway/gateway_side.h"

enum { LIMITS_KEY_BYTES = 160 };

struct limits_shared;

/* own: this gateway's buckets, borrowed. url: of the shared ones. 0 or -errno. */
int limits_shared_new(struct loop *loop, struct cache *own, const char *url,
		      struct limits_shared **ret);

/* Waits for a call of the cache that is under way. */
void limits_shared_free(struct limits_shared **shared);

/* One was let through: taken from the own bucket `key`, whose rate and burst is per_minute. */
void limits_shared_tell(struct limits_shared *shared, const char *key, uint32_t per_minute);

/* Has the cache answered, or failed to, for all that it was to be told? */
bool limits_shared_is_settled(const struct limits_shared *shared);

/* For jobs of others that ask the cache itself. */
struct side_thread *limits_shared_thread(const struct limits_shared *shared);
struct cache *limits_shared_cache(const struct limits_shared *shared);
