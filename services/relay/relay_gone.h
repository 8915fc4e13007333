/*
 * relay_gone: who may not come back with the ticket they hold: sessions that were closed at a node
 * (they may have moved to another), nodes that were deleted. Bounded: the oldest is forgotten for
 * the newest. One thread, no clock.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"

#include <stdbool.h>
#include <sys/queue.h>

enum { RELAY_GONE_MAX = 8192 };

struct relay_gone_entry;

struct relay_gone {
	struct idtable entries;
	TAILQ_HEAD(, relay_gone_entry) by_age; /* the oldest first */
};

int relay_gone_init(struct relay_gone *gone);
void relay_gone_fini(struct relay_gone *gone);

/* session_id NULL: the node as a whole, which says nothing of its sessions. */
void relay_gone_add(struct relay_gone *gone, const uint8_t node_id[UUID_BYTES],
		    const uint8_t *session_id);
void relay_gone_remove(struct relay_gone *gone, const uint8_t node_id[UUID_BYTES],
		       const uint8_t *session_id);
bool relay_gone_has(const struct relay_gone *gone, const uint8_t node_id[UUID_BYTES],
		    const uint8_t *session_id);
