/*
 * relay_attach_inside: what legs with a connection of their own and carried legs have in common.
 * For relay_attach's files only.
 */
#pragma once

#include "relay/relay_attach.h"
#include "relay/relay_channel.h"
#include "relay/relay_leg.h"

/* Clients of other relays are not counted. */
static inline bool
relay_attach_has_clients(const struct relay_node *node)
{
	return node->count > node->foreign;
}

static inline bool
relay_attach_has_own_leg(const struct relay_node *node)
{
	return node->leg != NULL && node->leg->carrier == NULL;
}

/* Was the node deleted, or this session of it (NULL: none) closed? */
bool relay_attach_is_gone(const struct relay_shard *shard, const uint8_t node_id[UUID_BYTES],
			  const uint8_t *session_id);

/* The leg is the node's from now on: its channels follow, with new numbers. */
void relay_attach_take_node(struct relay_shard *shard, struct relay_node *node,
			    struct relay_leg *leg, uint64_t generation);

/* All of them are told to the node's leg. */
void relay_attach_open_channels(struct relay_shard *shard, struct relay_node *node);

/* Clients wait for the node's leg, for a while; it is looked for elsewhere. */
void relay_attach_wait(struct relay_shard *shard, struct relay_node *node);

/* Frees what nobody needs any more. */
void relay_attach_put_node(struct relay_shard *shard, struct relay_node *node);

/* A newer one has come in its place. */
void relay_attach_replace(struct relay_shard *shard, struct relay_leg *older);
