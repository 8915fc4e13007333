/*
 * discovery_store: the only SQL of discovery. A node's row is a binding of an id to a key for good;
 * its facts are a packed boson.discovery.Node. Replicas share the tables: each change has a number
 * from one clock, whose row its transaction locks until it is committed; so changes are committed
 * in the order of their numbers, and who has seen all up to one misses none. Called by
 * discovery_handlers and discovery_register (writes, within the mailbox's batch),
 * discovery_liveness and discovery_follow.
 */
#pragma once

#include "identity/key.h"
#include "store/store.h"

#include <stdbool.h>

extern const struct store_migration discovery_migrations[];
extern const size_t discovery_migrations_n;

int discovery_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes);

/* What each write of a replica carries. */
struct discovery_stamp {
	int64_t change;
	int64_t writer; /* the replica's number, random at each start */
	uint64_t version;
};

/* The number of this transaction's changes, from here to its end nobody else's turn. First in the
 * transaction, before any savepoint, so that no two replicas wait for each other. 0 or -EIO. */
int discovery_store_next_change(struct store *store, int64_t *ret_change);

/* The last number that was committed. 0 or -EIO. */
int discovery_store_last_change(struct store *store, int64_t *ret_change);

/* A registration. 0; -EEXIST when the key has another id, -EPERM when the id has another key;
 * -EIO. number orders new rows; an old one keeps its own. */
int discovery_store_put(struct store *store, int64_t number, const uint8_t id[UUID_BYTES],
			const struct key *key, const void *facts, size_t facts_bytes,
			int64_t now_wall_ms, const struct discovery_stamp *stamp);

/* Another key for a node. 0; -EPERM when the node has not the key `from` (any more), -EEXIST when
 * `to` has another id; -EIO. */
int discovery_store_rekey(struct store *store, const uint8_t id[UUID_BYTES], const struct key *from,
			  const struct key *to, int64_t tokens_since_ms);

/* Forgets a node's facts; the binding stays. 0 or -EIO. */
int discovery_store_delete(struct store *store, const uint8_t id[UUID_BYTES], int64_t now_wall_ms,
			   int64_t tokens_since_ms, const struct discovery_stamp *stamp);

/* A node fell silent. 0 or -EIO. */
int discovery_store_offline(struct store *store, const uint8_t id[UUID_BYTES],
			    int64_t last_seen_wall_ms, const struct discovery_stamp *stamp);

struct discovery_row {
	int64_t number;
	uint8_t id[UUID_BYTES];
	struct key key;
	const void *facts;
	size_t facts_bytes;
	bool deleted, online;
	int64_t registered_wall_ms, last_seen_wall_ms;
	int64_t tokens_since_ms;
	int64_t change;
	uint64_t version;
};

/* Changes after one and up to another, without those of one writer. */
struct discovery_span {
	int64_t after, until, not_writer;
};

/* All rows in order of their numbers. fn's non-zero result ends it and is returned; -EBADMSG for a
 * row that cannot be read. */
typedef int (*discovery_row_fn)(const struct discovery_row *row, void *arg);
int discovery_store_each(struct store *store, discovery_row_fn fn, void *arg);

/* The changed ones in order of their changes, at most max. Returns how many, or as above. */
int discovery_store_changed(struct store *store, const struct discovery_span *span, size_t max,
			    discovery_row_fn fn, void *arg);

/* Heartbeats of one replica since its last (discovery_beats). part numbers those of one change. */
int discovery_store_put_beats(struct store *store, int64_t part, int64_t heard_wall_ms,
			      const void *bytes, size_t n, const struct discovery_stamp *stamp);
int discovery_store_prune_beats(struct store *store, int64_t before_wall_ms);
typedef int (*discovery_beats_fn)(int64_t change, int64_t heard_wall_ms, const void *bytes,
				  size_t n, void *arg);
int discovery_store_beats(struct store *store, const struct discovery_span *span, size_t max,
			  discovery_beats_fn fn, void *arg);

/* What relays last announced (packed), and under which name on the bus. */
int discovery_store_put_relay(struct store *store, const char *id, const void *bytes, size_t n,
			      const char *peer, const struct discovery_stamp *stamp);
int discovery_store_remove_relay(struct store *store, const char *id);
typedef int (*discovery_relay_fn)(const void *bytes, size_t n, const char *peer, void *arg);
int discovery_store_relays(struct store *store, const struct discovery_span *span,
			   discovery_relay_fn fn, void *arg);

/* Proofs that were used, for replicas: 1 for the first that names this one, 0 for others, -EIO. */
int discovery_store_first_proof(struct store *store, const char *nonce, int64_t now_wall_ms);
int discovery_store_prune_proofs(struct store *store, int64_t before_wall_ms);
