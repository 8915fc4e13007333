/*
 * relay_udp_batch: see the header. A batch is one frame, written into the round.
 */
#include "relay/relay_udp_batch.h"

#include "leg/leg_frame.h"
#include "relay/relay_shard.h"
#include "relay/relay_udp.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static void
put_number(uint8_t *bytes, uint32_t number)
{
	for (unsigned i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(number >> (24 - 8 * i));
}

/* The datagrams as one frame: [ws header][1][channel][length, datagram]... */
static size_t
write_frame(struct relay_shard *shard, const struct relay_udp_batch *batch, uint32_t channel,
	    uint8_t **ret)
{
	size_t message_n = LEG_DATA_HEADER_NODE_BYTES + batch->bytes +
			   batch->n * (size_t)LEG_DATAGRAM_HEADER_BYTES;
	size_t front = ws_header_bytes(message_n);
	uint8_t *frame = relay_round_place(shard, NULL, 0, front + message_n);
	uint8_t *at = frame + ws_header_write(frame, WS_OPCODE_BINARY, message_n);

	*at++ = LEG_KIND_DATA;
	put_number(at, channel);
	at += 4;
	for (unsigned i = 0; i < batch->n; i++) {
		size_t n = batch->datagrams[i].iov_len;

		*at++ = (uint8_t)(n >> 8);
		*at++ = (uint8_t)n;
		memcpy(at, batch->datagrams[i].iov_base, n);
		at += n;
	}
	*ret = frame;
	return front + message_n;
}

static void
count_batch(struct relay_shard *shard, const struct relay_udp_batch *batch)
{
	for (unsigned i = 0; i < 4; i++)
		if (batch->types[i] != 0)
			relay_count(&shard->counters, RELAY_DATAGRAMS_INITIATION + i,
				    batch->types[i]);
	relay_count(&shard->counters, RELAY_BYTES_UP, batch->bytes);
	relay_count(&shard->counters, RELAY_MESSAGES_UP, 1);
}

/* The node's leg is away, and looked for: the newest initiation waits for it, since an app would
 * make the next only after five seconds. */
static void
hold(struct relay_shard *shard, const struct relay_udp_batch *batch)
{
	struct relay_udp_flow *flow = batch->flow;
	unsigned held = 0;

	for (unsigned i = 0; i < batch->n && batch->types[DATAGRAM_INITIATION - 1] > 0; i++) {
		const struct iovec *datagram = &batch->datagrams[i];

		if (*(const uint8_t *)datagram->iov_base != DATAGRAM_INITIATION)
			continue;
		held += flow->held == NULL;
		if (flow->held == NULL)
			flow->held = malloc(RELAY_UDP_INITIATION_BYTES);
		if (flow->held == NULL)
			break;
		memcpy(flow->held, datagram->iov_base, RELAY_UDP_INITIATION_BYTES);
	}
	relay_count(&shard->counters, RELAY_UDP_DROP_NO_NODE, batch->n - held);
}

void
relay_udp_batch_flush(struct relay_shard *shard)
{
	struct relay_udp_batch *batch = &shard->udp->batch;
	uint8_t *frame;

	if (batch->n == 0)
		return;
	struct relay_channel *channel = batch->flow->leg->channel;
	struct relay_leg *to = channel != NULL ? channel->node->leg : NULL;
	if (to == NULL || !relay_leg_is_open(to)) {
		hold(shard, batch);
	} else {
		size_t n = write_frame(shard, batch, channel->number, &frame);

		count_batch(shard, batch);
		channel->carried.bytes_up += batch->bytes;
		channel->carried.data_up +=
			relay_carried_data(batch->bytes, batch->types[0], batch->types[1],
					   batch->types[2], batch->types[3]);
		relay_round_add(shard, to, &channel->to_node, frame, n);
	}
	memset(batch, 0, offsetof(struct relay_udp_batch, datagrams));
}

void
relay_udp_batch_add(struct relay_shard *shard, struct relay_udp_flow *flow, int type,
		    const uint8_t *datagram, size_t n)
{
	struct relay_udp_batch *batch = &shard->udp->batch;

	if (batch->flow != flow || batch->n == RELAY_UDP_BATCH_MAX ||
	    batch->bytes + n > RELAY_UDP_BATCH_BYTES)
		relay_udp_batch_flush(shard);
	batch->flow = flow;
	batch->datagrams[batch->n++] = (struct iovec){ (void *)(uintptr_t)datagram, n };
	batch->bytes += n;
	batch->types[type - 1]++;
}
