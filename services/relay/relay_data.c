/*
 * relay_data: a data message is unmasked, checked and given its new header in one place:
 *
 *	from a client	[ws 8][1][batch]		to the node	[ws 4][1][channel 4][batch]
 *	from a node	[ws 8][1][channel 4][batch]	to the client	[ws 4][1][batch]
 *
 * A client's message keeps its size, a node's shrinks by eight bytes, so what is written never
 * overtakes what is read; the few sizes at which a header grows go by way of the bounce buffer. The
 * batch stays one message.
 *
 * A raw client's message is one datagram: to the node it is a batch of one, and a node's batch
 * leaves as so many messages, by way of the bounce buffer.
 */
#include "relay/relay_data.h"

#include "leg/leg_frame.h"
#include "relay/relay_batch.h"
#include "relay/relay_drops.h"
#include "relay/relay_link.h"
#include "relay/relay_shard.h"
#include "relay/relay_udp.h"
#include "ws/ws_mask.h"

#include <endian.h>
#include <string.h>

enum {
	CHANNEL_BYTES = LEG_DATA_HEADER_NODE_BYTES - LEG_DATA_HEADER_CLIENT_BYTES,
	RAW_HEADER_BYTES = LEG_DATA_HEADER_NODE_BYTES + LEG_DATAGRAM_HEADER_BYTES,
};

/* Where a message goes. leg NULL: nowhere, and `missing` says why. */
struct way {
	struct relay_leg *leg;
	struct relay_lane *lane;
	struct relay_channel *channel;
	enum relay_counter missing;
	uint8_t header_in, header_out;
	bool is_from_raw;
};

size_t
relay_data_limit(const struct relay_leg *leg)
{
	if (leg->is_raw)
		return LEG_MESSAGE_MAX_BYTES - RAW_HEADER_BYTES;
	return leg->channel != NULL ? LEG_MESSAGE_MAX_BYTES - CHANNEL_BYTES : LEG_MESSAGE_MAX_BYTES;
}

static void
put_number(uint8_t *bytes, uint32_t number)
{
	number = htobe32(number);
	memcpy(bytes, &number, sizeof(number));
}

unsigned
relay_data_count(bool is_to_node, const uint8_t *frame)
{
	size_t whole = ws_frame_bytes(frame), header = frame[1] < 126	 ? 2
						       : frame[1] == 126 ? 4
									 : 10;

	return leg_message_count(is_to_node, frame + header, whole - header);
}

/* Both fill *ret member by member: a struct that is made and then copied whole is read back before
 * the processor has put its parts together, and waits for them, at each message. */
static void
way_to_node(struct relay_channel *channel, bool is_from_raw, struct way *ret)
{
	ret->leg = channel->node->leg;
	ret->lane = &channel->to_node;
	ret->channel = channel;
	ret->missing = RELAY_DROP_NO_NODE;
	ret->header_in = is_from_raw ? 0 : LEG_DATA_HEADER_CLIENT_BYTES;
	ret->header_out = is_from_raw ? RAW_HEADER_BYTES : LEG_DATA_HEADER_NODE_BYTES;
	ret->is_from_raw = is_from_raw;
}

static void
way_to_client(const struct relay_node *node, uint32_t number, struct way *ret)
{
	struct relay_channel *channel = relay_node_channel(node, number);

	ret->leg = channel != NULL ? channel->client : NULL;
	ret->lane = channel != NULL ? &channel->to_client : NULL;
	ret->channel = channel;
	ret->missing = RELAY_DROP_NO_CHANNEL;
	ret->header_in = LEG_DATA_HEADER_NODE_BYTES;
	ret->header_out = LEG_DATA_HEADER_CLIENT_BYTES;
	ret->is_from_raw = false;
}

static void
count_batch(struct relay_shard *shard, const struct relay_batch *batch)
{
	static const uint8_t none[sizeof(batch->faults)];

	for (unsigned i = 0; i < 4; i++)
		if (batch->types[i] != 0)
			relay_count(&shard->counters, RELAY_DATAGRAMS_INITIATION + i,
				    batch->types[i]);
	if (memcmp(batch->faults, none, sizeof(none)) == 0)
		return;
	for (unsigned i = 0; i < 4; i++)
		relay_count(&shard->counters, RELAY_DROP_SHORT + i, batch->faults[i]);
}

static uint64_t
data_of(const struct relay_batch *batch)
{
	return relay_carried_data(batch->bytes, batch->types[0], batch->types[1], batch->types[2],
				  batch->types[3]);
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
			relay_drops_note(shard, way->lane, BOSON__LINK__LIMITED__REASON__RATE,
					 batch->kept, 0);
			return false;
		}
		relay_rate_take(&channel->rate_down, batch->bytes, shard->now_ms);
		relay_count(&shard->counters, RELAY_BYTES_DOWN, batch->bytes);
		relay_count(&shard->counters, RELAY_MESSAGES_DOWN, 1);
		channel->carried.bytes_down += batch->bytes;
		channel->carried.data_down += data_of(batch);
		return true;
	}
	int64_t wait_ms = relay_rate_take(&channel->rate_up, batch->bytes, shard->now_ms);
	if (wait_ms > 0) {
		leg->resume_ms = shard->now_ms + wait_ms;
		relay_drops_note(shard, way->lane, BOSON__LINK__LIMITED__REASON__RATE, 0,
				 (uint32_t)wait_ms);
	}
	relay_count(&shard->counters, RELAY_BYTES_UP, batch->bytes);
	relay_count(&shard->counters, RELAY_MESSAGES_UP, 1);
	channel->carried.bytes_up += batch->bytes;
	channel->carried.data_up += data_of(batch);
	return true;
}

__attribute__((cold)) static void
bad_message(struct relay_shard *shard, struct relay_leg *leg, const char *reason)
{
	relay_count(&shard->counters, RELAY_BAD_MESSAGES, 1);
	relay_count(&shard->counters, RELAY_CLOSED_PROTOCOL, 1);
	relay_leg_doom(shard, leg, WS_CLOSE_BAD_MESSAGE, reason);
}

/* True when what was checked has somewhere to go. */
static bool
may_pass(struct relay_shard *shard, struct relay_leg *leg, const struct way *way,
	 const struct relay_batch *checked)
{
	count_batch(shard, checked);
	if (checked->kept == 0)
		return false;
	if (way->leg == NULL || !relay_leg_is_open(way->leg)) {
		relay_count(&shard->counters, way->missing, checked->kept);
		return false;
	}
	return is_within_rate(shard, leg, way, checked);
}

/* Writes the new headers before the batch, and sends the whole. */
static void
send_batch(struct relay_shard *shard, const struct way *way, uint8_t *batch, size_t n)
{
	size_t message_n = way->header_out + n;
	uint8_t *message = batch - way->header_out;

	message[0] = LEG_KIND_DATA;
	if (way->header_out != LEG_DATA_HEADER_CLIENT_BYTES)
		put_number(message + 1, way->channel->number);
	if (way->is_from_raw) {
		message[LEG_DATA_HEADER_NODE_BYTES] = (uint8_t)(n >> 8);
		message[LEG_DATA_HEADER_NODE_BYTES + 1] = (uint8_t)n;
	}
	uint8_t *frame = message - ws_header_bytes(message_n);
	ws_header_write(frame, WS_OPCODE_BINARY, message_n);
	relay_round_add(shard, way->leg, way->lane, frame, (size_t)(message - frame) + message_n);
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
	if (way->is_from_raw)
		relay_batch_check_one(batch, batch_n, &checked);
	else if (relay_batch_check(batch, batch_n, &checked) < 0)
		return bad_message(shard, leg, "batch is malformed");
	if (!may_pass(shard, leg, way, &checked))
		return;
	if (leg->node != NULL && (checked.types[0] | checked.types[1]) != 0)
		relay_udp_learn(shard, way->channel, batch, checked.n);
	send_batch(shard, way, batch, checked.n);
}

/* A batch for a raw client: a message for each of its datagrams. Apart, so that other messages do
 * not pay for its frame on the stack. */
__attribute__((noinline)) static void
split(struct relay_shard *shard, struct relay_leg *leg, const struct way *way, uint8_t *payload,
      size_t n, uint32_t mask)
{
	uint8_t *batch = payload + way->header_in;
	size_t batch_n = n - way->header_in, datagram_n;
	const uint8_t *datagram;
	struct relay_batch checked;

	ws_unmask(batch, batch, batch_n, ws_mask_rotate(mask, way->header_in));
	if (relay_batch_check(batch, batch_n, &checked) < 0)
		return bad_message(shard, leg, "batch is malformed");
	if (!may_pass(shard, leg, way, &checked))
		return;
	struct leg_reader reader = { .next = batch, .end = batch + checked.n };
	while (leg_reader_next(&reader, &datagram, &datagram_n) == 1) {
		size_t header = ws_header_bytes(datagram_n);
		uint8_t *frame = relay_round_place(shard, NULL, 0, header + datagram_n);

		ws_header_write(frame, WS_OPCODE_BINARY, datagram_n);
		memcpy(frame + header, datagram, datagram_n);
		relay_round_add(shard, way->leg, way->lane, frame, header + datagram_n);
	}
}

/* Where a data message of this leg goes; number: what stands where a node's leg has the channel.
 * False: nowhere, and the leg has been doomed. */
static bool
find_way(struct relay_shard *shard, struct relay_leg *leg, uint32_t number, size_t n,
	 struct way *ret)
{
	const char *wrong = NULL;

	if (leg->channel != NULL)
		way_to_node(leg->channel, false, ret);
	else if (n < LEG_DATA_HEADER_NODE_BYTES || number == 0)
		wrong = "channel is none";
	else
		way_to_client(leg->node, number, ret);
	if (wrong == NULL && n <= (size_t)ret->header_in + LEG_DATAGRAM_HEADER_BYTES)
		wrong = "message holds no datagram";
	if (wrong != NULL)
		bad_message(shard, leg, wrong);
	return wrong == NULL;
}

/* The first eight bytes without their mask, the first of them on top; of a message that is shorter
 * the rest means nothing. */
static uint64_t
read_head(const uint8_t *payload, size_t n, uint32_t mask)
{
	uint64_t word = 0;

	if (n >= sizeof(word))
		memcpy(&word, payload, sizeof(word));
	else
		memcpy(&word, payload, n);
	return be64toh(word ^ ((uint64_t)mask << 32 | mask));
}

void
relay_data_on_message(struct relay_shard *shard, struct relay_leg *leg, uint8_t *payload, size_t n,
		      uint32_t mask)
{
	struct way way;

	if (n == 0)
		return bad_message(shard, leg, "message is empty");
	if (leg->is_raw) {
		way_to_node(leg->channel, true, &way);
		return forward(shard, leg, &way, payload, n, mask);
	}
	uint64_t head = read_head(payload, n, mask);
	if (head >> 56 == LEG_KIND_CONTROL) {
		ws_unmask(payload, payload, n, mask);
		relay_link_on_message(shard, leg, payload, n);
		return;
	}
	if (head >> 56 != LEG_KIND_DATA)
		return bad_message(shard, leg, "message kind is unknown");
	if (!find_way(shard, leg, (uint32_t)(head >> 24), n, &way))
		return;
	if (way.leg != NULL && way.leg->is_raw)
		split(shard, leg, &way, payload, n, mask);
	else
		forward(shard, leg, &way, payload, n, mask);
}
