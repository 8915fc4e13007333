/*
 * relay_queue: lists of copied frames. The ring holds only lanes with something waiting.
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
	return item;
}

void
relay_list_clear(struct relay_list *list)
{
	struct relay_item *item;

	while ((item = relay_list_pop(list)) != NULL)
		free(item);
}

static void
ring_add(struct relay_outbox *outbox, struct relay_lane *lane)
{
	if (outbox->ring == NULL) {
		lane->next = lane;
	} else {
		lane->next = outbox->ring->next;
		outbox->ring->next = lane;
	}
	outbox->ring = lane; /* last in turn */
	lane->is_active = true;
	lane->deficit = 0;
}

/* Takes out the lane after `before`. */
static void
ring_remove_after(struct relay_outbox *outbox, struct relay_lane *before)
{
	struct relay_lane *lane = before->next;

	before->next = lane->next;
	if (outbox->ring == lane)
		outbox->ring = lane == before ? NULL : before;
	lane->next = NULL;
	lane->is_active = false;
}

static void
ring_remove(struct relay_outbox *outbox, struct relay_lane *lane)
{
	struct relay_lane *before = outbox->ring;

	while (before->next != lane) {
		before = before->next;
		assert(before != outbox->ring);
	}
	ring_remove_after(outbox, before);
}

static void
drop_head(struct relay_outbox *outbox, struct relay_lane *lane, enum relay_drop_reason reason,
	  relay_drop_fn drop, void *arg)
{
	struct relay_item *item = relay_list_pop(&lane->waiting);

	outbox->lane_bytes -= item->n;
	drop(item, reason, arg);
	free(item);
}

void
relay_lane_push(struct relay_outbox *outbox, struct relay_lane *lane, struct relay_item *item,
		const struct relay_queue_limits *limits, relay_drop_fn drop, void *arg)
{
	relay_list_push(&lane->waiting, item);
	outbox->lane_bytes += item->n;
	while (lane->waiting.bytes > limits->lane_bytes && lane->waiting.head != item)
		drop_head(outbox, lane, RELAY_DROPPED_FULL, drop, arg);
	if (!lane->is_active)
		ring_add(outbox, lane);
}

void
relay_lane_clear(struct relay_outbox *outbox, struct relay_lane *lane, relay_drop_fn drop,
		 void *arg)
{
	if (lane->is_active)
		ring_remove(outbox, lane);
	while (lane->waiting.head != NULL)
		drop_head(outbox, lane, RELAY_DROPPED_GONE, drop, arg);
}

/* One turn of the lane that has it. */
static void
serve_lane(struct relay_outbox *outbox, const struct relay_queue_limits *limits, int64_t now_ms,
	   relay_drop_fn drop, void *arg)
{
	struct relay_lane *lane = outbox->ring->next;

	lane->deficit += RELAY_QUANTUM_BYTES;
	while (lane->waiting.head != NULL) {
		struct relay_item *item = lane->waiting.head;

		if (now_ms - item->queued_at_ms > limits->age_ms) {
			drop_head(outbox, lane, RELAY_DROPPED_AGE, drop, arg);
			continue;
		}
		if (item->n > lane->deficit || outbox->committed.bytes >= RELAY_COMMIT_BYTES)
			break;
		lane->deficit -= item->n;
		outbox->lane_bytes -= item->n;
		relay_list_push(&outbox->committed, relay_list_pop(&lane->waiting));
	}
	if (lane->waiting.head == NULL)
		ring_remove_after(outbox, outbox->ring);
	else
		outbox->ring = lane; /* its turn is over */
}

void
relay_outbox_commit(struct relay_outbox *outbox, const struct relay_queue_limits *limits,
		    int64_t now_ms, relay_drop_fn drop, void *arg)
{
	struct relay_item *item;

	while (outbox->committed.bytes < RELAY_COMMIT_BYTES &&
	       (item = relay_list_pop(&outbox->control)) != NULL)
		relay_list_push(&outbox->committed, item);
	while (outbox->committed.bytes < RELAY_COMMIT_BYTES && outbox->ring != NULL)
		serve_lane(outbox, limits, now_ms, drop, arg);
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
	assert(outbox->ring == NULL);
	relay_list_clear(&outbox->committed);
	relay_list_clear(&outbox->control);
	outbox->sent = 0;
}
