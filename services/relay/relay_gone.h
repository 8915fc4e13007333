/*
 * relay_gone: ids that may not come back with the ticket they hold: sessions that were closed,
 * nodes that were deleted. Bounded: the oldest is forgotten for the newest. One thread, no clock.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"

#include <stdbool.h>

enum { RELAY_GONE_MAX = 8192 };

struct relay_gone_entry;

struct relay_gone {
	struct idtable entries;
	struct relay_gone_entry *oldest, *newest;
};

int relay_gone_init(struct relay_gone *gone);
void relay_gone_fini(struct relay_gone *gone);
void relay_gone_add(struct relay_gone *gone, const uint8_t id[UUID_BYTES]);
void relay_gone_remove(struct relay_gone *gone, const uint8_t id[UUID_BYTES]);
bool relay_gone_has(const struct relay_gone *gone, const uint8_t id[UUID_BYTES]);
