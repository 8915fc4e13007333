/*
 * relay_port: one link of the mesh as a shard sees it: the legs that go over it, and what this turn
 * gathered for it. Inside relay_mesh_leg and relay_port only; shard thread.
 */
#pragma once

#include "relay/relay_leg.h"
#include "relay/relay_mesh_peers.h"
#include "relay/relay_mesh_wire.h"

#include <sys/queue.h>

struct relay_port;

enum { RELAY_END_KEY_BYTES = UUID_BYTES + 4 };

/* A leg that goes over a link. */
struct relay_end {
	struct idtable_link by_key;
	uint8_t key[RELAY_END_KEY_BYTES]; /* node, channel there; the channel of a node is 0 */
	struct relay_port *port;
	struct relay_leg *leg;
	LIST_ENTRY(relay_end) of_port;
};

struct relay_gather {
	uint8_t *bytes; /* NULL until there is something */
	size_t n;
};

struct relay_port {
	struct relay_port *next;
	uint64_t link;
	struct relay_mesh_peer *peer; /* who dialled; NULL: we did */
	LIST_HEAD(, relay_end) ends;
	struct idtable by_key;
	struct relay_gather data, control;
};

/* The port of a link; is_new: make it. NULL: there is none, or out of memory. */
struct relay_port *relay_port_get(struct relay_shard *shard, uint64_t link, bool is_new);

/* Frees a port over which nothing goes. */
void relay_port_put(struct relay_shard *shard, struct relay_port *port);

/* The end is the port's from now on. NULL: out of memory. */
struct relay_end *relay_end_new(struct relay_port *port, const uint8_t node_id[UUID_BYTES],
				uint32_t channel);
void relay_end_free(struct relay_end **end);
struct relay_end *relay_end_find(const struct relay_port *port, const uint8_t node_id[UUID_BYTES],
				 uint32_t channel);

/* A place for a leg message of n bytes about this node; the rest of the turn's messages go before
 * or after it. NULL: out of memory. */
uint8_t *relay_port_place(struct relay_shard *shard, struct relay_port *port, bool is_control,
			  const uint8_t node_id[UUID_BYTES], size_t n);

/* Hands over what was gathered. */
void relay_port_flush(struct relay_shard *shard, struct relay_port *port);
