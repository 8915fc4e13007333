/*
 * relay_attach: everything that changes who is joined with whom. Pieces of the round under way hold
 * lanes, so they are flushed before anything here is taken apart.
 */
#include "relay/relay_attach.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_attach_inside.h"
#include "relay/relay_attach_report.h"
#include "relay/relay_drops.h"
#include "relay/relay_link.h"
#include "relay/relay_mesh_carry.h"
#include "relay/relay_output.h"
#include "relay/relay_shard.h"
#include "relay/relay_udp.h"
#include "relay/relay_upgrade.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ALIVE_MS = 20 * 1000 }; /* both ends of a leg ping every 15 s */

/* From here on the connection is a leg. */
static void
open_leg(struct relay_shard *shard, struct relay_leg *leg, enum relay_counter gauge)
{
	char answer[WS_RESPONSE_MAX_BYTES];
	size_t n = ws_handshake_accept(answer, leg->upgrade->request.key,
				       leg->upgrade->request.is_raw ? NULL : RELAY_SUBPROTOCOL);

	relay_output_say(shard, leg, (const uint8_t *)answer, n);
	if (leg->state == RELAY_LEG_UPGRADING)
		leg->state = RELAY_LEG_OPEN;
	leg->ping_ms = shard->now_ms;
	relay_count(&shard->counters, RELAY_ATTACHED, 1);
	relay_count(&shard->counters, RELAY_UPGRADE_101, 1);
	relay_count(&shard->counters, gauge, 1);
	if (leg->upgrade->has_early_bytes) {
		relay_count(&shard->counters, RELAY_CLOSED_PROTOCOL, 1);
		relay_leg_doom(shard, leg, WS_CLOSE_PROTOCOL, "frames before the answer");
	}
	relay_upgrade_free(&leg->upgrade);
	relay_leg_arm(shard, leg);
}

/* The node's leg is no longer its leg: what waits in it goes, its channels lose their numbers. */
static void
leave_node(struct relay_shard *shard, struct relay_leg *leg, const char *reason)
{
	struct relay_node *node = leg->node;
	struct relay_channel *channel;
	uint32_t i = 0;

	while ((channel = relay_node_next(node, &i)) != NULL)
		relay_output_clear_lane(shard, leg, &channel->to_node);
	relay_node_detach(node);
	leg->node = NULL;
	relay_count(&shard->counters, leg->carrier != NULL ? leg->carrier->gauge : RELAY_LEGS_NODE,
		    (uint64_t)-1);
	if (leg->carrier == NULL)
		relay_report_node(shard, RELAY_LEG_DETACHED, node, reason);
}

void
relay_attach_replace(struct relay_shard *shard, struct relay_leg *older)
{
	relay_count(&shard->counters, RELAY_REPLACED, 1);
	relay_leg_doom(shard, older, WS_CLOSE_REPLACED, "replaced by a newer leg");
}

static uint64_t
now_us(void)
{
	return (uint64_t)clock_wall_us();
}

/* The control actor looks for the node while clients of ours wait for it, and as long as they reach
 * it by way of another relay. Clients of other relays do not count: one hop is all there is. */
static void
seek(struct relay_shard *shard, struct relay_node *node)
{
	bool is_sought = !relay_attach_has_own_leg(node) && relay_attach_has_clients(node);

	if (is_sought || node->is_sought)
		relay_report_node(shard, is_sought ? RELAY_NODE_SOUGHT : RELAY_NODE_SETTLED, node,
				  NULL);
	node->is_sought = is_sought;
}

/* Its channels follow, with new numbers. */
void
relay_attach_take_node(struct relay_shard *shard, struct relay_node *node, struct relay_leg *leg,
		       uint64_t generation)
{
	if (node->leg != NULL) {
		struct relay_leg *older = node->leg;

		leave_node(shard, older, "replaced");
		relay_attach_replace(shard, older);
	}
	relay_timer_stop(&shard->wheel, &node->grace);
	leg->node = node;
	relay_node_attach(node, leg, generation);
}

/* Clients of other relays are not passed on: they might come back to where they began. */
void
relay_attach_open_channels(struct relay_shard *shard, struct relay_node *node)
{
	struct relay_channel *channel;
	uint32_t i = 0;

	while ((channel = relay_node_next(node, &i)) != NULL) {
		if (!relay_attach_has_own_leg(node) && relay_mesh_is_client(channel->client))
			continue;
		relay_link_channel_open(shard, channel);
		if (channel->client->carrier == &relay_udp_carrier)
			relay_udp_on_node(shard, channel->client);
	}
}

/* The one that is there stays; the other is told, and whoever watches the relay. */
static void
refuse_contested(struct relay_shard *shard, struct relay_leg *leg)
{
	char node[UUID_TEXT_BYTES];

	uuid_format(leg->upgrade->ticket.node_id, node);
	relay_count(&shard->counters, RELAY_CONTESTED, 1);
	log_warn("leg_contested",
		 "node=%s role=%s reason=\"legs take each other's place: one key "
		 "on two hosts?\"",
		 node, leg->upgrade->ticket.role == TICKET_ROLE_NODE ? "node" : "client");
	relay_upgrade_refuse(shard, leg, 429, "legs take each other's place");
}

/* Both hosts answered lately: a leg whose connection died had not. */
static bool
is_alive(const struct relay_shard *shard, const struct relay_leg *leg)
{
	return relay_leg_is_open(leg) && shard->now_ms - leg->heard_ms < ALIVE_MS;
}

static void
attach_node(struct relay_shard *shard, struct relay_leg *leg)
{
	struct relay_node *node = relay_node_get(&shard->directory, leg->upgrade->ticket.node_id);

	if (node == NULL)
		return relay_upgrade_refuse(shard, leg, 503, "out of memory");
	bool is_swap = relay_attach_has_own_leg(node) && is_alive(shard, node->leg);
	if (relay_attach_has_own_leg(node) && !relay_swaps_add(&node->swaps, shard->now_ms)) {
		relay_report_node(shard, RELAY_LEG_CONTESTED, node, NULL);
		return refuse_contested(shard, leg);
	}
	relay_attach_take_node(shard, node, leg, now_us());
	open_leg(shard, leg, RELAY_LEGS_NODE);
	relay_attach_open_channels(shard, node);
	relay_report_node(shard, RELAY_LEG_ATTACHED, node, NULL);
	if (is_swap)
		relay_report_node(shard, RELAY_LEG_SWAPPED, node, NULL);
	seek(shard, node);
}

void
relay_attach_wait(struct relay_shard *shard, struct relay_node *node)
{
	node->grace.kind = RELAY_TIMER_NODE;
	if (node->leg == NULL && node->count > 0 && node->grace.at == NULL)
		relay_timer_set(&shard->wheel, &node->grace,
				shard->now_ms + shard->settings->grace_ms);
	if (node->leg == NULL)
		seek(shard, node);
}

void
relay_attach_put_node(struct relay_shard *shard, struct relay_node *node)
{
	if (node->is_sought && !relay_attach_has_clients(node))
		seek(shard, node);
	if (node->leg != NULL && node->leg->carrier != NULL && node->count == 0)
		relay_leg_doom(shard, node->leg, 0, "no client is left");
	if (node->leg != NULL || node->count > 0)
		return;
	relay_timer_stop(&shard->wheel, &node->grace);
	relay_node_put(&shard->directory, node);
}

static void
attach_client(struct relay_shard *shard, struct relay_leg *leg)
{
	const struct ticket *ticket = &leg->upgrade->ticket;
	struct relay_node *node = relay_node_get(&shard->directory, ticket->node_id);
	struct relay_channel *older = relay_channel_find(&shard->directory, ticket->session_id);
	uint32_t rate =
		ticket->rate_kbytes != 0 ? ticket->rate_kbytes : shard->settings->rate_kbytes;

	if (node == NULL)
		return relay_upgrade_refuse(shard, leg, 503, "out of memory");
	struct relay_swaps swaps = older != NULL ? older->swaps : (struct relay_swaps){ 0 };
	if (older != NULL && !relay_swaps_add(&swaps, shard->now_ms)) {
		older->swaps = swaps;
		relay_attach_put_node(shard, node); /* the older one may be at another node */
		return refuse_contested(shard, leg);
	}
	int r = relay_channel_new(&shard->directory, node, ticket->session_id, leg,
				  shard->settings->channels_max, &leg->channel);
	if (r < 0) {
		relay_attach_put_node(shard, node);
		relay_upgrade_refuse(shard, leg, r == -ENOSPC ? 429 : 503, "node has no room");
		return;
	}
	relay_rate_init(&leg->channel->rate_up, rate, shard->now_ms);
	relay_rate_init(&leg->channel->rate_down, rate, shard->now_ms);
	leg->channel->generation = now_us();
	leg->channel->swaps = swaps;
	if (leg->is_raw)
		leg->channel->to_client.form = RELAY_LANE_TO_RAW_CLIENT;
	if (older != NULL)
		relay_attach_replace(shard, older->client);
	open_leg(shard, leg, RELAY_LEGS_CLIENT);
	if (node->leg != NULL)
		relay_link_channel_open(shard, leg->channel);
	else
		relay_attach_wait(shard, node);
	relay_report_session(shard, RELAY_SESSION_SEEN, leg->channel);
}

bool
relay_attach_is_gone(const struct relay_shard *shard, const uint8_t node_id[UUID_BYTES],
		     const uint8_t *session_id)
{
	return relay_gone_has(&shard->deleted, node_id, NULL) ||
	       (session_id != NULL && relay_gone_has(&shard->closed, node_id, session_id));
}

void
relay_attach(struct relay_shard *shard, struct relay_leg *leg)
{
	const struct ticket *ticket = &leg->upgrade->ticket;

	relay_round_flush(shard);
	if (shard->drain_until_ms != 0)
		return relay_upgrade_refuse(shard, leg, 503, "draining");
	if (relay_attach_is_gone(shard, ticket->node_id,
				 ticket->role == TICKET_ROLE_SESSION ? ticket->session_id : NULL))
		return relay_upgrade_refuse(shard, leg, 404, "closed or deleted");
	if (ticket->role == TICKET_ROLE_NODE)
		attach_node(shard, leg);
	else
		attach_client(shard, leg);
}

static void
leave_channel(struct relay_shard *shard, struct relay_leg *leg)
{
	struct relay_channel *channel = leg->channel;
	struct relay_node *node = channel->node;

	relay_output_clear_lane(shard, leg, &channel->to_client);
	if (node->leg != NULL) {
		relay_output_clear_lane(shard, node->leg, &channel->to_node);
		relay_link_channel_close(shard, node->leg, channel->number, 0, leg->close_reason);
	}
	relay_count(&shard->counters,
		    leg->carrier != NULL ? leg->carrier->gauge : RELAY_LEGS_CLIENT, (uint64_t)-1);
	relay_report_session(shard, RELAY_SESSION_CARRIED, channel);
	node->foreign -= relay_mesh_is_client(leg);
	leg->channel = NULL;
	relay_drops_forget(channel);
	relay_channel_free(&shard->directory, &channel);
	relay_attach_put_node(shard, node);
}

void
relay_detach(struct relay_shard *shard, struct relay_leg *leg)
{
	if (leg->node == NULL && leg->channel == NULL)
		return;
	relay_round_flush(shard);
	if (leg->channel != NULL) {
		leave_channel(shard, leg);
		return;
	}
	struct relay_node *node = leg->node;
	leave_node(shard, leg, leg->close_reason);
	relay_attach_wait(shard, node);
	relay_attach_put_node(shard, node);
}

void
relay_attach_on_grace_end(struct relay_shard *shard, struct relay_node *node)
{
	struct relay_channel *channel;
	uint32_t i = 0;

	while ((channel = relay_node_next(node, &i)) != NULL)
		relay_leg_doom(shard, channel->client, WS_CLOSE_OVERLOADED,
			       "overloaded: node did not come back");
}
