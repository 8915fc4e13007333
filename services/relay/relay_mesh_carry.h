/*
 * relay_mesh_carry: how the frames of the two kinds of mesh legs go: into the message for their
 * link, one of them for the node's end of it and one for the client's. Shard thread only.
 */
#pragma once

#include "relay/relay_leg.h"

#include <stdbool.h>
#include <stdint.h>

struct relay_port;

extern const struct relay_carrier relay_mesh_node_carrier, relay_mesh_client_carrier;

/* Does this leg stand for a client of another relay? */
bool relay_mesh_is_client(const struct relay_leg *leg);

/* channel 0: the node as a whole: from its home, that it is not there; to it, that all of its
 * channels are given up. */
void relay_mesh_say_close(struct relay_shard *shard, struct relay_port *port,
			  const uint8_t *node_id, uint32_t channel, uint16_t code,
			  const char *reason);
