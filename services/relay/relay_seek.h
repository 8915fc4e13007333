/*
 * relay_seek: the control actor's side of the mesh: to which other relay the clients go whose node
 * has no leg here. Hears of legs by relay_hear. Asks: routing.LocateNode. Tells: relay_mesh.
 */
#pragma once

#include "identity/key.h"

#include <stdint.h>

struct relay_control;
struct relay_other;

/* With the other relays. */
int relay_seek_start(struct relay_control *control);
void relay_seek_stop(struct relay_control *control);

/* A shard has clients for a node that has no leg here. Said again when a way to it was lost. */
void relay_seek_node(struct relay_control *control, const uint8_t node_id[UUID_BYTES]);
void relay_seek_end(struct relay_control *control, const uint8_t node_id[UUID_BYTES]);

/* A leg of the node is there. */
void relay_seek_found(struct relay_control *control, const uint8_t node_id[UUID_BYTES],
		      const struct relay_other *at, uint64_t generation);
