/*
 * leg_outbox: what waits to go out over a leg: control messages, which are never dropped for data,
 * and data in lanes (queue/fair_queue.h), one per channel of a node's leg, one in all of a
 * client's. A lane is there while something waits in it. Not locked: leg_line's lock is around
 * every call but _init and _fini. Inside shared/leg only.
 */
#pragma once

#include "idtable/idtable.h"
#include "metrics/metrics.h"
#include "queue/fair_queue.h"

enum {
	/* Before a message, for the header of its frame. */
	LEG_OUTBOX_ROOM_BYTES = 16,
	LEG_OUTBOX_LANES_FULL = 4, /* all lanes together hold what so many full ones do */
	LEG_OUTBOX_REASONS = FAIR_DROPPED_MEMORY + 1,
};

struct leg_outbox {
	bool is_node;
	struct fair_outbox fair;
	struct fair_ledger ledger;
	struct fair_limits limits;
	uint64_t most_bytes;	/* of all lanes; more is taken from who holds the most */
	uint32_t control_bytes; /* likewise of control, which is refused */
	struct idtable lanes;	/* by channel */
	size_t sweep_count;	/* with so many, those in which nothing waits go */
	struct metric *dropped[LEG_OUTBOX_REASONS]; /* datagrams */
};

/* lane_bytes, age_ms: of what waits in one lane. -ENOMEM. */
int leg_outbox_init(struct leg_outbox *outbox, bool is_node, uint32_t lane_bytes, int64_t age_ms,
		    struct metrics *metrics);

/* Takes one of all zero bytes. */
void leg_outbox_fini(struct leg_outbox *outbox);

/* A message of two parts, the second perhaps empty. NULL: out of memory. */
struct fair_item *leg_outbox_item(const uint8_t *head, size_t head_n, const uint8_t *rest,
				  size_t rest_n, int64_t now_ms);

/* Where its message begins, and how long it is. */
static inline uint8_t *
leg_outbox_message(struct fair_item *item, size_t *ret_n)
{
	*ret_n = item->n - LEG_OUTBOX_ROOM_BYTES;
	return item->bytes + LEG_OUTBOX_ROOM_BYTES;
}

/* Takes the item, also when it fails. Over the limits the oldest of a lane goes: of its own, then
 * of the one that holds the most. -ENOBUFS: no room for control. -ENOMEM. */
int leg_outbox_push(struct leg_outbox *outbox, struct fair_item *item, bool is_control);

/* What should go next, the caller's then; NULL: nothing waits. */
struct fair_item *leg_outbox_take(struct leg_outbox *outbox, int64_t now_ms);

/* The connection is gone, and its channels' numbers with it. */
void leg_outbox_clear(struct leg_outbox *outbox);

static inline bool
leg_outbox_is_empty(const struct leg_outbox *outbox)
{
	return fair_outbox_is_empty(&outbox->fair);
}
