/*
 * relay_udp_up: from strangers to the nodes. Everything a source sends ends in one of three ways:
 * on the leg that it has, on a new half-open leg, or in silence and a counter.
 */
#include "relay/relay_udp.h"

#include "relay/relay_shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
drop(struct relay_shard *shard, enum relay_counter reason)
{
	relay_count(&shard->counters, reason, 1);
}

void
relay_udp_on_node(struct relay_shard *shard, const struct relay_leg *leg)
{
	struct relay_udp_flow *flow = leg->carried;
	uint8_t *held = flow != NULL ? flow->held : NULL;

	if (held == NULL)
		return;
	flow->held = NULL;
	relay_udp_batch_add(shard, flow, DATAGRAM_INITIATION, held, RELAY_UDP_INITIATION_BYTES);
	relay_udp_batch_flush(shard);
	free(held);
}

void
relay_udp_close_flow(struct relay_shard *shard, struct relay_udp_flow *flow, const char *reason)
{
	relay_udp_batch_flush(shard);
	flow->leg->carried = NULL;
	relay_leg_doom(shard, flow->leg, 0, reason);
	relay_udp_flows_remove(&shard->udp->flows, flow);
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

	/* First mac1: who only knows the source is to use up nothing of its. */
	if (is_handshake && !mac1_is_for(&flow->node->mac1, message, n))
		return RELAY_UDP_DROP_MAC1;
	if (is_handshake &&
	    !relay_tokens_take(&flow->handshakes, RELAY_UDP_RATE, RELAY_UDP_BURST, shard->now_ms) &&
	    (type != DATAGRAM_INITIATION ||
	     !relay_udp_is_excused(shard, &flow->tuple, flow->node, message)))
		return RELAY_UDP_DROP_RATE;
	if (type != DATAGRAM_INITIATION &&
	    !is_of_session(shard, flow, relay_udp_receiver(message, type)))
		return RELAY_UDP_DROP_INDEX;
	if (type == DATAGRAM_TRANSPORT && flow->state == RELAY_UDP_HALF_OPEN &&
	    !relay_tokens_take(&flow->tries, RELAY_UDP_TRY_RATE, RELAY_UDP_TRY_RATE, shard->now_ms))
		return RELAY_UDP_DROP_RATE;
	if (relay_rate_is_spent(&flow->leg->channel->rate_up, shard->now_ms))
		return RELAY_UDP_DROP_QUOTA;
	return 0;
}

/* Whether another node's user may have the source from now on: a half-open leg is nobody's yet, and
 * what is used is answered. */
static bool
gives_way(const struct relay_shard *shard, const struct relay_udp_flow *flow)
{
	return flow->state == RELAY_UDP_HALF_OPEN ||
	       shard->now_ms - flow->answered_ms >= RELAY_UDP_SILENT_MS;
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
	    gives_way(shard, flow)) {
		struct relay_udp_tuple tuple = flow->tuple; /* the leg may go */

		relay_udp_take_unknown(shard, &tuple, type, message, n);
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
	relay_udp_batch_add(shard, flow, type, message, n);
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
	else if (!relay_udp_hand_known(shard, tuple, datagram, n))
		relay_udp_take_unknown(shard, tuple, type, datagram, n);
}
