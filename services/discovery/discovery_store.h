/*
 * discovery_store: the nodes' rows; the only SQL of discovery. A row is a binding of an id to a key
 * for good; its facts are a packed boson.discovery.Node. Called by discovery_handlers (writes,
 * within the mailbox's batch) and discovery_actor (load, liveness).
 */
#pragma once

#include "identity/key.h"
#include "store/store.h"

#include <stdbool.h>

extern const struct store_migration discovery_migrations[];
extern const size_t discovery_migrations_n;

int discovery_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes);

/* A registration. 0; -EEXIST when the key has another id, -EPERM when the id has another key;
 * -EIO. number orders new rows; an old one keeps its own. */
int discovery_store_put(struct store *store, int64_t number, const uint8_t id[UUID_BYTES],
			const struct key *key, const void *facts, size_t facts_bytes,
			int64_t now_wall_ms);

/* Another key for a node. 0; -EPERM when the node has not the key `from` (any more), -EEXIST when
 * `to` has another id; -EIO. */
int discovery_store_rekey(struct store *store, const uint8_t id[UUID_BYTES], const struct key *from,
			  const struct key *to, int64_t tokens_since_ms);

/* Forgets a node's facts; the binding stays. 0 or -EIO. */
int discovery_store_delete(struct store *store, const uint8_t id[UUID_BYTES], int64_t now_wall_ms,
			   int64_t tokens_since_ms);

/* 0 or -EIO. */
int discovery_store_seen(struct store *store, const uint8_t id[UUID_BYTES], bool online,
			 int64_t last_seen_wall_ms);

struct discovery_row {
	int64_t number;
	uint8_t id[UUID_BYTES];
	struct key key;
	const void *facts;
	size_t facts_bytes;
	bool deleted, online;
	int64_t registered_wall_ms, last_seen_wall_ms;
	int64_t tokens_since_ms;
};

/* All rows in order of their numbers. fn's non-zero result ends it and is returned; -EBADMSG for a
 * row that cannot be read. */
typedef int (*discovery_row_fn)(const struct discovery_row *row, void *arg);
int discovery_store_each(struct store *store, discovery_row_fn fn, void *arg);
