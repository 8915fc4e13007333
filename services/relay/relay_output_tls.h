/*
 * relay_output_tls: the part of relay_output that encrypts. Used by relay_output alone.
 */
#pragma once

#include "relay/relay_leg.h"

/* Encrypts what is committed and sends it. True: all of it went. */
bool relay_output_encrypt_waiting(struct relay_shard *shard, struct relay_leg *leg);

/* Encrypts and sends this round's pieces; keeps what does not go. */
void relay_output_encrypt_pieces(struct relay_shard *shard, struct relay_leg *leg);

/* Of relay_output: keeps the frames from piece i on, of which `sent` bytes went. */
void relay_output_keep(struct relay_shard *shard, struct relay_leg *leg, uint32_t i, size_t sent);
