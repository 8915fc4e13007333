/*
 * relay_udp_strangers: a source that has no leg: whose it may be, by what its datagram says, and
 * whether it gets one now: a half-open one, a word on how to show that it is there, or silence and
 * a counter.
 */
#include "relay/relay_attach.h"
#include "relay/relay_shard.h"
#include "relay/relay_udp.h"

#include <errno.h>
#include <string.h>

static void
drop(struct relay_shard *shard, enum relay_counter reason)
{
	relay_count(&shard->counters, reason, 1);
}

/* ---- legs begin ---- */

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

/* A node that was deleted is none, whatever the mesh. */
static enum relay_counter
why_not_attached(int r)
{
	return r == -ENOSPC   ? RELAY_UDP_DROP_NO_ROOM
	       : r == -ENOMEM ? RELAY_UDP_DROP_MEMORY
			      : RELAY_UDP_DROP_NO_NODE;
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
		drop(shard, why_not_attached(r));
		if (flow != NULL)
			relay_udp_flows_remove(&udp->flows, flow);
		return NULL;
	}
	relay_count(&shard->counters, RELAY_UDP_OPENED, 1);
	return flow;
}

/* ---- who shows that it is there ---- */

static void
send_cookie(struct relay_shard *shard, const struct relay_udp_tuple *tuple,
	    const struct relay_udp_node *node, const uint8_t *initiation)
{
	struct relay_udp *udp = shard->udp;
	uint8_t reply[RELAY_UDP_COOKIE_REPLY_BYTES];
	const struct iovec datagram = { reply, sizeof(reply) };

	if (relay_udp_cookie_reply(&udp->cookies, tuple, &node->key, initiation, shard->now_ms,
				   reply) < 0)
		return;
	relay_count(&shard->counters,
		    relay_udp_socket_send(udp->fd, tuple, &datagram, 1) == 1 ? RELAY_UDP_COOKIES
									     : RELAY_UDP_DROP_SEND,
		    1);
}

bool
relay_udp_is_excused(struct relay_shard *shard, const struct relay_udp_tuple *tuple,
		     const struct relay_udp_node *node, const uint8_t *initiation)
{
	struct relay_udp *udp = shard->udp;

	if (relay_udp_cookie_is_shown(&udp->cookies, tuple, initiation, shard->now_ms))
		return relay_udp_buckets_take(&udp->buckets, RELAY_UDP_LINE, &tuple->remote,
					      shard->now_ms);
	send_cookie(shard, tuple, node, initiation);
	return false;
}

/* Whether another leg would take the place of one that its node may just be answering. */
static bool
is_crowded(const struct relay_shard *shard, const struct relay_udp_node *node)
{
	const struct relay_udp_flow *oldest =
		relay_udp_flows_in_the_way(&shard->udp->flows, node, NULL);

	return oldest != NULL && shard->now_ms - oldest->opened_ms < RELAY_UDP_ANSWER_MS;
}

/* ---- a source that is not known ---- */

/* The node that it may speak to, or NULL, and then it has been dropped. */
static struct relay_udp_node *
admit(struct relay_shard *shard, const struct relay_udp_tuple *tuple, const uint8_t *initiation,
      size_t n)
{
	struct relay_udp *udp = shard->udp;
	bool is_in_ration = relay_udp_buckets_take(&udp->buckets, RELAY_UDP_NETWORK, &tuple->remote,
						   shard->now_ms);
	bool is_out_of_budget;
	struct relay_udp_node *node = relay_udp_sessions_match(
		&udp->sessions, is_in_ration ? RELAY_UDP_ALL : RELAY_UDP_NEAR, &tuple->remote,
		initiation, n, shard->now_ms, &is_out_of_budget);

	if (node == NULL && is_in_ration) {
		drop(shard, is_out_of_budget ? RELAY_UDP_DROP_BUDGET : RELAY_UDP_DROP_MAC1);
	} else if (node == NULL || ((!is_in_ration || is_crowded(shard, node)) &&
				    !relay_udp_is_excused(shard, tuple, node, initiation))) {
		drop(shard, RELAY_UDP_DROP_RATE);
		node = NULL;
	}
	return node;
}

static struct relay_udp_flow *
open_by_mac1(struct relay_shard *shard, const struct relay_udp_tuple *tuple, const uint8_t *message,
	     size_t n)
{
	struct relay_udp_node *node = admit(shard, tuple, message, n);

	if (node == NULL)
		return NULL;
	struct relay_udp_flow *older = relay_udp_flows_find(&shard->udp->flows, tuple);
	if (older != NULL)
		relay_udp_close_flow(shard, older, "its source is another's now");
	return relay_udp_hand_new(shard, tuple, node->id, message, n)
		       ? NULL
		       : open_flow(shard, tuple, node, NULL);
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
	if (!relay_udp_buckets_take(&shard->udp->buckets, RELAY_UDP_NETWORK, &tuple->remote,
				    shard->now_ms)) {
		drop(shard, RELAY_UDP_DROP_RATE);
		return NULL;
	}
	return relay_udp_hand_new(shard, tuple, session->node->id, message, n)
		       ? NULL
		       : open_flow(shard, tuple, session->node, session);
}

void
relay_udp_take_unknown(struct relay_shard *shard, const struct relay_udp_tuple *tuple, int type,
		       const uint8_t *message, size_t n)
{
	bool is_initiation = type == DATAGRAM_INITIATION;
	struct relay_udp_flow *flow = is_initiation ? open_by_mac1(shard, tuple, message, n)
						    : open_by_index(shard, tuple, type, message, n);

	if (flow == NULL)
		return;
	flow->bytes_in = n;
	if (is_initiation)
		relay_tokens_take(&flow->handshakes, RELAY_UDP_RATE, RELAY_UDP_BURST,
				  shard->now_ms);
	else
		relay_tokens_take(&flow->tries, RELAY_UDP_TRY_RATE, RELAY_UDP_TRY_RATE,
				  shard->now_ms);
	relay_udp_batch_add(shard, flow, type, message, n);
}
