/*
 * gateway_parts: do database and cache of the gateway itself answer? Asked every 2 s, each on
 * its own thread; gateway_health shows it.
 */
#pragma once

#include "gateway/gateway_health.h"
#include "gateway/gateway_limits_shared.h"

struct gateway_parts;

/* store NULL: there is none, and nothing is said of it. shared NULL: this process's own memory. All
 * borrowed; their threads must have ended before this is freed. 0 or -errno. */
int gateway_parts_new(struct loop *loop, struct side_thread *store,
		      const struct limits_shared *shared, struct gateway_health *health,
		      struct gateway_parts **ret);
void gateway_parts_free(struct gateway_parts **parts);
