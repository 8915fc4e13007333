/*
 * relay_clones: nodes whose legs take the place of others that live, again and again: one key is on
 * two hosts. A node that came anew after its connection had died is none of these, nor is one that
 * went to another relay once. A model: no I/O, no clock. One thread.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"

#include <sys/queue.h>

enum {
	RELAY_CLONES_MAX = 4096, /* the one that is quiet for longest is forgotten */
	RELAY_CLONES_SWAPS = 3,
	RELAY_CLONES_MS = 5 * 60 * 1000, /* who is replaced waits 30 s before it comes back */
};

struct relay_clone;

struct relay_clones {
	struct idtable nodes;
	TAILQ_HEAD(, relay_clone) by_news; /* the quietest first */
};

int relay_clones_init(struct relay_clones *clones);
void relay_clones_fini(struct relay_clones *clones);

/* A leg took a living one's place; is_sure: it was one of so many that the next was refused.
 * Returns how often within RELAY_CLONES_MS, when that should be told; else 0. Told once in that
 * time. */
unsigned relay_clones_add(struct relay_clones *clones, const uint8_t node_id[UUID_BYTES],
			  bool is_sure, int64_t now_ms);
