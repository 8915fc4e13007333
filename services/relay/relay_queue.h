/*
 * relay_queue: what waits for a leg that does not take it yet. A model: no I/O, no clock.
 *
 *	committed	bytes already promised to the socket, in order; a cut frame is at its head
 *	control		control messages; always before data, never dropped for data
 *	lanes		one per channel and direction, bounded in bytes and age, oldest dropped
 *			first, served by deficit round robin (Shreedhar and Varghese, 1995)
 *
 * A lane that begins to wait goes before those that have waited since their last turn, once, with
 * an advance that it pays back (after RFC 8290, section 4.2): who sends little hardly queues behind
 * who sends much. A ledger over all outboxes of a shard knows which lane holds the most. Nothing is
 * allocated while nothing waits. One thread.
 */
#pragma once

#include "relay/relay_histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RELAY_QUANTUM_BYTES = 1536,	     /* of a lane's turn: one frame of the usual size */
	RELAY_ADVANCE_BYTES = 12 * 1024,     /* more for one that begins to wait */
	RELAY_COMMIT_BYTES = 64 * 1024,	     /* promised at once */
	RELAY_COMMIT_LEAST_BYTES = 2 * 1024, /* to a socket that takes little */
	RELAY_CONTROL_MAX_BYTES = 1 << 20,   /* more than this waiting: the leg is lost */
	RELAY_ITEM_COST_BYTES = 48,	     /* of a frame that waits, beside its bytes */
	RELAY_LEDGER_CLASSES = 33,	     /* powers of two of what a lane holds */
};

struct relay_item {
	struct relay_item *next;
	int64_t queued_at_ms;
	uint32_t n;
	uint8_t bytes[]; /* a whole frame; in `committed` possibly the rest of one */
};

struct relay_list {
	struct relay_item *head, *tail;
	uint32_t bytes, count;
};

/* What its frames hold and whom they come from; the queue itself does not look. */
enum relay_lane_form {
	RELAY_LANE_TO_NODE,
	RELAY_LANE_TO_CLIENT,
	RELAY_LANE_TO_RAW_CLIENT, /* a frame is a datagram */
};

struct relay_lane {
	struct relay_list waiting;
	struct relay_outbox *outbox;	     /* that it waits in; NULL: none */
	struct relay_lane *next, *previous;  /* in one of that outbox's rings */
	struct relay_lane *larger, **bin_at; /* in the ledger */
	int32_t deficit;
	uint8_t bin; /* of the ledger; 0: none */
	bool is_fresh, has_turn;
	uint8_t form; /* enum relay_lane_form */
	/* See relay_drops: what the lane's sender has not been told yet, and when it last was. */
	bool is_told;
	uint8_t reason;
	uint32_t dropped, retry_ms, told_at_ms;
};

struct relay_outbox {
	struct relay_list committed, control;
	struct relay_ledger *ledger;
	struct relay_lane *fresh, *ring; /* whose turn is next, each */
	uint32_t sent;			 /* bytes of committed.head that the socket took */
	uint32_t lane_bytes, lane_items; /* in all lanes */
	uint32_t commit_bytes;		 /* promised at once; 0: RELAY_COMMIT_BYTES */
};

/* All lanes in which something waits, by the power of two of how much. */
struct relay_ledger {
	struct relay_lane *bins[RELAY_LEDGER_CLASSES];
};

struct relay_queue_limits {
	uint32_t lane_bytes;
	int64_t age_ms;
	struct relay_histogram *ages; /* of what is sent after all; may be NULL */
};

/* Told of each frame that is dropped; must not touch the queue. */
enum relay_drop_reason {
	RELAY_DROPPED_FULL,
	RELAY_DROPPED_AGE,
	RELAY_DROPPED_GONE,
	RELAY_DROPPED_MEMORY,
};
typedef void (*relay_drop_fn)(struct relay_lane *lane, const struct relay_item *item,
			      enum relay_drop_reason reason, void *arg);

/* A copy of n bytes; NULL when out of memory. */
struct relay_item *relay_item_new(const uint8_t *bytes, size_t n, int64_t now_ms);

void relay_list_push(struct relay_list *list, struct relay_item *item);
struct relay_item *relay_list_pop(struct relay_list *list);
void relay_list_clear(struct relay_list *list);

static inline bool
relay_outbox_is_empty(const struct relay_outbox *outbox)
{
	return outbox->committed.head == NULL && outbox->control.head == NULL &&
	       outbox->lane_items == 0;
}

/* The memory of everything that waits, in bytes. */
static inline uint32_t
relay_outbox_bytes(const struct relay_outbox *outbox)
{
	return outbox->committed.bytes + outbox->control.bytes + outbox->lane_bytes +
	       (outbox->committed.count + outbox->control.count + outbox->lane_items) *
		       RELAY_ITEM_COST_BYTES;
}

/* Takes the item; drops the oldest of the lane while it is over its bytes. */
void relay_lane_push(struct relay_outbox *outbox, struct relay_lane *lane, struct relay_item *item,
		     const struct relay_queue_limits *limits, relay_drop_fn drop, void *arg);

/* Everything that waits in the lane goes, and the lane leaves its outbox. */
void relay_lane_clear(struct relay_lane *lane, relay_drop_fn drop, void *arg);

/* Moves what should go next into committed, up to commit_bytes: control, then lanes by turn.
 * Frames that are too old are dropped on the way. */
void relay_outbox_commit(struct relay_outbox *outbox, const struct relay_queue_limits *limits,
			 int64_t now_ms, relay_drop_fn drop, void *arg);

/* The socket took n bytes of committed. */
void relay_outbox_sent(struct relay_outbox *outbox, size_t n);

/* About n bytes are promised at once from now on, within RELAY_COMMIT_*. */
void relay_outbox_pace(struct relay_outbox *outbox, size_t n);

/* Frees committed and control. Lanes are their channels' and must have been cleared. */
void relay_outbox_fini(struct relay_outbox *outbox);

/* Drops the oldest frame of a lane that holds the most, within a factor of two. Returns the outbox
 * it waited in; NULL: nothing waits in any lane. */
struct relay_outbox *relay_ledger_evict(struct relay_ledger *ledger, relay_drop_fn drop, void *arg);
