/*
 * relay_channel: who is joined with whom in one shard. A model: no I/O, no clock.
 *
 *	node	one HiggsNode: its leg, while it has one, and its channels
 *	channel	one client leg of one session, numbered within the node's leg
 *
 * A node is there as long as it has a leg or a channel. Its channels outlive its leg: they lose
 * their numbers, and get new ones with the next leg. One thread.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"
#include "relay/relay_carried.h"
#include "relay/relay_lane.h"
#include "relay/relay_rate.h"
#include "relay/relay_wheel.h"

#include <string.h>

struct relay_leg;

enum { RELAY_CHANNELS_MAX = 65535, RELAY_ANNOUNCED_MAX = 3 };

/* How often a leg took the place of one that was there. Two hosts with one key would go on for
 * ever.
 */
struct relay_swaps {
	int64_t since_ms;
	uint32_t n;
};

enum { RELAY_SWAPS_MAX = 3, RELAY_SWAPS_MS = 10 * 1000 };

/* Counts one more: false when it is one too many. A few at once, then one in RELAY_SWAPS_MS. */
static inline bool
relay_swaps_add(struct relay_swaps *swaps, int64_t now_ms)
{
	int64_t forgiven = (now_ms - swaps->since_ms) / RELAY_SWAPS_MS;

	if (forgiven >= swaps->n)
		*swaps = (struct relay_swaps){ .since_ms = now_ms };
	else
		*swaps = (struct relay_swaps){ swaps->since_ms + forgiven * RELAY_SWAPS_MS,
					       swaps->n - (uint32_t)forgiven };
	return swaps->n < RELAY_SWAPS_MAX && ++swaps->n > 0;
}

struct relay_node {
	struct idtable_link by_id;
	uint8_t id[UUID_BYTES];
	struct relay_leg *leg;
	uint64_t generation; /* of its newest leg */
	bool is_sought;	     /* the control actor looks for a relay that has its leg */
	struct relay_channel **slots;
	uint32_t capacity, count;
	uint32_t foreign; /* of these, legs at other relays */
	uint32_t next_slot;
	uint16_t serial;
	struct relay_swaps swaps;
	struct relay_timer grace; /* runs while there are channels and no leg */
};

struct relay_channel {
	struct idtable_link by_session;
	uint8_t session_id[UUID_BYTES]; /* all zero: not known yet */
	uint64_t generation;		/* when its client leg came: wall clock, us */
	struct relay_swaps swaps;	/* of the session's legs */
	struct relay_node *node;
	struct relay_leg *client;
	uint32_t number; /* 0 while the node has no leg */
	uint32_t slot;
	struct relay_lane to_node, to_client;
	struct relay_channel *next_limited, **limited_at; /* see relay_drops */
	struct relay_rate rate_up, rate_down;
	uint32_t announced[RELAY_ANNOUNCED_MAX]; /* indexes in its handshakes, newest first */
	struct relay_carried carried;		 /* since it was last reported */
};

struct relay_directory {
	struct idtable nodes;	 /* relay_node by id */
	struct idtable channels; /* relay_channel by session: the newest of each */
};

int relay_directory_init(struct relay_directory *directory);

/* All nodes and channels must be gone. */
void relay_directory_fini(struct relay_directory *directory);

struct relay_node *relay_node_find(const struct relay_directory *directory,
				   const uint8_t id[UUID_BYTES]);

/* Finds or makes; NULL when out of memory. */
struct relay_node *relay_node_get(struct relay_directory *directory, const uint8_t id[UUID_BYTES]);

/* Frees a node that has neither leg nor channels; else does nothing and returns false. */
bool relay_node_put(struct relay_directory *directory, struct relay_node *node);

/* The node has a new leg: its generation grows (from now_us, so that it grows across restarts of
 * the relay, too) and its channels get new numbers. */
void relay_node_attach(struct relay_node *node, struct relay_leg *leg, uint64_t now_us);

/* The node's leg is gone: its channels have no numbers. */
void relay_node_detach(struct relay_node *node);

static inline bool
relay_channel_has_session(const struct relay_channel *channel)
{
	static const uint8_t none[UUID_BYTES];

	return memcmp(channel->session_id, none, UUID_BYTES) != 0;
}

/* The channel of this number on the node's leg, or NULL. */
static inline struct relay_channel *
relay_node_channel(const struct relay_node *node, uint32_t number)
{
	uint32_t slot = number & 0xffff;
	struct relay_channel *channel = slot < node->capacity ? node->slots[slot] : NULL;

	return channel != NULL && channel->number == number ? channel : NULL;
}

/* The i-th channel from *i on, which is moved past it; NULL at the end. */
struct relay_channel *relay_node_next(const struct relay_node *node, uint32_t *i);

struct relay_channel *relay_channel_find(const struct relay_directory *directory,
					 const uint8_t session_id[UUID_BYTES]);

/* Joins a client leg to the node, and becomes the session's newest channel; an older one is no
 * longer found, but stays until it is freed. session_id NULL: of a session that is not known, and
 * not to be found. -ENOSPC: the node has max_channels. */
int relay_channel_new(struct relay_directory *directory, struct relay_node *node,
		      const uint8_t *session_id, struct relay_leg *client, uint32_t max_channels,
		      struct relay_channel **ret);

/* Its lanes must have been cleared. */
void relay_channel_free(struct relay_directory *directory, struct relay_channel **channel);
