/*
 * relay_queue: lists of copied frames, and whose turn it is. A lane is in one of two rings while it
 * has something waiting, and until its next turn when it has sent all.
 */
#include "relay/relay_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct relay_item *
relay_item_new(const uint8_t *bytes, size_t n, int64_t now_ms)
{
	struct relay_item *item = malloc(sizeof(*item) + n);

	if (item == NULL)
		return NULL;
	item->next = NULL;
	item->queued_at_ms = now_ms;
	item->n = (uint32_t)n;
	memcpy(item->bytes, bytes, n);
	return item;
}

void
relay_list_push(struct relay_list *list, struct relay_item *item)
{
	item->next = NULL;
	if (list->tail != NULL)
		list->tail->next = item;
	else
		list->head = item;
	list->tail = item;
	list->bytes += item->n;
	list->count++;
}

struct relay_item *
relay_list_pop(struct relay_list *list)
{
	struct relay_item *item = list->head;

	if (item == NULL)
		return NULL;
	list->head = item->next;
	if (list->head == NULL)
		list->tail = NULL;
	list->bytes -= item->n;
	list->count--;
	return item;
}

void
relay_list_clear(struct relay_list *list)
{
	struct relay_item *item;

	while ((item = relay_list_pop(list)) != NULL)
		free(item);
}

/* ---- the ledger ---- */

static uint8_t
bin_of(uint32_t bytes)
{
	return bytes == 0 ? 0 : (uint8_t)(32 - __builtin_clz(bytes));
}

/* Puts the lane where what it holds now belongs. */
static void
ledger_place(struct relay_ledger *ledger, struct relay_lane *lane)
{
	uint8_t bin = bin_of(lane->waiting.bytes);

	if (ledger == NULL || bin == lane->bin)
		return;
	if (lane->bin != 0) {
		*lane->bin_at = lane->larger;
		if (lane->larger != NULL)
			lane->larger->bin_at = lane->bin_at;
	}
	lane->bin = bin;
	if (bin == 0)
		return;
	lane->larger = ledger->bins[bin];
	lane->bin_at = &ledger->bins[bin];
	if (lane->larger != NULL)
		lane->larger->bin_at = &lane->larger;
	ledger->bins[bin] = lane;
}

/* ---- rings ---- */

static void
ring_add(struct relay_lane **ring, struct relay_lane *lane)
{
	struct relay_lane *first = *ring;

	if (first == NULL) {
		lane->next = lane->previous = *ring = lane;
		return;
	}
	lane->next = first;
	lane->previous = first->previous;
	first->previous->next = lane;
	first->previous = lane;
}

static void
ring_remove(struct relay_lane **ring, struct relay_lane *lane)
{
	if (*ring == lane)
		*ring = lane->next != lane ? lane->next : NULL;
	lane->previous->next = lane->next;
	lane->next->previous = lane->previous;
	lane->next = lane->previous = NULL;
}

static struct relay_lane **
ring_of(const struct relay_lane *lane)
{
	return lane->is_fresh ? &lane->outbox->fresh : &lane->outbox->ring;
}

static void
enter(struct relay_outbox *outbox, struct relay_lane *lane)
{
	lane->outbox = outbox;
	lane->is_fresh = true;
	lane->has_turn = false;
	lane->deficit = RELAY_ADVANCE_BYTES;
	ring_add(&outbox->fresh, lane);
}

static void
leave(struct relay_lane *lane)
{
	ring_remove(ring_of(lane), lane);
	lane->outbox = NULL;
}

/* ---- lanes ---- */

static struct relay_item *
take_head(struct relay_lane *lane)
{
	struct relay_item *item = relay_list_pop(&lane->waiting);

	lane->outbox->lane_bytes -= item->n;
	lane->outbox->lane_items--;
	return item;
}

static void
drop_head(struct relay_lane *lane, enum relay_drop_reason reason, relay_drop_fn drop, void *arg)
{
	struct relay_item *item = take_head(lane);

	ledger_place(lane->outbox->ledger, lane);
	drop(lane, item, reason, arg);
	free(item);
}

void
relay_lane_push(struct relay_outbox *outbox, struct relay_lane *lane, struct relay_item *item,
		const struct relay_queue_limits *limits, relay_drop_fn drop, void *arg)
{
	assert(lane->outbox == NULL || lane->outbox == outbox);
	if (lane->outbox == NULL)
		enter(outbox, lane);
	relay_list_push(&lane->waiting, item);
	outbox->lane_bytes += item->n;
	outbox->lane_items++;
	while (lane->waiting.bytes > limits->lane_bytes && lane->waiting.head != item)
		drop_head(lane, RELAY_DROPPED_FULL, drop, arg);
	ledger_place(outbox->ledger, lane);
}

void
relay_lane_clear(struct relay_lane *lane, relay_drop_fn drop, void *arg)
{
	if (lane->outbox == NULL)
		return;
	while (lane->waiting.head != NULL)
		drop_head(lane, RELAY_DROPPED_GONE, drop, arg);
	leave(lane);
}

/* Ends the turn: back into the ring, or out when the lane has sent all and owes nothing. */
static void
end_turn(struct relay_outbox *outbox, struct relay_lane *lane)
{
	bool was_fresh = lane->is_fresh;

	lane->has_turn = false;
	ring_remove(ring_of(lane), lane);
	if (was_fresh)
		lane->deficit -= RELAY_ADVANCE_BYTES;
	else if (lane->waiting.head == NULL && lane->deficit >= 0) {
		lane->outbox = NULL;
		return;
	}
	if (lane->waiting.head == NULL && lane->deficit > 0)
		lane->deficit = 0; /* turns not used are not saved up */
	lane->is_fresh = false;
	ring_add(&outbox->ring, lane);
}

/* What of this lane may go now. False: what may be promised at once is. */
static bool
commit_lane(struct relay_outbox *outbox, struct relay_lane *lane, uint32_t most,
	    const struct relay_queue_limits *limits, int64_t now_ms, relay_drop_fn drop, void *arg)
{
	while (lane->waiting.head != NULL) {
		const struct relay_item *item = lane->waiting.head;
		int64_t age_ms = now_ms - item->queued_at_ms;

		if (age_ms > limits->age_ms) {
			drop_head(lane, RELAY_DROPPED_AGE, drop, arg);
			continue;
		}
		if ((int64_t)item->n > lane->deficit)
			break;
		if (outbox->committed.bytes >= most)
			return false;
		lane->deficit -= (int32_t)item->n;
		if (limits->ages != NULL)
			relay_histogram_add(limits->ages, (uint64_t)age_ms * 1000);
		relay_list_push(&outbox->committed, take_head(lane));
		ledger_place(outbox->ledger, lane);
	}
	return true;
}

void
relay_outbox_commit(struct relay_outbox *outbox, const struct relay_queue_limits *limits,
		    int64_t now_ms, relay_drop_fn drop, void *arg)
{
	uint32_t most = outbox->commit_bytes != 0 ? outbox->commit_bytes : RELAY_COMMIT_BYTES;
	struct relay_item *item;
	struct relay_lane *lane;

	while (outbox->committed.bytes < most && (item = relay_list_pop(&outbox->control)) != NULL)
		relay_list_push(&outbox->committed, item);
	while (outbox->committed.bytes < most &&
	       (lane = outbox->fresh != NULL ? outbox->fresh : outbox->ring) != NULL) {
		if (!lane->has_turn)
			lane->deficit += RELAY_QUANTUM_BYTES;
		lane->has_turn = true;
		if (!commit_lane(outbox, lane, most, limits, now_ms, drop, arg))
			return; /* its turn goes on */
		end_turn(outbox, lane);
	}
}

void
relay_outbox_pace(struct relay_outbox *outbox, size_t n)
{
	outbox->commit_bytes = n < RELAY_COMMIT_LEAST_BYTES ? RELAY_COMMIT_LEAST_BYTES
			       : n < RELAY_COMMIT_BYTES	    ? (uint32_t)n
							    : RELAY_COMMIT_BYTES;
}

void
relay_outbox_sent(struct relay_outbox *outbox, size_t n)
{
	while (n > 0) {
		struct relay_item *item = outbox->committed.head;
		size_t left = item->n - outbox->sent;

		if (n < left) {
			outbox->sent += (uint32_t)n;
			return;
		}
		n -= left;
		outbox->sent = 0;
		free(relay_list_pop(&outbox->committed));
	}
}

void
relay_outbox_fini(struct relay_outbox *outbox)
{
	assert(outbox->lane_items == 0);
	relay_list_clear(&outbox->committed);
	relay_list_clear(&outbox->control);
	outbox->sent = 0;
}

struct relay_outbox *
relay_ledger_evict(struct relay_ledger *ledger, relay_drop_fn drop, void *arg)
{
	for (unsigned bin = RELAY_LEDGER_CLASSES - 1; bin > 0; bin--) {
		struct relay_lane *lane = ledger->bins[bin];

		if (lane == NULL)
			continue;
		struct relay_outbox *outbox = lane->outbox;
		drop_head(lane, RELAY_DROPPED_MEMORY, drop, arg);
		return outbox;
	}
	return NULL;
}
