/*
 * relay_ahead: each step reads only what the step before has fetched.
 */
#include "relay/relay_ahead.h"

#include "relay/relay_event.h"

enum { CACHE_LINE_BYTES = 64 };

static void
fetch(const void *object, size_t n)
{
	for (size_t at = 0; object != NULL && at < n; at += CACHE_LINE_BYTES)
		__builtin_prefetch((const char *)object + at);
}

/* The only channel of a node's leg; of several nobody knows which is next. */
static const struct relay_channel *
only_channel(const struct relay_leg *leg)
{
	const struct relay_node *node = leg->node;

	return node->count == 1 && node->capacity > 0 ? node->slots[0] : NULL;
}

static void
fetch_channel_or_node(const struct relay_leg *leg)
{
	if (leg->channel != NULL)
		fetch(leg->channel, sizeof(*leg->channel));
	else if (leg->node != NULL)
		fetch(leg->node, sizeof(*leg->node));
}

static void
fetch_node_or_slots(const struct relay_leg *leg)
{
	if (leg->channel != NULL)
		fetch(leg->channel->node, sizeof(*leg->channel->node));
	else if (leg->node != NULL)
		fetch(leg->node->slots, sizeof(struct relay_channel *));
}

static void
fetch_other_leg(const struct relay_leg *leg)
{
	const struct relay_channel *only;

	if (leg->channel != NULL)
		fetch(leg->channel->node->leg, sizeof(struct relay_leg));
	else if (leg->node != NULL && (only = only_channel(leg)) != NULL)
		fetch(only, sizeof(*only));
}

static void
fetch_client_leg(const struct relay_leg *leg)
{
	const struct relay_channel *only;

	if (leg->node != NULL && (only = only_channel(leg)) != NULL)
		fetch(only->client, sizeof(struct relay_leg));
}

void
relay_ahead(const struct relay_shard *shard, const struct epoll_event *events, int n)
{
	static void (*const steps[])(const struct relay_leg *leg) = {
		fetch_client_leg,
		fetch_other_leg,
		fetch_node_or_slots,
		fetch_channel_or_node,
	};
	enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

	if (n > STEPS + 1 && relay_event_kind(shard, &events[STEPS + 1]) == RELAY_EVENT_LEG)
		fetch(events[STEPS + 1].data.ptr, sizeof(struct relay_leg));
	for (int i = 0; i < STEPS && i + 1 < n; i++)
		if (relay_event_kind(shard, &events[i + 1]) == RELAY_EVENT_LEG)
			steps[i](events[i + 1].data.ptr);
}
