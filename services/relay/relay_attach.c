/*
 * relay_attach: everything that changes who is joined with whom. Pieces of the round under way hold
 * lanes, so they are flushed before anything here is taken apart.
 */
#include "relay/relay_attach.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_link.h"
#include "relay/relay_mail.h"
#include "relay/relay_output.h"
#include "relay/relay_shard.h"
#include "relay/relay_upgrade.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
report_node(struct relay_shard *shard, enum relay_message_kind kind, const struct relay_node *node,
	    const char *reason)
{
	struct relay_message *message = relay_message_new(kind, node->id, 0);

	if (message == NULL) {
		relay_count(&shard->counters, RELAY_REPORTS_LOST, 1);
		return;
	}
	message->generation = node->generation;
	message->channels = node->count;
	message->rtt_us = node->leg != NULL ? node->leg->rtt_us : 0;
	message->reason = reason;
	relay_mail_report(shard, &message);
}

void
relay_attach_report_rtt(struct relay_shard *shard, const struct relay_leg *leg)
{
	report_node(shard, RELAY_LEG_MEASURED, leg->node, NULL);
}

static void
report_session(struct relay_shard *shard, enum relay_message_kind kind,
	       struct relay_channel *channel)
{
	struct relay_message *message = relay_message_new(kind, channel->node->id, 0);

	if (message == NULL) {
		relay_count(&shard->counters, RELAY_REPORTS_LOST, 1);
		return;
	}
	memcpy(message->session_id, channel->session_id, UUID_BYTES);
	message->bytes_up = channel->bytes_up;
	message->bytes_down = channel->bytes_down;
	channel->bytes_up = channel->bytes_down = 0;
	relay_mail_report(shard, &message);
}

void
relay_attach_report_usage(struct relay_shard *shard)
{
	struct idtable *channels = &shard->directory.channels;

	for (struct relay_channel *channel = idtable_next(channels, NULL); channel != NULL;
	     channel = idtable_next(channels, channel))
		if (channel->bytes_up != 0 || channel->bytes_down != 0)
			report_session(shard, RELAY_SESSION_CARRIED, channel);
}

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
	relay_count(&shard->counters, RELAY_LEGS_NODE, (uint64_t)-1);
	report_node(shard, RELAY_LEG_DETACHED, node, reason);
}

static void
replace(struct relay_shard *shard, struct relay_leg *older)
{
	relay_count(&shard->counters, RELAY_REPLACED, 1);
	relay_leg_doom(shard, older, WS_CLOSE_REPLACED, "replaced by a newer leg");
}

static void
attach_node(struct relay_shard *shard, struct relay_leg *leg)
{
	struct relay_node *node = relay_node_get(&shard->directory, leg->upgrade->ticket.node_id);
	struct relay_channel *channel;
	uint32_t i = 0;

	if (node == NULL)
		return relay_upgrade_refuse(shard, leg, 503, "out of memory");
	if (node->leg != NULL) {
		struct relay_leg *older = node->leg;

		leave_node(shard, older, "replaced");
		replace(shard, older);
	}
	relay_timer_stop(&shard->wheel, &node->grace);
	leg->node = node;
	relay_node_attach(node, leg, (uint64_t)clock_wall_ms() * 1000);
	open_leg(shard, leg, RELAY_LEGS_NODE);
	while ((channel = relay_node_next(node, &i)) != NULL)
		relay_link_channel_open(shard, channel);
	report_node(shard, RELAY_LEG_ATTACHED, node, NULL);
}

static void
wait_for_node(struct relay_shard *shard, struct relay_node *node)
{
	node->grace.kind = RELAY_TIMER_NODE;
	if (node->leg == NULL && node->count > 0 && node->grace.at == NULL)
		relay_timer_set(&shard->wheel, &node->grace,
				shard->now_ms + shard->settings->grace_ms);
}

static void
put_node(struct relay_shard *shard, struct relay_node *node)
{
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
	int r = relay_channel_new(&shard->directory, node, ticket->session_id, leg,
				  shard->settings->channels_max, &leg->channel);
	if (r < 0) {
		put_node(shard, node);
		relay_upgrade_refuse(shard, leg, r == -ENOSPC ? 429 : 503, "node has no room");
		return;
	}
	relay_rate_init(&leg->channel->rate_up, rate, shard->now_ms);
	relay_rate_init(&leg->channel->rate_down, rate, shard->now_ms);
	if (older != NULL)
		replace(shard, older->client);
	open_leg(shard, leg, RELAY_LEGS_CLIENT);
	if (node->leg != NULL)
		relay_link_channel_open(shard, leg->channel);
	else
		wait_for_node(shard, node);
	report_session(shard, RELAY_SESSION_SEEN, leg->channel);
}

void
relay_attach(struct relay_shard *shard, struct relay_leg *leg)
{
	const struct ticket *ticket = &leg->upgrade->ticket;

	relay_round_flush(shard);
	if (shard->drain_until_ms != 0)
		return relay_upgrade_refuse(shard, leg, 503, "draining");
	if (relay_gone_has(&shard->gone, ticket->node_id) ||
	    (ticket->role == TICKET_ROLE_SESSION &&
	     relay_gone_has(&shard->gone, ticket->session_id)))
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
		relay_link_channel_close(shard, node->leg, channel->number, leg->close_reason);
	}
	relay_count(&shard->counters, RELAY_LEGS_CLIENT, (uint64_t)-1);
	report_session(shard, RELAY_SESSION_CARRIED, channel);
	leg->channel = NULL;
	relay_channel_free(&shard->directory, &channel);
	put_node(shard, node);
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
	wait_for_node(shard, node);
	put_node(shard, node);
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
