/*
 * relay_attach: a leg becomes a node's or a session's, and stops being it. The newest proven leg
 * wins. Shard thread only.
 */
#pragma once

#include "relay/relay_leg.h"

/* A leg whose ticket is good arrives at its node's shard: admitted with a 101, or refused. */
void relay_attach(struct relay_shard *shard, struct relay_leg *leg);

/* A client leg by way of a carrier. */
struct relay_carried_client {
	uint8_t node_id[UUID_BYTES];
	const uint8_t *session_id; /* NULL: not known yet */
	uint32_t rate_kbytes;	   /* 0: no limit here */
	uint64_t generation;	   /* when it came, where it came: wall clock, us. 0: it stands
				    * beside its session's other legs, and takes no place */
};

/* The leg stays the caller's on failure. -ESTALE: the session has a newer leg; -ENOSPC: the node
 * has no room; -ESHUTDOWN: session or node is closed; -ENOMEM. */
int relay_attach_carried_client(struct relay_shard *shard, struct relay_leg *leg,
				const struct relay_carried_client *client);

/* Takes the leg: the node's channels go by way of it, until its own leg or a newer one comes. It is
 * only kept when client legs of this relay wait for the node: false, and freed, otherwise. */
bool relay_attach_carried_node(struct relay_shard *shard, struct relay_leg *leg,
			       const uint8_t node_id[UUID_BYTES], uint64_t generation);

/* The node has a newer leg at another relay: its leg here, of this generation, is over. */
void relay_attach_on_node_moved(struct relay_shard *shard, const uint8_t node_id[UUID_BYTES],
				uint64_t generation);

/* The shard ends: what has no connection of its own is taken apart. */
void relay_attach_end_carried(struct relay_shard *shard);

/* A leg that was open goes: its channels, numbers and queues with it. */
void relay_detach(struct relay_shard *shard, struct relay_leg *leg);

/* The node's leg did not come back in time. */
void relay_attach_on_grace_end(struct relay_shard *shard, struct relay_node *node);

/* Tells the control actor what each session's legs carried since the last time. */
void relay_attach_report_usage(struct relay_shard *shard);

/* The node leg's round trip is known, or another than before. */
void relay_attach_report_rtt(struct relay_shard *shard, const struct relay_leg *leg);
