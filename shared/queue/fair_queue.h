/*
 * fair_queue: what waits for a socket that does not take it yet, at either end of a leg. A model:
 * no I/O, no clock.
 *
 *	committed	bytes already promised to the socket, in order; a cut frame is at its head
 *	control		control messages; always before data, never dropped for data
 *	lanes		one per flow (a channel and direction), bounded in bytes and age, oldest
 *			dropped first, served by deficit round robin (Shreedhar and Varghese, 1995)
 *
 * Shares are equal over some time, not at each moment: a lane that waited for nothing while others
 * took their turns has credit for these, up to FAIR_CREDIT_BYTES, and goes before those that have
 * none. So who stays below his share hardly queues behind who wants more, and is through first when
 * the socket took nothing for a while. Of those with credit one that takes no more than a small
 * part of what goes (a call, pings) has its first turn at once, as new flows have in RFC 8290; it
 * pays with its credit as for any turn, so that to stop and come again gains no share, nor does
 * to go and come anew. A ledger over several outboxes knows which lane holds the most. Nothing is
 * allocated while nothing waits. One thread at a time.
 */
#pragma once

#include "metrics/metric_spread.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FAIR_QUANTUM_BYTES = 1536,	    /* of a lane's turn: one frame of the usual size */
	FAIR_CREDIT_BYTES = 256 * 1024,	    /* of turns not used, at most */
	FAIR_SPARSE_PART = 32,		    /* of what goes; who takes no more is sparse */
	FAIR_SPARSE_BYTES = 32 * 1024,	    /* or who has taken nothing of so much */
	FAIR_COMMIT_BYTES = 64 * 1024,	    /* promised at once */
	FAIR_COMMIT_LEAST_BYTES = 2 * 1024, /* to a socket that takes little */
	FAIR_ITEM_COST_BYTES = 48,	    /* of a frame that waits, beside its bytes */
	FAIR_LEDGER_CLASSES = 33,	    /* powers of two of what a lane holds */
};

struct fair_item {
	struct fair_item *next;
	int64_t queued_at_ms;
	uint32_t n;
	uint8_t bytes[]; /* a whole frame; in `committed` possibly the rest of one */
};

struct fair_list {
	struct fair_item *head, *tail;
	uint32_t bytes, count;
};

/* Its owner's, who knows what the frames are; all zero at first. */
struct fair_lane {
	struct fair_list waiting;
	struct fair_outbox *outbox;	    /* that it waits in; NULL: none */
	struct fair_lane *next, *previous;  /* in one of that outbox's rings */
	struct fair_lane *larger, **bin_at; /* in the ledger */
	uint32_t deficit, credit;	    /* bytes it may send: in this turn, and before others */
	uint32_t left_at;		    /* outbox->turns_bytes when it last waited */
	uint32_t sparse_from;		    /* outbox->taken_bytes from which on it is sparse */
	uint8_t bin;			    /* of the ledger; 0: none */
	bool has_credit, has_turn;
};

struct fair_outbox {
	struct fair_list committed, control;
	struct fair_ledger *ledger;
	struct fair_lane *first, *ring;	 /* whose turn is next: with credit, without */
	uint32_t ring_count, granted;	 /* lanes in ring; turns of theirs in this round */
	uint32_t turns_bytes;		 /* what each lane of ring was given so far; wraps */
	uint32_t taken_bytes;		 /* from all lanes so far; wraps */
	uint32_t sent;			 /* bytes of committed.head that the socket took */
	uint32_t lane_bytes, lane_items; /* in all lanes */
	uint32_t commit_bytes;		 /* promised at once; 0: FAIR_COMMIT_BYTES */
};

/* All lanes in which something waits, by the power of two of how much. */
struct fair_ledger {
	struct fair_lane *bins[FAIR_LEDGER_CLASSES];
};

struct fair_limits {
	uint32_t lane_bytes;
	int64_t age_ms;
	struct metric_spread *ages; /* of what is sent after all; may be NULL */
};

/* Told of each frame that is dropped; must not touch the queue. */
enum fair_drop_reason {
	FAIR_DROPPED_FULL,
	FAIR_DROPPED_AGE,
	FAIR_DROPPED_GONE,
	FAIR_DROPPED_MEMORY,
};
typedef void (*fair_drop_fn)(struct fair_lane *lane, const struct fair_item *item,
			     enum fair_drop_reason reason, void *arg);

/* A copy of n bytes; NULL when out of memory. */
struct fair_item *fair_item_new(const uint8_t *bytes, size_t n, int64_t now_ms);

void fair_list_push(struct fair_list *list, struct fair_item *item);
struct fair_item *fair_list_pop(struct fair_list *list);
void fair_list_clear(struct fair_list *list);

static inline bool
fair_outbox_is_empty(const struct fair_outbox *outbox)
{
	return outbox->committed.head == NULL && outbox->control.head == NULL &&
	       outbox->lane_items == 0;
}

/* The memory of everything that waits, in bytes. */
static inline uint32_t
fair_outbox_bytes(const struct fair_outbox *outbox)
{
	return outbox->committed.bytes + outbox->control.bytes + outbox->lane_bytes +
	       (outbox->committed.count + outbox->control.count + outbox->lane_items) *
		       FAIR_ITEM_COST_BYTES;
}

/* The lane, in which nothing waits, is there from now on only: turns that it was not there for are
 * no credit, but for one. Without this it is there since the outbox is. */
void fair_lane_begin(const struct fair_outbox *outbox, struct fair_lane *lane);

/* Takes the item; drops the oldest of the lane while it is over its bytes. */
void fair_lane_push(struct fair_outbox *outbox, struct fair_lane *lane, struct fair_item *item,
		    const struct fair_limits *limits, fair_drop_fn drop, void *arg);

/* Everything that waits in the lane goes, and the lane leaves its outbox. */
void fair_lane_clear(struct fair_lane *lane, fair_drop_fn drop, void *arg);

/* Moves what should go next into committed, up to commit_bytes: control, then lanes by turn.
 * Frames that are too old are dropped on the way. */
void fair_outbox_commit(struct fair_outbox *outbox, const struct fair_limits *limits,
			int64_t now_ms, fair_drop_fn drop, void *arg);

/* The same for one frame, which is the caller's then: for who hands frames on whole. NULL: nothing
 * waits. */
struct fair_item *fair_outbox_take(struct fair_outbox *outbox, const struct fair_limits *limits,
				   int64_t now_ms, fair_drop_fn drop, void *arg);

/* The socket took n bytes of committed. */
void fair_outbox_sent(struct fair_outbox *outbox, size_t n);

/* About n bytes are promised at once from now on, within FAIR_COMMIT_*. */
void fair_outbox_pace(struct fair_outbox *outbox, size_t n);

/* Frees committed and control. Lanes are their channels' and must have been cleared. */
void fair_outbox_fini(struct fair_outbox *outbox);

/* Drops the oldest frame of a lane that holds the most, within a factor of two. Returns the outbox
 * it waited in; NULL: nothing waits in any lane. */
struct fair_outbox *fair_ledger_evict(struct fair_ledger *ledger, fair_drop_fn drop, void *arg);
