/*
 * relay_channel: a channel's number is {u16 serial, u16 slot}. The slot finds it, the serial, which
 * goes up with each number given, keeps a number from coming back before 65535 others have.
 */
#include "relay/relay_channel.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 8 };

int
relay_directory_init(struct relay_directory *directory)
{
	int r = idtable_init(&directory->nodes, offsetof(struct relay_node, by_id),
			     offsetof(struct relay_node, id), UUID_BYTES);

	if (r < 0)
		return r;
	r = idtable_init(&directory->channels, offsetof(struct relay_channel, by_session),
			 offsetof(struct relay_channel, session_id), UUID_BYTES);
	if (r < 0)
		idtable_fini(&directory->nodes);
	return r;
}

void
relay_directory_fini(struct relay_directory *directory)
{
	assert(directory->nodes.count == 0 && directory->channels.count == 0);
	idtable_fini(&directory->channels);
	idtable_fini(&directory->nodes);
}

struct relay_node *
relay_node_find(const struct relay_directory *directory, const uint8_t id[UUID_BYTES])
{
	return idtable_find(&directory->nodes, id);
}

struct relay_node *
relay_node_get(struct relay_directory *directory, const uint8_t id[UUID_BYTES])
{
	struct relay_node *node = relay_node_find(directory, id);

	if (node != NULL)
		return node;
	node = calloc(1, sizeof(*node));
	if (node == NULL)
		return NULL;
	memcpy(node->id, id, UUID_BYTES);
	idtable_add(&directory->nodes, node);
	return node;
}

bool
relay_node_put(struct relay_directory *directory, struct relay_node *node)
{
	if (node->leg != NULL || node->count > 0)
		return false;
	assert(node->grace.at == NULL);
	idtable_remove(&directory->nodes, node);
	free(node->slots);
	free(node);
	return true;
}

static uint32_t
next_number(struct relay_node *node, uint32_t slot)
{
	if (++node->serial == 0)
		node->serial = 1;
	return (uint32_t)node->serial << 16 | slot;
}

void
relay_node_attach(struct relay_node *node, struct relay_leg *leg, uint64_t now_us)
{
	node->leg = leg;
	node->generation = node->generation >= now_us ? node->generation + 1 : now_us;
	for (uint32_t i = 0; i < node->capacity; i++)
		if (node->slots[i] != NULL)
			node->slots[i]->number = next_number(node, i);
}

void
relay_node_detach(struct relay_node *node)
{
	node->leg = NULL;
	for (uint32_t i = 0; i < node->capacity; i++)
		if (node->slots[i] != NULL)
			node->slots[i]->number = 0;
}

struct relay_channel *
relay_node_next(const struct relay_node *node, uint32_t *i)
{
	while (*i < node->capacity) {
		struct relay_channel *channel = node->slots[(*i)++];

		if (channel != NULL)
			return channel;
	}
	return NULL;
}

struct relay_channel *
relay_channel_find(const struct relay_directory *directory, const uint8_t session_id[UUID_BYTES])
{
	return idtable_find(&directory->channels, session_id);
}

static int
take_slot(struct relay_node *node, uint32_t *ret)
{
	if (node->count == node->capacity) {
		uint32_t capacity = node->capacity > 0 ? node->capacity * 2 : SLOTS_MIN;
		struct relay_channel **slots =
			reallocarray(node->slots, capacity, sizeof(struct relay_channel *));

		if (slots == NULL)
			return -ENOMEM;
		memset(slots + node->capacity, 0,
		       (capacity - node->capacity) * sizeof(struct relay_channel *));
		node->next_slot = node->capacity;
		node->slots = slots;
		node->capacity = capacity;
	}
	while (node->slots[node->next_slot % node->capacity] != NULL)
		node->next_slot++;
	*ret = node->next_slot++ % node->capacity;
	return 0;
}

int
relay_channel_new(struct relay_directory *directory, struct relay_node *node,
		  const uint8_t *session_id, struct relay_leg *client, uint32_t max_channels,
		  struct relay_channel **ret)
{
	struct relay_channel *channel,
		*older = session_id != NULL ? relay_channel_find(directory, session_id) : NULL;
	/* The one whose place it takes is about to go. */
	uint32_t leaves = older != NULL && older->node == node, slot;

	if (node->count - leaves >= max_channels || node->count >= RELAY_CHANNELS_MAX)
		return -ENOSPC;
	int r = take_slot(node, &slot);
	if (r < 0)
		return r;
	channel = calloc(1, sizeof(*channel));
	if (channel == NULL)
		return -ENOMEM;
	channel->node = node;
	channel->client = client;
	channel->slot = slot;
	channel->to_client.form = RELAY_LANE_TO_CLIENT;
	channel->number = node->leg != NULL ? next_number(node, slot) : 0;
	node->slots[slot] = channel;
	node->count++;
	*ret = channel;
	if (session_id == NULL)
		return 0;
	memcpy(channel->session_id, session_id, UUID_BYTES);
	if (older != NULL)
		idtable_remove(&directory->channels, older);
	idtable_add(&directory->channels, channel);
	return 0;
}

void
relay_channel_free(struct relay_directory *directory, struct relay_channel **channel)
{
	struct relay_channel *c = *channel;

	assert(c->to_node.fair.outbox == NULL && c->to_client.fair.outbox == NULL &&
	       c->limited_at == NULL);
	*channel = NULL;
	/* Compared by identity: a newer channel of the session is not to be lost with this one. */
	if (relay_channel_find(directory, c->session_id) == c)
		idtable_remove(&directory->channels, c);
	c->node->slots[c->slot] = NULL;
	c->node->count--;
	free(c);
}
