/*
 * store_lease: who of several processes on one store does what only one may. The holder takes it
 * again in the very transaction that depends on it, so that whoever was thought dead and wakes up
 * writes nothing. Clocks are never compared: a holder is gone when its row has not changed for
 * `ttl_ms` of one's own monotonic clock. One thread, as the store.
 */
#pragma once

#include "store/store.h"

/* Part of a migration of whoever uses leases. */
#define STORE_LEASE_SQL                    \
	"CREATE TABLE leases ("            \
	" name TEXT NOT NULL PRIMARY KEY," \
	" owner TEXT NOT NULL,"            \
	" beat BIGINT NOT NULL)"

enum { STORE_LEASE_OWNER_BYTES = 33 };

struct store_lease {
	const char *name;
	int64_t ttl_ms;
	char owner[STORE_LEASE_OWNER_BYTES];	  /* us: random, of this process's life */
	char seen_owner[STORE_LEASE_OWNER_BYTES]; /* who held it when we looked last */
	int64_t seen_beat, seen_ms;		  /* and since when it has not moved */
	bool is_seen;
};

/* name: a static string. 0, or -errno when there is no randomness. */
int store_lease_init(struct store_lease *lease, const char *name, int64_t ttl_ms);

/* Takes or renews it, in the open transaction if there is one: what that writes is then the
 * holder's. Call it at least every third of ttl_ms. 1: it is ours; 0: another's; -EIO. A
 * transaction that is rolled back has not renewed it. */
int store_lease_hold(struct store_lease *lease, struct store *store, int64_t now_ms);

/* Lets the next have it at once, if it is ours. */
int store_lease_release(struct store_lease *lease, struct store *store);
