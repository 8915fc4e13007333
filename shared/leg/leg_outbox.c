/*
 * leg_outbox: lanes are found by their channel's number, and made when something begins to wait.
 */
#include "leg/leg_outbox.h"

#include "leg/leg_frame.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { LANES_KEPT = 64 }; /* without a look at which of them are of use */

struct leg_lane {
	struct fair_lane fair; /* first: a drop's lane is one of these */
	struct idtable_link by_channel;
	uint32_t channel; /* 0 of a client's leg */
};

int
leg_outbox_init(struct leg_outbox *outbox, bool is_node, uint32_t lane_bytes, int64_t age_ms,
		struct metrics *metrics)
{
	static const char *const reasons[LEG_OUTBOX_REASONS] = {
		[FAIR_DROPPED_FULL] = "direction=\"out\",reason=\"full\"",
		[FAIR_DROPPED_AGE] = "direction=\"out\",reason=\"age\"",
		[FAIR_DROPPED_GONE] = "direction=\"out\",reason=\"gone\"",
		[FAIR_DROPPED_MEMORY] = "direction=\"out\",reason=\"memory\"",
	};

	*outbox = (struct leg_outbox){
		.is_node = is_node,
		.limits = { .lane_bytes = lane_bytes, .age_ms = age_ms },
		.most_bytes = (uint64_t)lane_bytes * LEG_OUTBOX_LANES_FULL,
		.control_bytes = lane_bytes,
		.sweep_count = LANES_KEPT,
	};
	outbox->fair.ledger = &outbox->ledger;
	for (size_t i = 0; i < LEG_OUTBOX_REASONS; i++)
		outbox->dropped[i] =
			metrics_counter(metrics, "leg_dropped_total", reasons[i],
					"dropped from a leg's queues: datagrams out, messages in");
	return idtable_init(&outbox->lanes, offsetof(struct leg_lane, by_channel),
			    offsetof(struct leg_lane, channel), sizeof(uint32_t));
}

void
leg_outbox_fini(struct leg_outbox *outbox)
{
	leg_outbox_clear(outbox);
	idtable_fini(&outbox->lanes);
}

struct fair_item *
leg_outbox_item(const uint8_t *head, size_t head_n, const uint8_t *rest, size_t rest_n,
		int64_t now_ms)
{
	struct fair_item *item = malloc(sizeof *item + LEG_OUTBOX_ROOM_BYTES + head_n + rest_n);

	if (item == NULL)
		return NULL;
	item->next = NULL;
	item->queued_at_ms = now_ms;
	item->n = (uint32_t)(LEG_OUTBOX_ROOM_BYTES + head_n + rest_n);
	memcpy(item->bytes + LEG_OUTBOX_ROOM_BYTES, head, head_n);
	if (rest_n > 0)
		memcpy(item->bytes + LEG_OUTBOX_ROOM_BYTES + head_n, rest, rest_n);
	return item;
}

static void
on_drop(struct fair_lane *lane, const struct fair_item *item, enum fair_drop_reason reason,
	void *arg)
{
	struct leg_outbox *outbox = arg;

	(void)lane;
	metric_add(outbox->dropped[reason],
		   leg_message_count(outbox->is_node, item->bytes + LEG_OUTBOX_ROOM_BYTES,
				     item->n - LEG_OUTBOX_ROOM_BYTES));
}

/* ---- lanes ---- */

/* All of them, or those in which nothing waits: of channels that have no more to say, perhaps. */
static void
lanes_free(struct leg_outbox *outbox, bool all)
{
	struct leg_lane *next, *lane = idtable_next(&outbox->lanes, NULL);

	for (; lane != NULL; lane = next) {
		next = idtable_next(&outbox->lanes, lane);
		if (all)
			fair_lane_clear(&lane->fair, on_drop, outbox);
		if (lane->fair.outbox != NULL)
			continue;
		idtable_remove(&outbox->lanes, lane);
		free(lane);
	}
	outbox->sweep_count = LANES_KEPT + 2 * outbox->lanes.count;
}

static struct leg_lane *
lane_get(struct leg_outbox *outbox, uint32_t channel)
{
	struct leg_lane *lane = idtable_find(&outbox->lanes, &channel);

	if (lane != NULL)
		return lane;
	if (outbox->lanes.count >= outbox->sweep_count)
		lanes_free(outbox, false);
	lane = calloc(1, sizeof *lane);
	if (lane == NULL)
		return NULL;
	lane->channel = channel;
	fair_lane_begin(&outbox->fair, &lane->fair);
	idtable_add(&outbox->lanes, lane);
	return lane;
}

static uint32_t
channel_of(const struct leg_outbox *outbox, struct fair_item *item)
{
	size_t n;
	const uint8_t *message = leg_outbox_message(item, &n);

	if (!outbox->is_node || n < LEG_DATA_HEADER_NODE_BYTES)
		return 0;
	return (uint32_t)message[1] << 24 | (uint32_t)message[2] << 16 | (uint32_t)message[3] << 8 |
	       message[4];
}

/* ---- in and out ---- */

static int
push_control(struct leg_outbox *outbox, struct fair_item *item)
{
	if (outbox->fair.control.bytes + item->n > outbox->control_bytes) {
		free(item);
		return -ENOBUFS;
	}
	fair_list_push(&outbox->fair.control, item);
	return 0;
}

int
leg_outbox_push(struct leg_outbox *outbox, struct fair_item *item, bool is_control)
{
	struct leg_lane *lane;

	if (is_control)
		return push_control(outbox, item);
	lane = lane_get(outbox, channel_of(outbox, item));
	if (lane == NULL) {
		free(item);
		return -ENOMEM;
	}
	fair_lane_push(&outbox->fair, &lane->fair, item, &outbox->limits, on_drop, outbox);
	while (outbox->fair.lane_bytes + (uint64_t)outbox->fair.lane_items * FAIR_ITEM_COST_BYTES >
	       outbox->most_bytes)
		if (fair_ledger_evict(&outbox->ledger, on_drop, outbox) == NULL)
			break;
	return 0;
}

struct fair_item *
leg_outbox_take(struct leg_outbox *outbox, int64_t now_ms)
{
	return fair_outbox_take(&outbox->fair, &outbox->limits, now_ms, on_drop, outbox);
}

void
leg_outbox_clear(struct leg_outbox *outbox)
{
	lanes_free(outbox, true);
	fair_outbox_fini(&outbox->fair);
}
