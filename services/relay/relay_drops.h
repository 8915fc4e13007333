/*
 * relay_drops: frames that go no further: counted by reason, and their sender told, once a second
 * at most, in a control message. Shard thread only.
 */
#pragma once

#include "link.pb-c.h"
#include "relay/relay_leg.h"

enum { RELAY_TELL_EVERY_MS = 1000 };

/* A fair_drop_fn; arg is the shard. */
void relay_drops_count(struct fair_lane *lane, const struct fair_item *item,
		       enum fair_drop_reason reason, void *arg);

/* Datagrams in a frame of this lane. */
unsigned relay_drops_datagrams(const struct relay_lane *lane, const uint8_t *frame);

/* What was to go by this lane is too much: n datagrams were lost (0: none, the sender is made to
 * wait retry_ms). Its sender will be told at the end of the turn. */
void relay_drops_note(struct relay_shard *shard, struct relay_lane *lane,
		      Boson__Link__Limited__Reason reason, uint32_t n, uint32_t retry_ms);

/* End of turn: tells those who have not been told of late. */
void relay_drops_tell(struct relay_shard *shard);

/* The channel goes: nobody is to be told of it any more. */
void relay_drops_forget(struct relay_channel *channel);

/* Room for n bytes more within the relay's budget, if need be at the cost of who holds the most.
 * False: there is none. */
bool relay_drops_make_room(struct relay_shard *shard, size_t n);

struct fair_limits relay_drops_limits(struct relay_shard *shard);
