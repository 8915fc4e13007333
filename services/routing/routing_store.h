/*
 * routing_store: the sessions' rows; the only SQL of routing. Called by routing_commit and
 * routing_handlers (writes), routing_actor (load).
 */
#pragma once

#include "routing/routing_session.h"
#include "store/store.h"

int routing_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes);

/* Each 0 or -EIO. put adds a session or replaces what is kept of it. */
int routing_store_put(struct store *store, const struct session_record *record);
int routing_store_set_status(struct store *store, const uint8_t id[UUID_BYTES],
			     enum session_status status);
int routing_store_remove(struct store *store, const uint8_t id[UUID_BYTES]);

/* All rows. fn's non-zero result ends it and is returned; -EBADMSG for one that cannot be read. */
typedef int (*routing_row_fn)(const struct session_record *record, void *arg);
int routing_store_each(struct store *store, routing_row_fn fn, void *arg);

/* Clients: the newest open session of each, or its newest, and how many it has open. By client id,
 * those after `after` ("" for the first). 0 or -EIO. */
typedef int (*routing_client_fn)(const struct session_record *record, int64_t open, void *arg);
int routing_store_clients(struct store *store, const char *after, size_t limit,
			  routing_client_fn fn, void *arg);
int routing_store_client(struct store *store, const uint8_t client_id[UUID_BYTES],
			 routing_client_fn fn, void *arg);
