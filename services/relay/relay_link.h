/*
 * relay_link: control messages on legs (proto/link.proto). Shard thread only.
 */
#pragma once

#include "relay/relay_leg.h"

struct relay_message;

void relay_link_channel_open(struct relay_shard *shard, struct relay_channel *channel);
void relay_link_channel_close(struct relay_shard *shard, struct relay_leg *leg, uint32_t number,
			      uint16_t code, const char *reason);

/* To the sender of what was to go by this lane: it was too much. number: 0 on a client's leg. */
void relay_link_limited(struct relay_shard *shard, struct relay_leg *leg, uint32_t number,
			const struct relay_lane *lane);
/* Asks to go to that relay ("": to any other), at a moment within spread_ms. */
void relay_link_drain(struct relay_shard *shard, struct relay_leg *leg, const char *other_relay,
		      uint32_t spread_ms);

/* A Control that is packed already, as the control actor hands them over. */
void relay_link_send(struct relay_shard *shard, struct relay_leg *leg, const uint8_t *packed,
		     size_t n);

/* Any frame that goes before data: control messages, pings and pongs. n <= 64 KiB. */
void relay_link_send_frame(struct relay_shard *shard, struct relay_leg *leg, enum ws_opcode opcode,
			   const uint8_t *payload, size_t n);

/* A whole control message from a leg, kind byte included, mask off. */
void relay_link_on_message(struct relay_shard *shard, struct relay_leg *leg, const uint8_t *message,
			   size_t n);
