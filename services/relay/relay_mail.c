/*
 * relay_mail: what a shard hears from the control actor and other shards, and what it tells.
 * Hears: sessions that open and close, nodes that are deleted, connections that move here, drain
 * and stop.
 */
#include "relay/relay_mail.h"

#include "relay/relay_attach.h"
#include "relay/relay_carry.h"
#include "relay/relay_link.h"
#include "relay/relay_mesh_peers.h"
#include "relay/relay_shard.h"
#include "relay/relay_udp.h"

#include <assert.h>
#include <string.h>

enum {
	DRAIN_SPREAD_MIN_MS = 100,
	DRAIN_SPREAD_PERCENT = 60, /* of the drain: the rest is for connecting */
};

/* ---- reports ---- */

static bool
may_be_lost(enum relay_message_kind kind)
{
	return kind == RELAY_FLOWS_REPORTED || kind == RELAY_LEG_MEASURED;
}

void
relay_mail_report(struct relay_shard *shard, struct relay_message **message)
{
	struct relay_message *m = *message;

	if (shard->unsent == NULL && relay_mailbox_send(shard->control, message) == 0)
		return;
	*message = NULL;
	if (may_be_lost(m->kind)) {
		relay_count(&shard->counters, RELAY_REPORTS_LOST, 1);
		relay_message_free(&m);
		return;
	}
	m->next = NULL;
	if (shard->unsent != NULL)
		shard->unsent_tail->next = m;
	else
		shard->unsent = m;
	shard->unsent_tail = m;
}

void
relay_mail_send_unsent(struct relay_shard *shard)
{
	while (shard->unsent != NULL) {
		struct relay_message *m = shard->unsent, *next = m->next;

		if (relay_mailbox_send(shard->control, &m) < 0)
			return;
		shard->unsent = next;
	}
}

static void
report_open_failed(struct relay_shard *shard, const struct relay_message *command)
{
	struct relay_message *message = relay_message_new(RELAY_OPEN_FAILED, command->node_id, 0);

	if (message == NULL)
		return; /* the call ends by its deadline */
	message->request_id = command->request_id;
	relay_mail_report(shard, &message);
}

/* ---- commands ---- */

static void
on_session_open(struct relay_shard *shard, const struct relay_message *command)
{
	struct relay_node *node = relay_node_find(&shard->directory, command->node_id);

	relay_gone_remove(&shard->closed, command->node_id, command->session_id);
	if (node == NULL || node->leg == NULL || !relay_leg_is_open(node->leg)) {
		report_open_failed(shard, command);
		return;
	}
	relay_link_send(shard, node->leg, command->bytes, command->n);
}

static void
on_session_close(struct relay_shard *shard, const struct relay_message *command)
{
	struct relay_node *node = relay_node_find(&shard->directory, command->node_id);
	struct relay_channel *channel;
	uint32_t i = 0;

	relay_gone_add(&shard->closed, command->node_id, command->session_id);
	relay_udp_unbind(shard, command->session_id, command->node_id);
	if (node == NULL)
		return;
	if (node->leg != NULL)
		relay_link_send(shard, node->leg, command->bytes, command->n);
	while ((channel = relay_node_next(node, &i)) != NULL)
		if (memcmp(channel->session_id, command->session_id, UUID_BYTES) == 0)
			relay_leg_doom(shard, channel->client, WS_CLOSE_GONE, "session is closed");
}

static void
on_node_gone(struct relay_shard *shard, const struct relay_message *command)
{
	struct relay_node *node = relay_node_find(&shard->directory, command->node_id);
	struct relay_channel *channel;
	uint32_t i = 0;

	relay_gone_add(&shard->deleted, command->node_id, NULL);
	if (node == NULL)
		return;
	if (node->leg != NULL)
		relay_leg_doom(shard, node->leg, WS_CLOSE_GONE, "node was deleted");
	while ((channel = relay_node_next(node, &i)) != NULL)
		relay_leg_doom(shard, channel->client, WS_CLOSE_GONE, "node was deleted");
}

static void
on_adopt(struct relay_shard *shard, struct relay_leg *leg)
{
	int r = relay_leg_enter(shard, leg);

	relay_count_shared(&shard->counters, RELAY_LEGS_MOVING, (uint64_t)-1);
	if (r < 0)
		relay_leg_free(&leg);
	else
		relay_attach(shard, leg);
}

/* As many as may come in a second at the relays that they go to, but all of them in time. */
static uint32_t
drain_spread_ms(const struct relay_shard *shard, uint32_t legs)
{
	const struct relay_settings *settings = shard->settings;
	int64_t spread_ms = (int64_t)legs * 1000 / settings->drain_pace + DRAIN_SPREAD_MIN_MS;
	int64_t most_ms = settings->drain_ms * DRAIN_SPREAD_PERCENT / 100;

	return (uint32_t)(spread_ms < most_ms ? spread_ms : most_ms);
}

static void
report_closed(struct relay_shard *shard)
{
	struct relay_message *message = relay_message_new(RELAY_DOOR_CLOSED, NULL, 0);

	if (message != NULL)
		relay_mail_report(shard, &message);
}

/* command: bytes: URLs of other relays, each with its NUL; channels: legs of the whole relay. */
static void
start_drain(struct relay_shard *shard, const struct relay_message *command)
{
	const char *urls = (const char *)command->bytes, *end = urls + command->n, *url = urls;
	struct relay_leg *leg;

	if (shard->drain_until_ms != 0)
		return;
	shard->drain_until_ms = shard->now_ms + shard->settings->drain_ms;
	relay_accept_end(shard);
	if (relay_shard_is_door(shard))
		report_closed(shard);
	uint32_t spread_ms = drain_spread_ms(shard, command->channels);
	LIST_FOREACH (leg, &shard->legs, of_shard) {
		if (leg->state == RELAY_LEG_UPGRADING) {
			relay_leg_doom(shard, leg, 0, "draining");
			continue;
		}
		relay_link_drain(shard, leg, url < end ? url : "", spread_ms);
		url += url < end ? strlen(url) + 1 : 0;
		if (url >= end)
			url = urls;
	}
}

static void
obey(struct relay_shard *shard, struct relay_message **message)
{
	struct relay_message *command = *message;

	switch (command->kind) {
	case RELAY_ADOPT:
		on_adopt(shard, command->leg);
		break;
	case RELAY_SESSION_OPEN:
		on_session_open(shard, command);
		break;
	case RELAY_SESSION_CLOSE:
		on_session_close(shard, command);
		break;
	case RELAY_TIE:
		relay_mesh_on_tie(shard, command);
		break;
	case RELAY_MESH_SECTIONS:
		atomic_fetch_sub_explicit(&shard->mesh_bytes, (int64_t)command->n,
					  memory_order_relaxed);
		relay_mesh_on_sections(shard, command);
		relay_peer_room_put(command->peer, command->n);
		break;
	case RELAY_MESH_DOWN:
		relay_mesh_on_link_down(shard, command->link);
		break;
	case RELAY_CARRY:
		relay_carry(shard, message);
		break;
	case RELAY_NODE_GONE:
		on_node_gone(shard, command);
		break;
	case RELAY_NODE_BACK:
		relay_gone_remove(&shard->deleted, command->node_id, NULL);
		break;
	case RELAY_UDP_HANDED:
		relay_udp_on_handed(shard, command);
		break;
	case RELAY_UDP_RETURNED:
		relay_udp_on_returned(shard, command);
		break;
	case RELAY_UDP_LEARNT:
		relay_udp_on_learnt(shard, command);
		break;
	case RELAY_UDP_BIND:
		relay_udp_bind(shard,
			       (const struct relay_udp_binding *)(const void *)command->bytes);
		break;
	case RELAY_UDP_UNBIND:
		relay_udp_unbind(shard, command->session_id, NULL);
		break;
	case RELAY_UDP_PEERS:
		relay_udp_set_peers(shard,
				    (const struct relay_udp_peers *)(const void *)command->bytes);
		break;
	case RELAY_NODE_MOVED:
		relay_attach_on_node_moved(shard, command->node_id, command->generation);
		break;
	case RELAY_DRAIN:
		start_drain(shard, command);
		break;
	case RELAY_STOP:
		shard->is_stopping = true;
		break;
	case RELAY_LEG_ATTACHED:
	case RELAY_LEG_DETACHED:
	case RELAY_LEG_MEASURED:
	case RELAY_LEG_SWAPPED:
	case RELAY_LEG_CONTESTED:
	case RELAY_OPEN_ANSWERED:
	case RELAY_OPEN_FAILED:
	case RELAY_CARRIED:
	case RELAY_NODE_SOUGHT:
	case RELAY_NODE_SETTLED:
	case RELAY_MESH_SEND:
	case RELAY_SESSION_SEEN:
	case RELAY_SESSION_CARRIED:
	case RELAY_FLOWS_REPORTED:
	case RELAY_DOOR_CLOSED:
	case RELAY_DRAINED:
		assert(false); /* a report is no command */
	}
}

void
relay_mail_obey(struct relay_shard *shard)
{
	struct relay_message *command = relay_mailbox_receive(&shard->mailbox);

	while (command != NULL) {
		struct relay_message *next = command->next;

		obey(shard, &command);
		relay_message_free(&command);
		command = next;
	}
}
