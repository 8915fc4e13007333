/*
 * gateway_access_revoked: nodes whose older session tokens are void, because the node was deleted
 * or has another key since. Each with the moment from which tokens count again; forgotten when no
 * older token can be alive any more. The model: no I/O, no clock.
 */
#pragma once

#include "identity/key.h"
#include "identity/token.h"

#include <stdbool.h>

struct access_revoked;

/* No token that is older than this is alive. */
#define ACCESS_REVOKED_KEPT_MS ((int64_t)TOKEN_LIFETIME_MAX_MS + 3600 * 1000)

int access_revoked_new(struct access_revoked **ret);
void access_revoked_free(struct access_revoked **revoked);

/* since_ms: epoch. The latest counts. 1: that was news, 0: it was known, or -ENOMEM. */
int access_revoked_put(struct access_revoked *revoked, const uint8_t node_id[UUID_BYTES],
		       int64_t since_ms, int64_t wall_now_ms);

/* Is a token of this subject, made then, void? A subject that is no UUID is no node's. */
bool access_revoked_is(const struct access_revoked *revoked, const char *subject,
		       int64_t issued_ms);
