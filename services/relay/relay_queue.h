/*
 * relay_queue: what waits for a leg that does not take it yet. A model: no I/O, no clock.
 *
 *	committed	bytes already promised to the socket, in order; a cut frame is at its head
 *	control		control messages; always before data, never dropped for data
 *	lanes		one per channel and direction, bounded in bytes and age, oldest dropped
 *			first, served by deficit round robin (Shreedhar and Varghese, 1995)
 *
 * Nothing is allocated while nothing waits. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RELAY_QUANTUM_BYTES = 16 * 1024,   /* of a lane's turn */
	RELAY_COMMIT_BYTES = 64 * 1024,	   /* promised at once */
	RELAY_CONTROL_MAX_BYTES = 1 << 20, /* more than this waiting: the leg is lost */
};

struct relay_item {
	struct relay_item *next;
	int64_t queued_at_ms;
	uint32_t n;
	uint8_t bytes[]; /* a whole frame; in `committed` possibly the rest of one */
};

struct relay_list {
	struct relay_item *head, *tail;
	uint32_t bytes;
};

struct relay_lane {
	struct relay_list waiting;
	struct relay_lane *next; /* in the outbox's ring, while it has something waiting */
	uint32_t deficit;
	bool is_active;
};

struct relay_outbox {
	struct relay_list committed, control;
	struct relay_lane *ring; /* the last of the ring; its next has the turn */
	uint32_t sent;		 /* bytes of committed.head that the socket took */
	uint32_t lane_bytes;	 /* in all lanes of the ring */
};

struct relay_queue_limits {
	uint32_t lane_bytes;
	int64_t age_ms;
};

/* Told of each frame that is dropped; must not touch the queue. */
enum relay_drop_reason { RELAY_DROPPED_FULL, RELAY_DROPPED_AGE, RELAY_DROPPED_GONE };
typedef void (*relay_drop_fn)(const struct relay_item *item, enum relay_drop_reason reason,
			      void *arg);

/* A copy of n bytes; NULL when out of memory. */
struct relay_item *relay_item_new(const uint8_t *bytes, size_t n, int64_t now_ms);

void relay_list_push(struct relay_list *list, struct relay_item *item);
struct relay_item *relay_list_pop(struct relay_list *list);
void relay_list_clear(struct relay_list *list);

static inline bool
relay_outbox_is_empty(const struct relay_outbox *outbox)
{
	return outbox->committed.head == NULL && outbox->control.head == NULL &&
	       outbox->ring == NULL;
}

/* Everything that waits, in bytes. */
static inline uint32_t
relay_outbox_bytes(const struct relay_outbox *outbox)
{
	return outbox->committed.bytes + outbox->control.bytes + outbox->lane_bytes;
}

/* Takes the item; drops the oldest of the lane while it is over its bytes. */
void relay_lane_push(struct relay_outbox *outbox, struct relay_lane *lane, struct relay_item *item,
		     const struct relay_queue_limits *limits, relay_drop_fn drop, void *arg);

/* Everything that waits in the lane goes, and the lane leaves the ring. */
void relay_lane_clear(struct relay_outbox *outbox, struct relay_lane *lane, relay_drop_fn drop,
		      void *arg);

/* Moves what should go next into committed, up to RELAY_COMMIT_BYTES: control, then lanes by turn.
 * Frames that are too old are dropped on the way. */
void relay_outbox_commit(struct relay_outbox *outbox, const struct relay_queue_limits *limits,
			 int64_t now_ms, relay_drop_fn drop, void *arg);

/* The socket took n bytes of committed. */
void relay_outbox_sent(struct relay_outbox *outbox, size_t n);

/* Frees committed and control. Lanes are their channels' and must have been cleared. */
void relay_outbox_fini(struct relay_outbox *outbox);
