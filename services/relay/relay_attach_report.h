/*
 * relay_attach_report: what the control actor hears about legs and sessions of this shard. Shard
 * thread only.
 */
#pragma once

#include "relay/relay_channel.h"
#include "relay/relay_mailbox.h"

struct relay_shard;

/* reason: static, or NULL. */
void relay_report_node(struct relay_shard *shard, enum relay_message_kind kind,
		       const struct relay_node *node, const char *reason);

/* With what it carried since the last time; nothing for a channel whose session is not known. */
void relay_report_session(struct relay_shard *shard, enum relay_message_kind kind,
			  struct relay_channel *channel);
