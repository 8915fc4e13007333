/*
 * relay_data: data messages: from a client leg to its node's leg and back. Shard thread only.
 */
#pragma once

#include "relay/relay_leg.h"

/* A whole binary message, still under its mask. payload lies in the round's read or, for one that
 * came in fragments, elsewhere with mask 0. */
void relay_data_on_message(struct relay_shard *shard, struct relay_leg *leg, uint8_t *payload,
			   size_t n, uint32_t mask);

/* The most a leg of this role may send in one message: what a client sends grows by the channel. */
size_t relay_data_limit(const struct relay_leg *leg);

/* Datagrams in a frame that was made here. */
unsigned relay_data_count(bool is_to_node, const uint8_t *frame);
