/*
 * discovery_relays: the relays that announced themselves lately. The model: no I/O, no clock. A few
 * dozen at most, so a list is enough. One thread.
 */
#pragma once

#include "common.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RELAYS_MAX = 100,
	RELAYS_SILENCE_MS = 15 * 1000,
	RELAYS_PEER_BYTES = 64,
	RELAYS_ANNOUNCEMENT_MAX_BYTES = 2048,
};

struct relays_entry {
	Boson__Common__Relay *relay;
	char peer[RELAYS_PEER_BYTES]; /* its name on the bus: nobody else may use its id */
	int64_t silent_at_ms;	      /* monotonic: forgotten then unless it says more */
	bool is_unsaved;	      /* other replicas do not know yet */
	uint32_t number;	      /* in order of their coming */
};

struct relays {
	struct relays_entry entries[RELAYS_MAX];
	size_t count;
	uint32_t last_number;
};

void discovery_relays_fini(struct relays *relays);

/* Takes note of an announcement (copied) by this peer. *ret_changed: something other than its load
 * is new. 0, -EEXIST when another peer announced this id and is not silent, -ENOSPC when there are
 * RELAYS_MAX others, -ENOMEM. */
int discovery_relays_announce(struct relays *relays, const Boson__Common__Relay *relay,
			      const char *peer, int64_t now_ms, bool *ret_changed);

/* What is to be written for other replicas. */
void discovery_relays_unsaved(struct relays *relays, const char *id);
bool discovery_relays_has_unsaved(const struct relays *relays);
void discovery_relays_saved(struct relays *relays);

/* Nobody listened for a while: all count as heard now. */
void discovery_relays_forgive(struct relays *relays, int64_t now_ms);

/* One relay that fell silent, off the list and the caller's to free, or NULL. */
Boson__Common__Relay *discovery_relays_expire(struct relays *relays, int64_t now_ms);

/* Those whose ids come after this one (NULL: all), in order of their ids; those that drain as well
 * or not. Returns how many, at most max. */
size_t discovery_relays_after(const struct relays *relays, const char *id, bool draining_too,
			      const Boson__Common__Relay **ret_relays, size_t max);

/* The relay that came next after this number, and its own; NULL: none did. */
const Boson__Common__Relay *discovery_relays_next(const struct relays *relays, uint32_t *number);

/* Those of a group that take new legs, least loaded first. Returns how many, at most max. */
size_t discovery_relays_pick(const struct relays *relays, const char *group,
			     const Boson__Common__Relay **ret_picked, size_t max);
