/*
 * relay_udp_up: from strangers to the nodes. Everything a source sends ends in one of three ways:
 * on the leg that it has, on a new half-open leg, or in silence and a counter.
 */
#include "relay/relay_udp.h"

#include "leg/leg_frame.h"
#include "relay/relay_attach.h"
#include "relay/relay_shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
drop(struct relay_shard *shard, enum relay_counter reason)
{
	relay_count(&shard->counters, reason, 1);
}

/* ---- to the node ---- */

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
relay_udp_flush_batch(struct relay_shard *shard)
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

/* The datagram is good: it goes with others of its flow. */
static void
carry(struct relay_shard *shard, struct relay_udp_flow *flow, int type, const uint8_t *datagram,
      size_t n)
{
	struct relay_udp_batch *batch = &shard->udp->batch;

	if (batch->flow != flow || batch->n == RELAY_UDP_BATCH_MAX ||
	    batch->bytes + n > RELAY_UDP_BATCH_BYTES)
		relay_udp_flush_batch(shard);
	batch->flow = flow;
	batch->datagrams[batch->n++] = (struct iovec){ (void *)(uintptr_t)datagram, n };
	batch->bytes += n;
	batch->types[type - 1]++;
}

void
relay_udp_on_node(struct relay_shard *shard, const struct relay_leg *leg)
{
	struct relay_udp_flow *flow = leg->carried;
	uint8_t *held = flow != NULL ? flow->held : NULL;

	if (held == NULL)
		return;
	flow->held = NULL;
	carry(shard, flow, DATAGRAM_INITIATION, held, RELAY_UDP_INITIATION_BYTES);
	relay_udp_flush_batch(shard);
	free(held);
}

/* ---- legs come and go ---- */

void
relay_udp_close_flow(struct relay_shard *shard, struct relay_udp_flow *flow, const char *reason)
{
	relay_udp_flush_batch(shard);
	flow->leg->carried = NULL;
	relay_leg_doom(shard, flow->leg, 0, reason);
	relay_udp_flows_remove(&shard->udp->flows, flow);
}

static bool
make_room(struct relay_shard *shard, const struct relay_udp_node *node,
	  const struct relay_udp_session *session)
{
	struct relay_udp_flow *flow = relay_udp_flows_in_the_way(&shard->udp->flows, node, session);

	if (flow == NULL)
		return false;
	if (session != NULL && session->half_count >= RELAY_UDP_HALF_OPEN_SESSION_MAX)
		relay_count(&shard->counters, RELAY_UDP_ALARMS, 1);
	relay_count(&shard->counters, RELAY_UDP_EVICTED, 1);
	relay_udp_close_flow(shard, flow, "makes way for another");
	return true;
}

static int
attach(struct relay_shard *shard, struct relay_udp_flow *flow)
{
	struct relay_carried_client client = { .generation = 0 };

	flow->leg = relay_leg_new_carried(&relay_udp_carrier, flow);
	if (flow->leg == NULL)
		return -ENOMEM;
	memcpy(client.node_id, flow->node->id, UUID_BYTES);
	int r = relay_attach_carried_client(shard, flow->leg, &client);
	if (r < 0)
		relay_leg_free(&flow->leg);
	return r;
}

/* Whether the node's leg is here or, where there is a mesh, may be found elsewhere. */
static bool
is_in_reach(const struct relay_shard *shard, const struct relay_udp_node *node)
{
	const struct relay_node *attached = relay_node_find(&shard->directory, node->id);

	return shard->mesh != NULL ||
	       (attached != NULL && attached->leg != NULL && relay_leg_is_open(attached->leg));
}

/* A half-open leg for this source. session: whose index it used, or NULL. */
static struct relay_udp_flow *
open_flow(struct relay_shard *shard, const struct relay_udp_tuple *tuple,
	  struct relay_udp_node *node, struct relay_udp_session *session)
{
	struct relay_udp *udp = shard->udp;

	if (!is_in_reach(shard, node)) {
		drop(shard, RELAY_UDP_DROP_NO_NODE);
		return NULL;
	}
	while (make_room(shard, node, session))
		;
	struct relay_udp_flow *flow =
		relay_udp_flows_add(&udp->flows, tuple, node, session, shard->now_ms);
	int r = flow != NULL ? attach(shard, flow) : -ENOMEM;
	if (r < 0) {
		drop(shard, r == -ENOSPC ? RELAY_UDP_DROP_NO_ROOM : RELAY_UDP_DROP_MEMORY);
		if (flow != NULL)
			relay_udp_flows_remove(&udp->flows, flow);
		return NULL;
	}
	relay_count(&shard->counters, RELAY_UDP_OPENED, 1);
	return flow;
}

/* ---- a source that is not known ---- */

static struct relay_udp_flow *
open_by_mac1(struct relay_shard *shard, const struct relay_udp_tuple *tuple, const uint8_t *message,
	     size_t n)
{
	bool is_out_of_budget;
	struct relay_udp_node *node =
		relay_udp_sessions_match(&shard->udp->sessions, &tuple->remote, message, n,
					 shard->now_ms, &is_out_of_budget);

	if (node != NULL)
		return relay_udp_hand_new(shard, tuple, node->id, message, n)
			       ? NULL
			       : open_flow(shard, tuple, node, NULL);
	drop(shard, is_out_of_budget ? RELAY_UDP_DROP_BUDGET : RELAY_UDP_DROP_MAC1);
	return NULL;
}

static struct relay_udp_flow *
open_by_index(struct relay_shard *shard, const struct relay_udp_tuple *tuple, int type,
	      const uint8_t *message, size_t n)
{
	struct relay_udp_session *session = relay_udp_sessions_by_index(
		&shard->udp->sessions, relay_udp_receiver(message, type));

	if (session == NULL || type == DATAGRAM_COOKIE) {
		drop(shard, RELAY_UDP_DROP_INDEX);
		return NULL;
	}
	if (type == DATAGRAM_RESPONSE && !mac1_is_for(&session->node->mac1, message, n)) {
		drop(shard, RELAY_UDP_DROP_MAC1);
		return NULL;
	}
	if (!relay_udp_buckets_take(&shard->udp->buckets, &tuple->remote, shard->now_ms)) {
		drop(shard, RELAY_UDP_DROP_RATE);
		return NULL;
	}
	return relay_udp_hand_new(shard, tuple, session->node->id, message, n)
		       ? NULL
		       : open_flow(shard, tuple, session->node, session);
}

static void
take_unknown(struct relay_shard *shard, const struct relay_udp_tuple *tuple, int type,
	     const uint8_t *message, size_t n)
{
	struct relay_udp_flow *flow;

	if (type == DATAGRAM_INITIATION &&
	    !relay_udp_buckets_take(&shard->udp->buckets, &tuple->remote, shard->now_ms)) {
		drop(shard, RELAY_UDP_DROP_RATE);
		return;
	}
	relay_udp_flush_batch(shard); /* others may have to make way */
	flow = type == DATAGRAM_INITIATION ? open_by_mac1(shard, tuple, message, n)
					   : open_by_index(shard, tuple, type, message, n);
	if (flow == NULL)
		return;
	flow->bytes_in = n;
	if (type == DATAGRAM_INITIATION)
		relay_udp_tokens_take(&flow->handshakes, RELAY_UDP_RATE, RELAY_UDP_BURST,
				      shard->now_ms);
	else
		relay_udp_tokens_take(&flow->tries, RELAY_UDP_TRY_RATE, RELAY_UDP_TRY_RATE,
				      shard->now_ms);
	carry(shard, flow, type, message, n);
}

/* ---- a source that has a leg ---- */

/* A half-open leg of a handshake may turn out to be a client that moved: whose index it uses is
 * noted. */
static bool
is_of_session(struct relay_shard *shard, struct relay_udp_flow *flow, uint32_t index)
{
	struct relay_udp_session *session =
		flow->session != NULL ? flow->session
				      : relay_udp_sessions_by_index(&shard->udp->sessions, index);

	if (session == NULL || session->node != flow->node ||
	    !relay_udp_session_has_index(session, index))
		return false;
	relay_udp_flow_set_session(flow, session);
	return true;
}

/* 0, or why the message of a known source goes no further. */
static enum relay_counter
judge_known(struct relay_shard *shard, struct relay_udp_flow *flow, int type,
	    const uint8_t *message, size_t n)
{
	bool is_handshake = type == DATAGRAM_INITIATION || type == DATAGRAM_RESPONSE;

	if (is_handshake && !relay_udp_tokens_take(&flow->handshakes, RELAY_UDP_RATE,
						   RELAY_UDP_BURST, shard->now_ms))
		return RELAY_UDP_DROP_RATE;
	if (is_handshake && !mac1_is_for(&flow->node->mac1, message, n))
		return RELAY_UDP_DROP_MAC1;
	if (type != DATAGRAM_INITIATION &&
	    !is_of_session(shard, flow, relay_udp_receiver(message, type)))
		return RELAY_UDP_DROP_INDEX;
	if (type == DATAGRAM_TRANSPORT && flow->state == RELAY_UDP_HALF_OPEN &&
	    !relay_udp_tokens_take(&flow->tries, RELAY_UDP_TRY_RATE, RELAY_UDP_TRY_RATE,
				   shard->now_ms))
		return RELAY_UDP_DROP_RATE;
	if (relay_rate_is_spent(&flow->leg->channel->rate_up, shard->now_ms))
		return RELAY_UDP_DROP_QUOTA;
	return 0;
}

static void
take_known(struct relay_shard *shard, struct relay_udp_flow *flow, int type, const uint8_t *message,
	   size_t n)
{
	if (!relay_leg_is_open(flow->leg)) {
		drop(shard, RELAY_UDP_DROP_NO_NODE);
		return;
	}
	enum relay_counter reason = judge_known(shard, flow, type, message, n);
	if (reason == RELAY_UDP_DROP_MAC1 && type == DATAGRAM_INITIATION &&
	    flow->state != RELAY_UDP_HALF_OPEN &&
	    shard->now_ms - flow->answered_ms >= RELAY_UDP_SILENT_MS) {
		/* The same port, long after, and another node: it has a new user. */
		struct relay_udp_tuple tuple = flow->tuple;

		relay_udp_close_flow(shard, flow, "its source is another's now");
		take_unknown(shard, &tuple, type, message, n);
		return;
	}
	if (reason != 0) {
		drop(shard, reason);
		return;
	}
	relay_rate_take(&flow->leg->channel->rate_up, n, shard->now_ms);
	if (flow->state != RELAY_UDP_PROVEN)
		flow->bytes_in += n;
	/* It knows an index that only the node's answer told: the answer has arrived there. */
	if (flow->state == RELAY_UDP_ANSWERED && type == DATAGRAM_TRANSPORT)
		flow->state = RELAY_UDP_PROVEN;
	carry(shard, flow, type, message, n);
}

void
relay_udp_take(struct relay_shard *shard, const struct relay_udp_tuple *tuple,
	       const uint8_t *datagram, size_t n)
{
	struct relay_udp_flow *flow = shard->udp->batch.flow;
	int type = relay_udp_check(datagram, n);

	if (type < 0) {
		drop(shard, RELAY_UDP_DROP_SHORT + (unsigned)(-type - 1));
		return;
	}
	if (flow == NULL || memcmp(&flow->tuple, tuple, sizeof(*tuple)) != 0)
		flow = relay_udp_flows_find(&shard->udp->flows, tuple);
	if (flow != NULL)
		take_known(shard, flow, type, datagram, n);
	else if (type == DATAGRAM_INITIATION || !relay_udp_hand_known(shard, tuple, datagram, n))
		take_unknown(shard, tuple, type, datagram, n);
}
