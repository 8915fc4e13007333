/*
 * relay_carry: see the header.
 */
#include "relay/relay_carry.h"

#include "leg/leg_frame.h"
#include "relay/relay_data.h"
#include "relay/relay_mail.h"
#include "relay/relay_shard.h"

#include <errno.h>
#include <string.h>

/* The command's datagram in the form of a message of this leg. Its size, or -EMSGSIZE. */
static ssize_t
write_message(const struct relay_leg *from, const struct relay_channel *channel,
	      const struct relay_message *command, uint8_t *to, size_t size)
{
	struct leg_writer writer;

	if (from->is_raw) {
		if (command->n > size)
			return -EMSGSIZE;
		memcpy(to, command->bytes, command->n);
		return (ssize_t)command->n;
	}
	leg_writer_init(&writer, !command->is_to_node, channel->number, to, size);
	if (leg_writer_add(&writer, command->bytes, command->n) < 0)
		return -EMSGSIZE;
	return (ssize_t)writer.n;
}

/* As if it had come on the other leg of its channel: same checks, same queue, same rate. */
static int
carry(struct relay_shard *shard, const struct relay_message *command)
{
	const struct relay_channel *channel =
		relay_channel_find(&shard->directory, command->session_id);
	uint8_t payload[LEG_DATA_HEADER_NODE_BYTES + LEG_DATAGRAM_HEADER_BYTES +
			RELAY_CARRY_MAX_BYTES];

	if (channel == NULL || memcmp(channel->node->id, command->node_id, UUID_BYTES) != 0)
		return -ENOENT;
	struct relay_leg *from = command->is_to_node ? channel->client : channel->node->leg;
	const struct relay_leg *to = command->is_to_node ? channel->node->leg : channel->client;
	if (from == NULL || to == NULL || !relay_leg_is_open(from) || !relay_leg_is_open(to))
		return -ENOTCONN;
	if (to->outbox.lane_bytes >= shard->settings->queue_bytes)
		return -EAGAIN;
	ssize_t n = write_message(from, channel, command, payload, sizeof(payload));
	if (n < 0)
		return (int)n;
	relay_data_on_message(shard, from, payload, (size_t)n, 0);
	return 0;
}

void
relay_carry(struct relay_shard *shard, struct relay_message **command)
{
	(*command)->result = carry(shard, *command);
	(*command)->kind = RELAY_CARRIED;
	relay_mail_report(shard, command);
}
