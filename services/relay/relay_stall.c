/*
 * relay_stall: the kernel is asked some times in the while that a leg is given.
 */
#include "relay/relay_stall.h"

#include "queue/leg_way.h"
#include "relay/relay_leg.h"
#include "relay/relay_shard.h"

enum { LOOKS = 8 };

/* Is a mark under way to a program that answers them? */
static bool
has_mark(const struct relay_leg *leg)
{
	return leg->window != NULL && leg_window_is_answered(leg->window) &&
	       leg_window_has_mark(leg->window);
}

/* Has its kernel got a mark that was not answered? */
static bool
is_past_mark(const struct relay_leg *leg)
{
	return has_mark(leg) && leg_way_unread(leg->fd) + leg->outbox.committed.bytes <=
					leg_window_behind_mark(leg->window);
}

static void
ask(struct relay_shard *shard, struct relay_leg *leg)
{
	leg->stall.look_ms = shard->now_ms + shard->settings->stall_ms / LOOKS;
	leg->stall.acked = (uint32_t)leg_way_acked(leg->fd);
}

void
relay_stall_begin(struct relay_shard *shard, struct relay_leg *leg)
{
	if (leg->stall.since_ms != 0)
		return;
	leg->stall.since_ms = shard->now_ms;
	ask(shard, leg);
	relay_leg_arm(shard, leg);
}

void
relay_stall_end(struct relay_leg *leg)
{
	if (!has_mark(leg))
		leg->stall.since_ms = 0; /* else a pong comes, or what went has only gone */
}

void
relay_stall_on_pong(struct relay_shard *shard, struct relay_leg *leg, size_t n)
{
	if (leg->stall.since_ms != 0 && n == LEG_MARK_BYTES)
		leg->stall.since_ms = fair_outbox_is_empty(&leg->outbox) ? 0 : shard->now_ms;
}

int64_t
relay_stall_deadline_ms(const struct relay_shard *shard, const struct relay_leg *leg)
{
	int64_t end_ms = leg->stall.since_ms + shard->settings->stall_ms;

	if (leg->stall.since_ms == 0)
		return INT64_MAX;
	return leg->stall.look_ms < end_ms ? leg->stall.look_ms : end_ms;
}

bool
relay_stall_look(struct relay_shard *shard, struct relay_leg *leg)
{
	uint32_t before = leg->stall.acked;

	ask(shard, leg);
	if (leg->stall.acked != before && !is_past_mark(leg))
		leg->stall.since_ms = shard->now_ms;
	if (fair_outbox_is_empty(&leg->outbox))
		relay_stall_end(leg); /* its channels are gone */
	return leg->stall.since_ms != 0 &&
	       shard->now_ms - leg->stall.since_ms >= shard->settings->stall_ms;
}
