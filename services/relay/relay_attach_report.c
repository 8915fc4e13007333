/*
 * relay_attach_report: what the control actor hears about legs and sessions of this shard.
 */
#include "relay/relay_attach_report.h"

#include "relay/relay_attach.h"
#include "relay/relay_mail.h"
#include "relay/relay_shard.h"

#include <string.h>

void
relay_report_node(struct relay_shard *shard, enum relay_message_kind kind,
		  const struct relay_node *node, const char *reason)
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
relay_report_session(struct relay_shard *shard, enum relay_message_kind kind,
		     struct relay_channel *channel)
{
	struct relay_message *message;

	if (!relay_channel_has_session(channel))
		return;
	message = relay_message_new(kind, channel->node->id, 0);
	if (message == NULL) {
		relay_count(&shard->counters, RELAY_REPORTS_LOST, 1);
		return;
	}
	memcpy(message->session_id, channel->session_id, UUID_BYTES);
	message->carried = channel->carried;
	channel->carried = (struct relay_carried){ 0 };
	relay_mail_report(shard, &message);
}

void
relay_attach_report_rtt(struct relay_shard *shard, const struct relay_leg *leg)
{
	relay_report_node(shard, RELAY_LEG_MEASURED, leg->node, NULL);
}

void
relay_attach_report_usage(struct relay_shard *shard)
{
	struct idtable *nodes = &shard->directory.nodes;
	struct relay_channel *channel;

	if (shard->unsent != NULL)
		return; /* nobody listens: it is added up where it is */
	for (const struct relay_node *node = idtable_next(nodes, NULL); node != NULL;
	     node = idtable_next(nodes, node)) {
		uint32_t i = 0;

		while ((channel = relay_node_next(node, &i)) != NULL)
			if (channel->carried.bytes_up != 0 || channel->carried.bytes_down != 0)
				relay_report_session(shard, RELAY_SESSION_CARRIED, channel);
	}
}
