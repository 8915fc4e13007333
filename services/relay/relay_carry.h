/*
 * relay_carry: a datagram that came by the bus (CarryPacket) instead of by a leg of its channel.
 * Shard thread only.
 */
#pragma once

struct relay_message;
struct relay_shard;

/* The command goes back as its own answer: a call is never left without one. */
void relay_carry(struct relay_shard *shard, struct relay_message **command);
