/*
 * relay_drops: a channel on the shard's list has something to say to one of its ends.
 */
#include "relay/relay_drops.h"

#include "relay/relay_data.h"
#include "relay/relay_link.h"
#include "relay/relay_output.h"
#include "relay/relay_shard.h"

#include <stddef.h>

static struct relay_channel *
channel_of(struct relay_lane *lane)
{
	size_t offset = lane->form == RELAY_LANE_TO_NODE
				? offsetof(struct relay_channel, to_node)
				: offsetof(struct relay_channel, to_client);

	return (struct relay_channel *)((uintptr_t)lane - offset);
}

unsigned
relay_drops_datagrams(const struct relay_lane *lane, const uint8_t *frame)
{
	return lane->form == RELAY_LANE_TO_RAW_CLIENT
		       ? 1
		       : relay_data_count(lane->form == RELAY_LANE_TO_NODE, frame);
}

void
relay_drops_count(struct fair_lane *fair, const struct fair_item *item,
		  enum fair_drop_reason reason, void *arg)
{
	static const struct {
		enum relay_counter counter;
		Boson__Link__Limited__Reason told;
	} reasons[] = {
		[FAIR_DROPPED_FULL] = { RELAY_DROP_QUEUE_FULL,
					BOSON__LINK__LIMITED__REASON__QUEUE },
		[FAIR_DROPPED_AGE] = { RELAY_DROP_QUEUE_AGE, BOSON__LINK__LIMITED__REASON__QUEUE },
		[FAIR_DROPPED_GONE] = { RELAY_DROP_LEG_GONE, 0 },
		[FAIR_DROPPED_MEMORY] = { RELAY_DROP_MEMORY, BOSON__LINK__LIMITED__REASON__MEMORY },
	};
	struct relay_lane *lane = (struct relay_lane *)fair; /* its first member */
	struct relay_shard *shard = arg;
	unsigned n = relay_drops_datagrams(lane, item->bytes);

	relay_count(&shard->counters, reasons[reason].counter, n);
	if (reason != FAIR_DROPPED_GONE)
		relay_drops_note(shard, lane, reasons[reason].told, n, 0);
}

void
relay_drops_note(struct relay_shard *shard, struct relay_lane *lane,
		 Boson__Link__Limited__Reason reason, uint32_t n, uint32_t retry_ms)
{
	struct relay_channel *channel = channel_of(lane);

	lane->dropped += n;
	lane->retry_ms = retry_ms;
	lane->reason = (uint8_t)reason;
	if (channel->limited_at != NULL ||
	    (lane->is_told && (uint32_t)shard->now_ms - lane->told_at_ms < RELAY_TELL_EVERY_MS))
		return;
	lane->told_at_ms = (uint32_t)shard->now_ms - RELAY_TELL_EVERY_MS;
	lane->is_told = true;
	channel->next_limited = shard->limited;
	channel->limited_at = &shard->limited;
	if (channel->next_limited != NULL)
		channel->next_limited->limited_at = &channel->next_limited;
	shard->limited = channel;
}

void
relay_drops_forget(struct relay_channel *channel)
{
	if (channel->limited_at == NULL)
		return;
	*channel->limited_at = channel->next_limited;
	if (channel->next_limited != NULL)
		channel->next_limited->limited_at = channel->limited_at;
	channel->limited_at = NULL;
}

/* leg: of the sender. number: of the channel on that leg, 0 on a client's. */
static void
tell(struct relay_shard *shard, struct relay_leg *leg, struct relay_lane *lane, uint32_t number)
{
	bool is_due = (uint32_t)shard->now_ms - lane->told_at_ms >= RELAY_TELL_EVERY_MS;

	if ((lane->dropped == 0 && lane->retry_ms == 0) || !is_due)
		return;
	if (leg != NULL && leg->carrier == NULL && !leg->is_raw)
		relay_link_limited(shard, leg, number, lane);
	lane->told_at_ms = (uint32_t)shard->now_ms;
	lane->dropped = lane->retry_ms = 0;
}

void
relay_drops_tell(struct relay_shard *shard)
{
	while (shard->limited != NULL) {
		struct relay_channel *channel = shard->limited;

		relay_drops_forget(channel);
		tell(shard, channel->client, &channel->to_node, 0);
		tell(shard, channel->node->leg, &channel->to_client, channel->number);
	}
}

struct fair_limits
relay_drops_limits(struct relay_shard *shard)
{
	return (struct fair_limits){ .lane_bytes = shard->settings->queue_bytes,
				     .age_ms = shard->settings->queue_age_ms,
				     .ages = &shard->queue_ages };
}

bool
relay_drops_make_room(struct relay_shard *shard, size_t n)
{
	uint64_t budget = shard->settings->queue_budget_bytes / shard->count;

	while (shard->queued_bytes + shard->held_bytes + n + FAIR_ITEM_COST_BYTES > budget) {
		struct fair_outbox *outbox =
			fair_ledger_evict(&shard->ledger, relay_drops_count, shard);

		if (outbox == NULL)
			return false;
		relay_output_account(shard,
				     (struct relay_leg *)((uintptr_t)outbox -
							  offsetof(struct relay_leg, outbox)));
	}
	return true;
}
