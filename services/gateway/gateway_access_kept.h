/*
 * gateway_access_kept: the revocations that a gateway has heard of, in its store, so that it
 * refuses those tokens after a restart as well, discovery or no discovery. What the store did not
 * take is given to it again.
 */
#pragma once

#include "gateway/gateway_access_revoked.h"
#include "gateway/gateway_side.h"

struct access_kept;

/* Before the store has its thread: fills revoked with what is kept. 0 or -EIO. */
int access_kept_load(struct store *store, struct access_revoked *revoked, int64_t wall_now_ms);

/* thread: the store's, borrowed. 0 or -errno. */
int access_kept_new(struct loop *loop, struct side_thread *thread, struct access_kept **ret);

/* Is on disk soon. */
void access_kept_add(struct access_kept *kept, const uint8_t node_id[UUID_BYTES], int64_t since_ms,
		     int64_t wall_now_ms);

/* Nothing is tried again; before the thread ends. */
void access_kept_end(struct access_kept *kept);

/* After the thread has ended. */
void access_kept_free(struct access_kept **kept);
