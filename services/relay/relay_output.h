/*
 * relay_output: a leg's bytes to its socket. What the socket does not take waits in the outbox.
 * Shard thread only.
 */
#pragma once

#include "relay/relay_leg.h"

/* Sends what waits and this round's pieces, by turn where something waits; keeps what does not go.
 */
void relay_output_flush(struct relay_shard *shard, struct relay_leg *leg);

/* The socket takes bytes again. */
void relay_output_on_writable(struct relay_shard *shard, struct relay_leg *leg);

/* Bytes for the peer in front of everything not committed yet: an HTTP answer, a close frame. */
void relay_output_say(struct relay_shard *shard, struct relay_leg *leg, const uint8_t *bytes,
		      size_t n);

/* Likewise, bytes that are on the wire's side of TLS already. */
void relay_output_wire(struct relay_shard *shard, struct relay_leg *leg, const uint8_t *bytes,
		       size_t n);

/* TLS close_notify, where there is TLS. */
void relay_output_goodbye(struct relay_shard *shard, struct relay_leg *leg);

/* Drops what waits in a lane of this leg. */
void relay_output_clear_lane(struct relay_shard *shard, struct relay_leg *leg,
			     struct relay_lane *lane);

/* Brings the shard's sum of waiting bytes up to date with the leg's outbox. */
void relay_output_account(struct relay_shard *shard, struct relay_leg *leg);
