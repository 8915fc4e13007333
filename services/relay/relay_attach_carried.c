/*
 * relay_attach_carried: legs by way of a carrier: clients and nodes at other relays, and stock
 * WireGuard apps. See relay_attach.h.
 */
#include "relay/relay_attach_inside.h"
#include "relay/relay_attach_report.h"
#include "relay/relay_link.h"
#include "relay/relay_mesh_carry.h"
#include "relay/relay_shard.h"

#include <errno.h>
#include <string.h>

/* A quarter of a node's channels is for those who come to its own relay, with a ticket. */
static bool
has_room_for_foreign(const struct relay_shard *shard, const struct relay_node *node,
		     const struct relay_channel *older)
{
	uint32_t most = shard->settings->channels_max - shard->settings->channels_max / 4;
	uint32_t leaves =
		older != NULL && older->node == node && relay_mesh_is_client(older->client);

	return node->foreign - leaves < most;
}

static int
join_carried(struct relay_shard *shard, struct relay_node *node, struct relay_leg *leg,
	     const struct relay_carried_client *client)
{
	bool takes_place = client->session_id != NULL && client->generation != 0;
	struct relay_channel *older =
		takes_place ? relay_channel_find(&shard->directory, client->session_id) : NULL;

	/* One that is no older than itself came back to where it began. */
	if (older != NULL &&
	    (older->generation > client->generation ||
	     (older->generation == client->generation && older->client->carrier == NULL)))
		return -ESTALE;
	if (relay_mesh_is_client(leg) && !has_room_for_foreign(shard, node, older))
		return -ENOSPC;
	int r = relay_channel_new(&shard->directory, node, takes_place ? client->session_id : NULL,
				  leg, shard->settings->channels_max, &leg->channel);
	if (r < 0)
		return r;
	if (client->session_id != NULL)
		memcpy(leg->channel->session_id, client->session_id, UUID_BYTES);
	leg->channel->generation = client->generation;
	relay_rate_init(&leg->channel->rate_up, client->rate_kbytes, shard->now_ms);
	relay_rate_init(&leg->channel->rate_down, client->rate_kbytes, shard->now_ms);
	if (older != NULL)
		relay_attach_replace(shard, older->client);
	relay_count(&shard->counters, leg->carrier->gauge, 1);
	node->foreign += relay_mesh_is_client(leg);
	if (node->leg != NULL)
		relay_link_channel_open(shard, leg->channel);
	else
		relay_attach_wait(shard, node);
	relay_report_session(shard, RELAY_SESSION_SEEN, leg->channel);
	return 0;
}

int
relay_attach_carried_client(struct relay_shard *shard, struct relay_leg *leg,
			    const struct relay_carried_client *client)
{
	if (relay_attach_is_gone(shard, client->node_id, client->session_id))
		return -ESHUTDOWN;
	relay_round_flush(shard);
	struct relay_node *node = relay_node_get(&shard->directory, client->node_id);
	int r = node != NULL ? join_carried(shard, node, leg, client) : -ENOMEM;
	if (r < 0 && node != NULL)
		relay_attach_put_node(shard, node);
	return r;
}

/* Clients of other relays that wait here wait at the wrong place now. */
static void
send_away(struct relay_shard *shard, struct relay_node *node)
{
	struct relay_channel *channel;
	uint32_t i = 0;

	while ((channel = relay_node_next(node, &i)) != NULL)
		if (relay_mesh_is_client(channel->client))
			relay_leg_doom(shard, channel->client, 0, "node is elsewhere");
}

bool
relay_attach_carried_node(struct relay_shard *shard, struct relay_leg *leg,
			  const uint8_t node_id[UUID_BYTES], uint64_t generation)
{
	struct relay_node *node = relay_node_find(&shard->directory, node_id);

	/* A way that took long to come up may be to where the node was before. */
	if (node == NULL || !relay_attach_has_clients(node) || relay_attach_has_own_leg(node) ||
	    (node->leg != NULL && generation < node->generation)) {
		relay_leg_free(&leg);
		return false;
	}
	relay_round_flush(shard);
	send_away(shard, node);
	relay_attach_take_node(shard, node, leg, generation);
	relay_count(&shard->counters, leg->carrier->gauge, 1);
	relay_attach_open_channels(shard, node);
	return true;
}

void
relay_attach_on_node_moved(struct relay_shard *shard, const uint8_t node_id[UUID_BYTES],
			   uint64_t generation)
{
	struct relay_node *node = relay_node_find(&shard->directory, node_id);

	if (node == NULL || !relay_attach_has_own_leg(node) || node->generation != generation)
		return;
	relay_count(&shard->counters, RELAY_REPLACED, 1);
	relay_leg_doom(shard, node->leg, WS_CLOSE_REPLACED, "replaced by a newer leg elsewhere");
}

void
relay_attach_end_carried(struct relay_shard *shard)
{
	struct idtable *nodes = &shard->directory.nodes;
	struct relay_channel *channel;

	for (struct relay_node *node = idtable_next(nodes, NULL); node != NULL;
	     node = idtable_next(nodes, node)) {
		uint32_t i = 0;

		if (node->leg != NULL && node->leg->carrier != NULL)
			relay_leg_doom(shard, node->leg, 0, "relay stops");
		while ((channel = relay_node_next(node, &i)) != NULL)
			if (channel->client->carrier != NULL)
				relay_leg_doom(shard, channel->client, 0, "relay stops");
	}
	relay_leg_reap(shard);
}
