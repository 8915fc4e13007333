/*
 * relay_deadline: the times of a leg: it must be admitted, speak, take, and finish what it began.
 */
#include "relay/relay_leg.h"
#include "relay/relay_round.h"
#include "relay/relay_shard.h"
#include "relay/relay_window.h"

static int64_t
min_ms(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
next_deadline(const struct relay_shard *shard, const struct relay_leg *leg)
{
	const struct relay_settings *settings = shard->settings;

	if (leg->state == RELAY_LEG_UPGRADING)
		return leg->upgrade->deadline_ms;
	if (leg->state != RELAY_LEG_OPEN)
		return leg->ping_ms;
	int64_t next = min_ms(leg->ping_ms, leg->heard_ms + settings->silence_ms);
	if (leg->expires_ms != 0)
		next = min_ms(next, leg->expires_ms);
	if (leg->half_ms != 0)
		next = min_ms(next, leg->half_ms + settings->half_frame_ms);
	next = min_ms(next, relay_stall_deadline_ms(shard, leg));
	next = min_ms(next, relay_window_deadline_ms(leg));
	return next;
}

void
relay_leg_arm(struct relay_shard *shard, struct relay_leg *leg)
{
	relay_timer_set(&shard->wheel, &leg->timer, next_deadline(shard, leg));
}

static void
ping(struct relay_shard *shard, struct relay_leg *leg)
{
	uint32_t interval_ms = (uint32_t)shard->settings->ping_ms;

	leg->ping_ms = shard->now_ms + interval_ms + relay_shard_dice(shard, interval_ms / 3 + 1);
	relay_window_ping(shard, leg);
}

static void
check_open(struct relay_shard *shard, struct relay_leg *leg)
{
	const struct relay_settings *settings = shard->settings;
	int64_t now_ms = shard->now_ms;

	if (now_ms >= relay_stall_deadline_ms(shard, leg) && relay_stall_look(shard, leg)) {
		relay_count(&shard->counters, RELAY_CLOSED_STALLED, 1);
		relay_leg_doom(shard, leg, 0, "takes nothing");
	} else if (leg->half_ms != 0 && now_ms - leg->half_ms >= settings->half_frame_ms) {
		relay_count(&shard->counters, RELAY_CLOSED_SILENT, 1);
		relay_leg_doom(shard, leg, WS_CLOSE_POLICY, "half a message");
	} else if (now_ms - leg->heard_ms >= settings->silence_ms) {
		relay_count(&shard->counters, RELAY_CLOSED_SILENT, 1);
		relay_leg_doom(shard, leg, WS_CLOSE_POLICY, "silent for too long");
	} else if (leg->expires_ms != 0 && now_ms >= leg->expires_ms) {
		relay_count(&shard->counters, RELAY_CLOSED_EXPIRED, 1);
		relay_leg_doom(shard, leg, WS_CLOSE_POLICY, "ticket has expired");
	} else if (now_ms >= leg->ping_ms) {
		ping(shard, leg);
	} else if (now_ms >= relay_window_deadline_ms(leg)) {
		leg->is_held = false;
		relay_round_mark(shard, leg); /* the flush finds out whether it still is */
	}
}

void
relay_leg_on_timer(struct relay_shard *shard, struct relay_leg *leg)
{
	if (leg->state == RELAY_LEG_DOOMED)
		return;
	if (leg->state == RELAY_LEG_OPEN) {
		check_open(shard, leg);
	} else {
		if (leg->state == RELAY_LEG_UPGRADING)
			relay_count(&shard->counters, RELAY_EXPIRED, 1);
		relay_leg_doom(shard, leg, 0, "out of time");
	}
	if (leg->state != RELAY_LEG_DOOMED)
		relay_leg_arm(shard, leg);
}
