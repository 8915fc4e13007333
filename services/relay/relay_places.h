/*
 * relay_places: a door has so many places for connections that are not admitted yet, and an address
 * no more than its share of them. Who has had one for long makes room when none is left. That
 * thread only, but for relay_places_most.
 */
#pragma once

#include "relay/relay_pending.h"
#include "relay/relay_settings.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

struct relay_shard;
struct relay_upgrade;

enum {
	RELAY_PLACES_A_SHARD = 512, /* who waits in the backlog instead costs nothing, and is not
				       late */
	RELAY_PLACE_MS = 1000,	    /* that nobody is driven from a place of these */
};

struct relay_places {
	uint32_t taken;
	TAILQ_HEAD(, relay_upgrade) by_age; /* who came first, first */
	struct relay_pending pending;
};

int relay_places_init(struct relay_places *places);

/* All must have been put. */
void relay_places_fini(struct relay_places *places);

/* How many a door has. */
uint32_t relay_places_most(const struct relay_settings *settings);

/* Is there one, or could one be made? */
bool relay_places_clear(struct relay_shard *shard);

/* Takes one, of the share of this address. -EBUSY: it has that already, or out of memory. */
int relay_places_take(struct relay_shard *shard, struct relay_upgrade *upgrade,
		      const struct sockaddr *address);

/* It was admitted, or has gone: its place, if it has one, is another's. */
void relay_places_put(struct relay_upgrade *upgrade);
