/*
 * fair_queue: lists of copied frames, and whose turn it is. A lane is in one of two rings while it
 * has something waiting, and until its next turn when it has sent all.
 */
#include "queue/fair_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct fair_item *
fair_item_new(const uint8_t *bytes, size_t n, int64_t now_ms)
{
	struct fair_item *item = malloc(sizeof(*item) + n);

	if (item == NULL)
		return NULL;
	item->next = NULL;
	item->queued_at_ms = now_ms;
	item->n = (uint32_t)n;
	memcpy(item->bytes, bytes, n);
	return item;
}

void
fair_list_push(struct fair_list *list, struct fair_item *item)
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

struct fair_item *
fair_list_pop(struct fair_list *list)
{
	struct fair_item *item = list->head;

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
fair_list_clear(struct fair_list *list)
{
	struct fair_item *item;

	while ((item = fair_list_pop(list)) != NULL)
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
ledger_place(struct fair_ledger *ledger, struct fair_lane *lane)
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
ring_add(struct fair_lane **ring, struct fair_lane *lane)
{
	struct fair_lane *first = *ring;

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
ring_remove(struct fair_lane **ring, struct fair_lane *lane)
{
	if (*ring == lane)
		*ring = lane->next != lane ? lane->next : NULL;
	lane->previous->next = lane->next;
	lane->next->previous = lane->previous;
	lane->next = lane->previous = NULL;
}

static void
join(struct fair_lane *lane)
{
	struct fair_outbox *outbox = lane->outbox;

	ring_add(lane->has_credit ? &outbox->first : &outbox->ring, lane);
	outbox->ring_count += !lane->has_credit;
}

static void
part(struct fair_lane *lane)
{
	struct fair_outbox *outbox = lane->outbox;

	ring_remove(lane->has_credit ? &outbox->first : &outbox->ring, lane);
	outbox->ring_count -= !lane->has_credit;
}

static void
add_credit(struct fair_lane *lane, uint32_t bytes)
{
	uint32_t room = FAIR_CREDIT_BYTES - lane->credit;

	lane->credit += bytes < room ? bytes : room;
}

/* How much others must take before it counts as sparse again. */
static uint32_t
to_sparse(const struct fair_lane *lane)
{
	uint32_t ahead = lane->sparse_from - lane->outbox->taken_bytes;

	return ahead <= FAIR_SPARSE_BYTES ? ahead : 0; /* it is behind, or long ago */
}

static void
note_taken(struct fair_lane *lane, uint32_t bytes)
{
	uint64_t ahead = to_sparse(lane) + (uint64_t)bytes * FAIR_SPARSE_PART;

	lane->outbox->taken_bytes += bytes;
	lane->sparse_from = lane->outbox->taken_bytes +
			    (uint32_t)(ahead < FAIR_SPARSE_BYTES ? ahead : FAIR_SPARSE_BYTES);
}

static void
enter(struct fair_outbox *outbox, struct fair_lane *lane)
{
	lane->outbox = outbox;
	add_credit(lane, outbox->turns_bytes - lane->left_at);
	lane->has_credit = lane->credit > 0;
	lane->has_turn = false;
	join(lane);
	if (lane->has_credit && to_sparse(lane) == 0)
		outbox->first = lane;
}

/* It is in no ring any more. */
static void
leave(struct fair_lane *lane)
{
	add_credit(lane, lane->deficit);
	lane->deficit = 0;
	lane->left_at = lane->outbox->turns_bytes;
	lane->outbox = NULL;
}

/* ---- lanes ---- */

static struct fair_item *
take_head(struct fair_lane *lane)
{
	struct fair_item *item = fair_list_pop(&lane->waiting);

	lane->outbox->lane_bytes -= item->n;
	lane->outbox->lane_items--;
	return item;
}

static void
drop_head(struct fair_lane *lane, enum fair_drop_reason reason, fair_drop_fn drop, void *arg)
{
	struct fair_item *item = take_head(lane);

	ledger_place(lane->outbox->ledger, lane);
	drop(lane, item, reason, arg);
	free(item);
}

void
fair_lane_begin(const struct fair_outbox *outbox, struct fair_lane *lane)
{
	if (lane->outbox != NULL)
		return;
	lane->left_at = outbox->turns_bytes;
	lane->sparse_from = outbox->taken_bytes;
	lane->credit = FAIR_QUANTUM_BYTES;
}

void
fair_lane_push(struct fair_outbox *outbox, struct fair_lane *lane, struct fair_item *item,
	       const struct fair_limits *limits, fair_drop_fn drop, void *arg)
{
	assert(lane->outbox == NULL || lane->outbox == outbox);
	if (lane->outbox == NULL)
		enter(outbox, lane);
	fair_list_push(&lane->waiting, item);
	outbox->lane_bytes += item->n;
	outbox->lane_items++;
	while (lane->waiting.bytes > limits->lane_bytes && lane->waiting.head != item)
		drop_head(lane, FAIR_DROPPED_FULL, drop, arg);
	ledger_place(outbox->ledger, lane);
}

void
fair_lane_clear(struct fair_lane *lane, fair_drop_fn drop, void *arg)
{
	if (lane->outbox == NULL)
		return;
	while (lane->waiting.head != NULL)
		drop_head(lane, FAIR_DROPPED_GONE, drop, arg);
	part(lane);
	leave(lane);
}

static void
begin_turn(struct fair_outbox *outbox, struct fair_lane *lane)
{
	uint32_t part = lane->credit < FAIR_QUANTUM_BYTES ? lane->credit : FAIR_QUANTUM_BYTES;

	if (lane->has_turn)
		return; /* it goes on */
	lane->has_turn = true;
	if (lane->has_credit) {
		lane->credit -= part;
		lane->deficit += part;
		return;
	}
	lane->deficit += FAIR_QUANTUM_BYTES;
	if (++outbox->granted >= outbox->ring_count) {
		outbox->granted = 0;
		outbox->turns_bytes += FAIR_QUANTUM_BYTES;
	}
}

/* To the end of its ring, or out when it has sent all. */
static void
end_turn(struct fair_lane *lane)
{
	lane->has_turn = false;
	part(lane);
	if (lane->waiting.head == NULL) {
		leave(lane);
		return;
	}
	lane->has_credit = lane->has_credit && lane->credit > 0;
	join(lane);
}

/* What of this lane may go now. False: what may be promised at once is. */
static bool
commit_lane(struct fair_outbox *outbox, struct fair_lane *lane, uint32_t most,
	    const struct fair_limits *limits, int64_t now_ms, fair_drop_fn drop, void *arg)
{
	while (lane->waiting.head != NULL) {
		const struct fair_item *item = lane->waiting.head;
		int64_t age_ms = now_ms - item->queued_at_ms;

		if (age_ms > limits->age_ms) {
			drop_head(lane, FAIR_DROPPED_AGE, drop, arg);
			continue;
		}
		if (item->n > lane->deficit)
			break;
		if (outbox->committed.bytes >= most)
			return false;
		lane->deficit -= item->n;
		note_taken(lane, item->n);
		if (limits->ages != NULL)
			metric_spread_add(limits->ages, (uint64_t)age_ms * 1000);
		fair_list_push(&outbox->committed, take_head(lane));
		ledger_place(outbox->ledger, lane);
	}
	return true;
}

static void
commit(struct fair_outbox *outbox, uint32_t most, const struct fair_limits *limits, int64_t now_ms,
       fair_drop_fn drop, void *arg)
{
	struct fair_item *item;
	struct fair_lane *lane;

	while (outbox->committed.bytes < most && (item = fair_list_pop(&outbox->control)) != NULL)
		fair_list_push(&outbox->committed, item);
	while (outbox->committed.bytes < most &&
	       (lane = outbox->first != NULL ? outbox->first : outbox->ring) != NULL) {
		begin_turn(outbox, lane);
		if (!commit_lane(outbox, lane, most, limits, now_ms, drop, arg))
			return; /* its turn goes on */
		end_turn(lane);
	}
}

void
fair_outbox_commit(struct fair_outbox *outbox, const struct fair_limits *limits, int64_t now_ms,
		   fair_drop_fn drop, void *arg)
{
	commit(outbox, outbox->commit_bytes != 0 ? outbox->commit_bytes : FAIR_COMMIT_BYTES, limits,
	       now_ms, drop, arg);
}

struct fair_item *
fair_outbox_take(struct fair_outbox *outbox, const struct fair_limits *limits, int64_t now_ms,
		 fair_drop_fn drop, void *arg)
{
	assert(outbox->sent == 0);
	if (outbox->committed.head == NULL)
		commit(outbox, 1, limits, now_ms, drop, arg);
	return fair_list_pop(&outbox->committed);
}

void
fair_outbox_pace(struct fair_outbox *outbox, size_t n)
{
	outbox->commit_bytes = n < FAIR_COMMIT_LEAST_BYTES ? FAIR_COMMIT_LEAST_BYTES
			       : n < FAIR_COMMIT_BYTES	   ? (uint32_t)n
							   : FAIR_COMMIT_BYTES;
}

void
fair_outbox_sent(struct fair_outbox *outbox, size_t n)
{
	while (n > 0) {
		struct fair_item *item = outbox->committed.head;
		size_t left = item->n - outbox->sent;

		if (n < left) {
			outbox->sent += (uint32_t)n;
			return;
		}
		n -= left;
		outbox->sent = 0;
		free(fair_list_pop(&outbox->committed));
	}
}

void
fair_outbox_fini(struct fair_outbox *outbox)
{
	assert(outbox->lane_items == 0);
	fair_list_clear(&outbox->committed);
	fair_list_clear(&outbox->control);
	outbox->sent = 0;
}

struct fair_outbox *
fair_ledger_evict(struct fair_ledger *ledger, fair_drop_fn drop, void *arg)
{
	for (unsigned bin = FAIR_LEDGER_CLASSES - 1; bin > 0; bin--) {
		struct fair_lane *lane = ledger->bins[bin];

		if (lane == NULL)
			continue;
		struct fair_outbox *outbox = lane->outbox;
		drop_head(lane, FAIR_DROPPED_MEMORY, drop, arg);
		return outbox;
	}
	return NULL;
}
