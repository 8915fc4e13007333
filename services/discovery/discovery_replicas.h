/*
 * discovery_replicas: how several discoveries share one PostgreSQL. Each has the whole registry in
 * memory and asks the tables a few times a second what the others changed (discovery_follow); what
 * it hears of nodes and relays it writes behind, many heartbeats in one row (discovery_liveness).
 * One of them, the holder of a lease, finds out who fell silent. With SQLite there is one, and it
 * holds everything.
 */
#pragma once

#include "discovery/discovery_handlers.h"
#include "discovery/discovery_store.h"

enum {
	DISCOVERY_FOLLOW_MS = 250,
	DISCOVERY_FOLLOW_AGAIN_MS = 2000, /* while the database is away or slow */
	DISCOVERY_SLOW_MS = 500,
	/* Longer than this without a look at the world, and silence says nothing about nodes. */
	DISCOVERY_BLIND_MS = 5000,
	DISCOVERY_SYNC_MS = 3000, /* who has not followed for so long sweeps nobody */
	DISCOVERY_LEASE_MS = 6000,
	DISCOVERY_LEASE_RENEW_MS = 2000,
};

/* Opens and loads the store: all nodes, and what was heard of them lately. 0; -EAGAIN: a database
 * server does not answer, and it is tried again by itself once a second; or an exit code. */
int discovery_store_start(struct discovery *discovery);

/* Loads all of it. 0 or -errno. */
int discovery_load(struct discovery *discovery);

/* Takes on what other replicas changed; 0 or -EIO. */
int discovery_follow(struct discovery *discovery);

/* The same because of somebody we do not know: he may have come to another replica a moment ago.
 * True when it is worth to look once more. */
bool discovery_catch_up(struct discovery *discovery);

/* Who fell silent, and what was heard. */
int discovery_liveness_start(struct discovery *discovery);
void discovery_liveness_stop(struct discovery *discovery);

/* The stamp of a write in the open transaction; before its savepoint. 0 or -EIO. */
int discovery_stamp(struct discovery *discovery, struct discovery_stamp *ret);
