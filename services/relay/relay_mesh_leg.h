/*
 * relay_mesh_leg: a shard's side of the mesh. A client leg whose node has its leg at another relay
 * is joined, at the relay where it came in, with a leg that stands for that node; and at the node's
 * home relay the node is joined with a leg that stands for that client. Both are carried legs: what
 * they are sent is gathered, a message for each link, and handed to the mesh thread once a turn.
 *
 *	client leg -> [node, by way of the mesh] == link == [client, by way of the mesh] -> node leg
 *
 * Shard thread only.
 */
#pragma once

#include "relay/relay_leg.h"

struct relay_message;
struct relay_port;

/* The links that a shard has to do with. */
struct relay_ports {
	struct relay_port *first;
};

/* Sections that came over a link; its message is the caller's, and is written to. */
void relay_mesh_on_sections(struct relay_shard *shard, struct relay_message *message);

/* The link is gone, and with it all that went over it. */
void relay_mesh_on_link_down(struct relay_shard *shard, uint64_t link);

/* The node's leg is at the other end of the link. */
void relay_mesh_on_tie(struct relay_shard *shard, const struct relay_message *message);

/* Hands over what this turn gathered. */
void relay_mesh_flush(struct relay_shard *shard);

/* All carried legs must have ended. */
void relay_mesh_ports_fini(struct relay_shard *shard);
