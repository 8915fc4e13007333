/*
 * relay_seek: the control actor's side of the mesh: who the other relays are, and to which of them
 * the clients go whose node has no leg here. Hears: discovery's RelayChanged, other relays'
 * LegAttached and LegDetached. Asks: discovery.ListRelays, routing.LocateNode. Tells: relay_mesh.
 */
#pragma once

#include "identity/key.h"

#include <stdbool.h>
#include <stddef.h>

struct relay_control;

int relay_seek_start(struct relay_control *control);
void relay_seek_stop(struct relay_control *control);

/* A shard has clients for a node that has no leg here. Said again when a way to it was lost. */
void relay_seek_node(struct relay_control *control, const uint8_t node_id[UUID_BYTES]);
void relay_seek_end(struct relay_control *control, const uint8_t node_id[UUID_BYTES]);

/* URLs of other relays that live and do not drain, least loaded first. Returns how many. */
enum { RELAY_SEEK_URL_BYTES = 256 };
size_t relay_seek_urls(const struct relay_control *control, char (*ret)[RELAY_SEEK_URL_BYTES],
		       size_t max);
