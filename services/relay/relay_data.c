/*
 * relay_data: a data message is unmasked, checked and given its new header in one place:
 *
 *	from a client	[ws 8][1][batch]		to the node	[ws 4][1][channel 4][batch]
 *	from a node	[ws 8][1][channel 4][batch]	to the client	[ws 4][1][batch]
 *
 * A client's message keeps its size, a node's shrinks by eight bytes, so what is written never
 * overtakes what is read; the few sizes at which a header grows go by way of the bounce buffer. The
 * batch stays one message.
 */
#include "relay/relay_data.h"

#include "leg/leg_frame.h"
#include "relay/relay_batch.h"
#include "relay/relay_link.h"
#include "relay/relay_shard.h"
#include "ws/ws_mask.h"

#include <string.h>

enum { CHANNEL_BYTES = LEG_DATA_HEADER_NODE_BYTES - LEG_DATA_HEADER_CLIENT_BYTES };

/* Where a message goes. leg NULL: nowhere, and `missing` says why. */
struct way {
	struct relay_leg *leg;
	struct relay_lane *lane;
	struct relay_channel *channel;
	enum relay_counter missing;
	size_t header_in, header_out;
};

size_t
relay_data_limit(const struct relay_leg *leg)
{
	return leg->channel != NULL ? LEG_MESSAGE_MAX_BYTES - CHANNEL_BYTES : LEG_MESSAGE_MAX_BYTES;
}

static uint32_t
get_number(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static void
put_number(uint8_t *bytes, uint32_t number)
{
	for (unsigned i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(number >> (24 - 8 * i));
}

unsigned
relay_data_count(bool is_to_node, const uint8_t *frame)
{
	size_t whole = ws_frame_bytes(frame), header = frame[1] < 126	 ? 2
						       : frame[1] == 126 ? 4
									 : 10;
	struct leg_reader reader;
	const uint8_t *datagram;
	size_t n;

	if (leg_reader_init(&reader, is_to_node, frame + header, whole - header) < 0)
		return 0;
	while (leg_reader_next(&reader, &datagram, &n) == 1)
		;
	return reader.count;
}

static struct way
way_to_node(struct relay_channel *channel)
{
	return (struct way){ .leg = channel->node->leg,
			     .lane = &channel->to_node,
			     .channel = channel,
			     .missing = RELAY_DROP_NO_NODE,
			     .header_in = LEG_DATA_HEADER_CLIENT_BYTES,
			     .header_out = LEG_DATA_HEADER_NODE_BYTES };
}

static struct way
way_to_client(const struct relay_node *node, uint32_t number)
{
	struct relay_channel *channel = relay_node_channel(node, number);

	return (struct way){ .leg = channel != NULL ? channel->client : NULL,
			     .lane = channel != NULL ? &channel->to_client : NULL,
			     .channel = channel,
			     .missing = RELAY_DROP_NO_CHANNEL,
			     .header_in = LEG_DATA_HEADER_NODE_BYTES,
			     .header_out = LEG_DATA_HEADER_CLIENT_BYTES };
}

static void
count_batch(struct relay_shard *shard, const struct relay_batch *batch)
{
	for (unsigned i = 0; i < 4; i++) {
		if (batch->types[i] != 0)
			relay_count(&shard->counters, RELAY_DATAGRAMS_INITIATION + i,
				    batch->types[i]);
		if (batch->faults[i] != 0)
			relay_count(&shard->counters, RELAY_DROP_SHORT + i, batch->faults[i]);
	}
}

/* The session's rate: a client is made to wait, a node, which serves others too, loses. */
static bool
is_within_rate(struct relay_shard *shard, struct relay_leg *leg, const struct way *way,
	       const struct relay_batch *batch)
{
	struct relay_channel *channel = way->channel;

	if (leg->channel == NULL) {
		if (relay_rate_is_spent(&channel->rate_down, shard->now_ms)) {
			relay_count(&shard->counters, RELAY_DROP_RATE, batch->kept);
			return false;
		}
		relay_rate_take(&channel->rate_down, batch->bytes, shard->now_ms);
		relay_count(&shard->counters, RELAY_BYTES_DOWN, batch->bytes);
		relay_count(&shard->counters, RELAY_MESSAGES_DOWN, 1);
		channel->bytes_down += batch->bytes;
		return true;
	}
	int64_t wait_ms = relay_rate_take(&channel->rate_up, batch->bytes, shard->now_ms);
	if (wait_ms > 0)
		leg->resume_ms = shard->now_ms + wait_ms;
	relay_count(&shard->counters, RELAY_BYTES_UP, batch->bytes);
	relay_count(&shard->counters, RELAY_MESSAGES_UP, 1);
	channel->bytes_up += batch->bytes;
	return true;
}

static void
bad_message(struct relay_shard *shard, struct relay_leg *leg, const char *reason)
{
	relay_count(&shard->counters, RELAY_BAD_MESSAGES, 1);
	relay_count(&shard->counters, RELAY_CLOSED_PROTOCOL, 1);
	relay_leg_doom(shard, leg, WS_CLOSE_BAD_MESSAGE, reason);
}

/* payload: after the kind byte's check. */
static void
forward(struct relay_shard *shard, struct relay_leg *leg, const struct way *way,
	const uint8_t *payload, size_t n, uint32_t mask)
{
	size_t batch_n = n - way->header_in;
	size_t front = ws_header_bytes(way->header_out + batch_n) + way->header_out;
	const uint8_t *from = payload + way->header_in;
	uint8_t *batch = relay_round_place(shard, from, front, front + batch_n) + front;
	struct relay_batch checked;

	ws_unmask(batch, from, batch_n, ws_mask_rotate(mask, way->header_in));
	if (relay_batch_check(batch, batch_n, &checked) < 0)
		return bad_message(shard, leg, "batch is malformed");
	count_batch(shard, &checked);
	if (checked.kept == 0)
		return;
	if (way->leg == NULL || !relay_leg_is_open(way->leg)) {
		relay_count(&shard->counters, way->missing, checked.kept);
		return;
	}
	if (!is_within_rate(shard, leg, way, &checked))
		return;
	size_t message_n = way->header_out + checked.n;
	uint8_t *message = batch - way->header_out;
	message[0] = LEG_KIND_DATA;
	if (way->header_out == LEG_DATA_HEADER_NODE_BYTES)
		put_number(message + 1, way->channel->number);
	uint8_t *frame = message - ws_header_bytes(message_n);
	ws_header_write(frame, WS_OPCODE_BINARY, message_n);
	relay_round_add(shard, way->leg, way->lane, frame, (size_t)(message - frame) + message_n);
}

void
relay_data_on_message(struct relay_shard *shard, struct relay_leg *leg, uint8_t *payload, size_t n,
		      uint32_t mask)
{
	uint8_t head[LEG_DATA_HEADER_NODE_BYTES];

	if (n == 0)
		return bad_message(shard, leg, "message is empty");
	ws_unmask(head, payload, n < sizeof(head) ? n : sizeof(head), mask);
	if (head[0] == LEG_KIND_CONTROL) {
		ws_unmask(payload, payload, n, mask);
		relay_link_on_message(shard, leg, payload, n);
		return;
	}
	if (head[0] != LEG_KIND_DATA)
		return bad_message(shard, leg, "message kind is unknown");
	struct way way;
	if (leg->channel != NULL) {
		way = way_to_node(leg->channel);
	} else {
		uint32_t number = n >= sizeof(head) ? get_number(head + 1) : 0;
		if (number == 0)
			return bad_message(shard, leg, "channel is none");
		way = way_to_client(leg->node, number);
	}
	if (n <= way.header_in + LEG_DATAGRAM_HEADER_BYTES)
		return bad_message(shard, leg, "message holds no datagram");
	forward(shard, leg, &way, payload, n, mask);
}
