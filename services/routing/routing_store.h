/*
 * routing_store: the sessions' rows; the only SQL of routing. Called by routing_commit,
 * routing_handlers and routing_wireguard (writes), routing_follow (reads), routing_clients (lists).
 *
 * Each write takes the next number of change, in the order in which transactions are committed: a
 * replica that has seen number n misses nothing when it asks for what is above n.
 */
#pragma once

#include "routing/routing_session.h"
#include "store/store.h"

extern const struct store_migration routing_migrations[];
extern const size_t routing_migrations_n;

int routing_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes);

/* Adds a session. 0, -EIO, -EEXIST: its client has one that lives, or -EBUSY: one lives for its
 * WireGuard key that is another holder's, or was proven when this one is not. */
int routing_store_add(struct store *store, const struct session_record *record);

/* Sessions of this WireGuard key that live and were not proven are closing now. How many, or -EIO.
 */
int routing_store_take_key(struct store *store, const struct key *client_key);

/* Writes what has changed of a session that lives, its status among it; is_opening: only if nobody
 * has opened it yet. 0, -EIO, or -ESTALE: it is not so any more, whoever changed it. */
int routing_store_change(struct store *store, const struct session_record *record, bool is_opening);

/* closing becomes closed, and the row ends at expires_wall_ms. 0 or -EIO. */
int routing_store_told(struct store *store, const uint8_t id[UUID_BYTES], int64_t expires_wall_ms);

/* 0 or -EIO. */
int routing_store_remove(struct store *store, const uint8_t id[UUID_BYTES]);

/* fn's non-zero result ends it and is returned; -EBADMSG for a row that cannot be read, -EIO. */
typedef int (*routing_row_fn)(const struct session_record *record, int64_t change, void *arg);

/* All rows. */
int routing_store_each(struct store *store, routing_row_fn fn, void *arg);

/* Those changed after number `after`, in order, at most limit: how many. */
int routing_store_since(struct store *store, int64_t after, size_t limit, routing_row_fn fn,
			void *arg);

/* Those of this key that are closing. 0 or -errno. */
int routing_store_closing_of_key(struct store *store, const struct key *client_key,
				 routing_row_fn fn, void *arg);

/* Those that ended before wall_ms, at most limit: how many. */
int routing_store_ended(struct store *store, int64_t wall_ms, size_t limit, routing_row_fn fn,
			void *arg);

/* Clients: the newest open session of each, or its newest, and how many it has open. By client id,
 * those after `after` ("" for the first). 0 or -EIO. */
typedef int (*routing_client_fn)(const struct session_record *record, int64_t open, void *arg);
int routing_store_clients(struct store *store, const char *after, size_t limit,
			  routing_client_fn fn, void *arg);
int routing_store_client(struct store *store, const uint8_t client_id[UUID_BYTES],
			 routing_client_fn fn, void *arg);
