/*
 * relay_window: a leg's window (queue/leg_window.h) on its socket: when it begins, what it lets
 * go, its marks, and what their pongs say. A leg's pings are marks, and the round trip that is told
 * of it is a mark's. Shard thread only.
 */
#pragma once

#include "relay/relay_leg.h"

/* The socket is full. */
void relay_window_held(struct relay_leg *leg);

/* Now and then, of a leg whose socket never is: is it the way that is? */
void relay_window_look(struct relay_shard *shard, struct relay_leg *leg);

/* May anything go? Then the outbox promises no more than that at once. */
bool relay_window_is_open(struct relay_leg *leg);

/* Would all of this round's pieces pass? Then they count as sent. */
bool relay_window_passes(struct relay_shard *shard, struct relay_leg *leg);

/* All that is in outbox.committed, in plain, was put there just now: counts it, and puts a mark
 * behind it if one is due. */
void relay_window_committed(struct relay_shard *shard, struct relay_leg *leg);

/* The leg's ping, which keeps it alive and measures. */
void relay_window_ping(struct relay_shard *shard, struct relay_leg *leg);

void relay_window_on_pong(struct relay_shard *shard, struct relay_leg *leg,
			  const struct ws_event *event);

/* What a round trip takes at least, as far as is known: a burst may wait for one on a long leg. */
static inline int64_t
relay_window_least_ms(const struct relay_leg *leg)
{
	return (leg->window != NULL ? leg->window->least_us : leg->way_us) / 1000;
}

/* It is closed, but for its pace only? Then it is looked at in the next millisecond. */
void relay_window_pace(struct relay_shard *shard, struct relay_leg *leg);

/* Those: when to look at them, INT64_MAX: there are none; looks; and forgets one that leaves. */
int64_t relay_window_paced_ms(const struct relay_shard *shard);
void relay_window_resume(struct relay_shard *shard);
void relay_window_leave(struct relay_leg *leg);

/* When the window, closed, must be looked at though nothing comes; INT64_MAX: it is not closed. */
int64_t relay_window_deadline_ms(const struct relay_leg *leg);
