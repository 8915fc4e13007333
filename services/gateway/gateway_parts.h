/*
 * gateway_parts: do database and cache of the gateway itself answer? Asked every 2 s, the database
 * on its own thread; gateway_health shows it.
 */
#pragma once

#include "cache/cache.h"
#include "gateway/gateway_access_thread.h"
#include "gateway/gateway_health.h"

struct gateway_parts;

/* store NULL: there is none, and nothing is said of it. cache NULL: this process's own memory. All
 * borrowed; store's thread must have ended before this is freed. 0 or -errno. */
int gateway_parts_new(struct loop *loop, struct access_thread *store, struct cache *cache,
		      struct gateway_health *health, struct gateway_parts **ret);
void gateway_parts_free(struct gateway_parts **parts);
