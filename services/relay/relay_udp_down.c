/*
 * relay_udp_down: from a node's leg to the socket: the carrier of UDP legs. What the node says is
 * what makes a leg: its answer to a handshake names the session by mac1 and the index by which the
 * node will know it; only WireGuard there can have made it.
 */
#include "leg/leg_frame.h"
#include "relay/relay_link.h"
#include "relay/relay_shard.h"
#include "relay/relay_udp.h"

#include <string.h>

enum { SENDS_MAX = 512 };

/* Datagrams of one leg, as they lie in the round. */
struct sends {
	struct relay_shard *shard;
	struct relay_udp_flow *flow; /* NULL: the leg is over */
	size_t n;
	struct iovec datagrams[SENDS_MAX];
};

/* ---- who it is ---- */

/* From here on the leg is this session's, at the forwarder, too: what WireGuard sends to an older
 * leg that is gone will come by way of this one. */
static void
become(struct relay_shard *shard, struct relay_udp_flow *flow)
{
	struct relay_channel *channel = flow->leg->channel;
	uint32_t rate = flow->session->rate_kbytes;

	if (rate == 0)
		rate = shard->settings->rate_kbytes;
	relay_udp_sessions_near(&shard->udp->sessions, flow->session, &flow->tuple.remote);
	if (channel == NULL || memcmp(channel->session_id, flow->session->id, UUID_BYTES) == 0)
		return;
	memcpy(channel->session_id, flow->session->id, UUID_BYTES);
	relay_rate_init(&channel->rate_up, rate, shard->now_ms);
	relay_rate_init(&channel->rate_down, rate, shard->now_ms);
	if (channel->node->leg != NULL)
		relay_link_channel_open(shard, channel);
}

static void
validate(struct relay_shard *shard, struct relay_udp_flow *flow, struct relay_udp_session *session,
	 enum relay_udp_state state)
{
	struct relay_udp_flow *surplus;

	relay_udp_flow_answered(&shard->udp->flows, flow, session, state, shard->now_ms);
	relay_count(&shard->counters, RELAY_UDP_VALIDATED, 1);
	become(shard, flow);
	surplus = relay_udp_session_surplus(session);
	if (surplus != NULL && surplus != flow)
		relay_leg_doom(shard, surplus->leg, 0, "its client is elsewhere");
}

static void
learn(struct relay_shard *shard, struct relay_udp_session *session, uint32_t index)
{
	if (relay_udp_session_has_index(session, index))
		return;
	relay_udp_sessions_learn(&shard->udp->sessions, session, index);
	relay_udp_hand_learnt(shard, session, index);
}

/* A handshake message from the node. False: it is for none of its sessions. */
static bool
take_handshake(struct relay_shard *shard, struct relay_udp_flow *flow, int type,
	       const uint8_t *message, size_t n)
{
	struct relay_udp_sessions *sessions = &shard->udp->sessions;
	struct relay_udp_session *session =
		relay_udp_sessions_of_answer(sessions, flow->node, flow->session,
					     &flow->tuple.remote, message, n, shard->now_ms);

	if (session == NULL)
		return false;
	learn(shard, session, relay_udp_sender(message));
	if (flow->state != RELAY_UDP_HALF_OPEN) {
		relay_udp_flow_set_session(flow, session);
		become(shard, flow);
	} else if (type == DATAGRAM_RESPONSE) {
		validate(shard, flow, session, RELAY_UDP_ANSWERED);
	}
	return true;
}

/* 0, or why it is not sent. */
static enum relay_counter
judge(struct relay_shard *shard, struct relay_udp_flow *flow, const uint8_t *message, size_t n)
{
	int type = message[0]; /* relay_data has checked its shape */

	if ((type == DATAGRAM_INITIATION || type == DATAGRAM_RESPONSE) &&
	    !take_handshake(shard, flow, type, message, n))
		return RELAY_UDP_DROP_MAC1;
	if (type == DATAGRAM_TRANSPORT && flow->state == RELAY_UDP_HALF_OPEN) {
		if (flow->session == NULL)
			return RELAY_UDP_DROP_UNPROVEN;
		validate(shard, flow, flow->session, RELAY_UDP_PROVEN);
	}
	if (flow->state != RELAY_UDP_PROVEN) {
		if (type == DATAGRAM_INITIATION || flow->bytes_out + n > flow->bytes_in)
			return RELAY_UDP_DROP_UNPROVEN;
		flow->bytes_out += n;
	}
	if (flow->state != RELAY_UDP_HALF_OPEN)
		relay_udp_flow_heard(&shard->udp->flows, flow, shard->now_ms);
	return 0;
}

/* ---- to the socket ---- */

static void
send_all(struct sends *sends)
{
	struct relay_shard *shard = sends->shard;
	size_t sent;

	if (sends->n == 0)
		return;
	sent = relay_udp_socket_send(shard->udp->fd, &sends->flow->tuple, sends->datagrams,
				     sends->n);
	if (sent < sends->n)
		relay_count(&shard->counters, RELAY_UDP_DROP_SEND, sends->n - sent);
	sends->n = 0;
}

static void
add_datagram(struct sends *sends, const uint8_t *datagram, size_t n)
{
	enum relay_counter reason = sends->flow == NULL
					    ? RELAY_DROP_LEG_GONE
					    : judge(sends->shard, sends->flow, datagram, n);

	if (reason != 0) {
		relay_count(&sends->shard->counters, reason, 1);
		return;
	}
	if (sends->n == SENDS_MAX)
		send_all(sends);
	sends->datagrams[sends->n++] = (struct iovec){ (void *)(uintptr_t)datagram, n };
}

/* One frame of ours: [ws header][1][batch]. */
static void
add_frame(struct sends *sends, const uint8_t *frame, size_t n)
{
	size_t header = frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
	struct leg_reader reader;
	const uint8_t *datagram;
	size_t datagram_n;

	if (leg_reader_init(&reader, false, frame + header, n - header) < 0)
		return;
	while (leg_reader_next(&reader, &datagram, &datagram_n) == 1)
		add_datagram(sends, datagram, datagram_n);
}

static void
flush(struct relay_shard *shard, struct relay_leg *leg)
{
	struct sends sends;

	fair_list_clear(&leg->outbox.control); /* a stock app knows no such messages */
	sends.shard = shard;
	sends.flow = relay_leg_is_open(leg) ? leg->carried : NULL;
	sends.n = 0;
	for (uint32_t i = leg->first_piece; i != RELAY_NO_PIECE; i = shard->round.pieces[i].next) {
		const struct relay_piece *piece = &shard->round.pieces[i];

		for (size_t at = 0; at < piece->n; at += ws_frame_bytes(piece->bytes + at))
			add_frame(&sends, piece->bytes + at, ws_frame_bytes(piece->bytes + at));
	}
	send_all(&sends);
}

static void
end(struct relay_shard *shard, struct relay_leg *leg)
{
	if (leg->carried != NULL)
		relay_udp_flows_remove(&shard->udp->flows, leg->carried);
	leg->carried = NULL;
}

const struct relay_carrier relay_udp_carrier = {
	.gauge = RELAY_LEGS_UDP,
	.flush = flush,
	.end = end,
};

/* ---- other legs ---- */

/* WireGuard keeps three keys at most, and calls each by an index. */
static void
note(struct relay_channel *channel, uint32_t index)
{
	memmove(channel->announced + 1, channel->announced,
		sizeof(channel->announced) - sizeof(*channel->announced));
	channel->announced[0] = index;
}

void
relay_udp_learn(struct relay_shard *shard, struct relay_channel *channel, const uint8_t *batch,
		size_t n)
{
	struct leg_reader reader = { .next = batch, .end = batch + n };
	struct relay_udp_session *session;
	const uint8_t *datagram;
	size_t datagram_n;

	if (shard->udp == NULL || channel->client->carrier == &relay_udp_carrier)
		return;
	session = relay_udp_sessions_find(&shard->udp->sessions, channel->session_id);
	while (leg_reader_next(&reader, &datagram, &datagram_n) == 1) {
		if (datagram[0] != DATAGRAM_INITIATION && datagram[0] != DATAGRAM_RESPONSE)
			continue;
		note(channel, relay_udp_sender(datagram));
		if (session != NULL)
			learn(shard, session, relay_udp_sender(datagram));
	}
}

void
relay_udp_recall(struct relay_shard *shard, struct relay_udp_session *session)
{
	const struct relay_channel *channel = relay_channel_find(&shard->directory, session->id);

	for (int i = RELAY_ANNOUNCED_MAX - 1; channel != NULL && i >= 0; i--)
		if (channel->announced[i] != 0)
			learn(shard, session, channel->announced[i]);
}
