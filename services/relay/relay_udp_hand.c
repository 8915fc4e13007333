/*
 * relay_udp_hand: see the header. A message holds the tuple and then [u16 length, datagram]...
 */
#include "relay/relay_udp_hand.h"

#include "relay/relay_mailbox.h"
#include "relay/relay_shard.h"
#include "relay/relay_udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 2 };

int
relay_udp_hand_init(struct relay_udp_hand *hand)
{
	for (unsigned i = 0; i < 2; i++)
		TAILQ_INIT(&hand->by_use[i]);
	return idtable_init(&hand->routes, offsetof(struct relay_udp_route, by_tuple),
			    offsetof(struct relay_udp_route, tuple),
			    sizeof(struct relay_udp_tuple));
}

/* ---- whose a source is ---- */

static void
forget(struct relay_udp_hand *hand, struct relay_udp_route *route)
{
	TAILQ_REMOVE(&hand->by_use[route->is_proven], route, by_use);
	idtable_remove(&hand->routes, route);
	free(route);
}

void
relay_udp_hand_fini(struct relay_udp_hand *hand)
{
	for (unsigned i = 0; i < 2; i++)
		while (!TAILQ_EMPTY(&hand->by_use[i]))
			forget(hand, TAILQ_FIRST(&hand->by_use[i]));
	idtable_fini(&hand->routes);
}

void
relay_udp_hand_expire(struct relay_shard *shard)
{
	struct relay_udp_hand *hand = &shard->udp->hand;
	int64_t since_ms = shard->now_ms - RELAY_UDP_ROUTE_MS;

	for (unsigned i = 0; i < 2; i++)
		while (!TAILQ_EMPTY(&hand->by_use[i]) &&
		       TAILQ_FIRST(&hand->by_use[i])->used_ms <= since_ms)
			forget(hand, TAILQ_FIRST(&hand->by_use[i]));
}

static void
remember(struct relay_shard *shard, const struct relay_udp_tuple *tuple, unsigned owner)
{
	struct relay_udp_hand *hand = &shard->udp->hand;
	struct relay_udp_route *route = idtable_find(&hand->routes, tuple);

	if (route != NULL) {
		route->owner = owner;
		return;
	}
	if (hand->routes.count >= RELAY_UDP_ROUTES_MAX)
		forget(hand, TAILQ_FIRST(&hand->by_use[TAILQ_EMPTY(&hand->by_use[0])]));
	route = calloc(1, sizeof(*route));
	if (route == NULL)
		return; /* found anew with its next handshake */
	route->tuple = *tuple;
	route->owner = owner;
	route->used_ms = shard->now_ms;
	idtable_add(&hand->routes, route);
	TAILQ_INSERT_TAIL(&hand->by_use[false], route, by_use);
}

/* ---- handing over ---- */

/* What was gathered, as a message; NULL: it has too much waiting, or no memory. */
static struct relay_message *
make_message(const struct relay_shard *shard, const struct relay_shard *to)
{
	const struct relay_udp_hand *hand = &shard->udp->hand;
	bool is_return = hand->way == RELAY_UDP_GIVEN;
	struct relay_message *message = NULL;

	if (atomic_load_explicit(&to->udp_bytes, memory_order_relaxed) < RELAY_UDP_HANDED_MAX_BYTES)
		message = relay_message_new(is_return ? RELAY_UDP_RETURNED : RELAY_UDP_HANDED, NULL,
					    sizeof(hand->tuple) + hand->bytes);
	if (message == NULL)
		return NULL;
	message->from_shard = shard->index;
	memcpy(message->bytes, &hand->tuple, sizeof(hand->tuple));
	memcpy(message->bytes + sizeof(hand->tuple), hand->gathered, hand->bytes);
	return message;
}

void
relay_udp_hand_flush(struct relay_shard *shard)
{
	struct relay_udp_hand *hand = &shard->udp->hand;
	enum relay_counter counter = RELAY_UDP_HANDED_OVER;

	if (hand->n == 0)
		return;
	struct relay_shard *owner = shard->all[hand->owner];
	struct relay_message *message = make_message(shard, owner);
	int64_t n = message != NULL ? (int64_t)message->n : 0;
	atomic_fetch_add_explicit(&owner->udp_bytes, n, memory_order_relaxed);
	if (message == NULL || relay_mailbox_send(&owner->mailbox, &message) < 0) {
		atomic_fetch_sub_explicit(&owner->udp_bytes, n, memory_order_relaxed);
		counter = RELAY_UDP_DROP_MEMORY;
		relay_message_free(&message);
	}
	relay_count(&shard->counters, counter, hand->n);
	hand->n = 0;
	hand->bytes = 0;
}

static void
gather(struct relay_shard *shard, const struct relay_udp_tuple *tuple, unsigned owner,
       const uint8_t *datagram, size_t n)
{
	struct relay_udp_hand *hand = &shard->udp->hand;

	if (hand->n > 0 &&
	    (hand->bytes + LENGTH_BYTES + n > sizeof(hand->gathered) || hand->owner != owner ||
	     memcmp(&hand->tuple, tuple, sizeof(*tuple)) != 0))
		relay_udp_hand_flush(shard);
	hand->tuple = *tuple;
	hand->owner = owner;
	hand->gathered[hand->bytes++] = (uint8_t)(n >> 8);
	hand->gathered[hand->bytes++] = (uint8_t)n;
	memcpy(hand->gathered + hand->bytes, datagram, n);
	hand->bytes += n;
	hand->n++;
}

bool
relay_udp_hand_known(struct relay_shard *shard, const struct relay_udp_tuple *tuple,
		     const uint8_t *datagram, size_t n)
{
	struct relay_udp_hand *hand = &shard->udp->hand;
	struct relay_udp_route *route;

	if (shard->count == 1 || hand->way == RELAY_UDP_GIVEN)
		return false;
	route = idtable_find(&hand->routes, tuple);
	if (route == NULL)
		return false;
	TAILQ_REMOVE(&hand->by_use[route->is_proven], route, by_use);
	route->used_ms = shard->now_ms;
	if (!route->is_proven && datagram[0] == DATAGRAM_TRANSPORT)
		route->is_proven =
			relay_udp_sessions_by_index(
				&shard->udp->sessions,
				relay_udp_receiver(datagram, DATAGRAM_TRANSPORT)) != NULL;
	TAILQ_INSERT_TAIL(&hand->by_use[route->is_proven], route, by_use);
	gather(shard, tuple, route->owner, datagram, n);
	return true;
}

bool
relay_udp_hand_new(struct relay_shard *shard, const struct relay_udp_tuple *tuple,
		   const uint8_t *node_id, const uint8_t *datagram, size_t n)
{
	const struct relay_udp_hand *hand = &shard->udp->hand;
	unsigned owner = relay_shard_of(node_id, shard->count);

	if (owner == shard->index)
		return false;
	if (hand->way == RELAY_UDP_GIVEN) {
		gather(shard, tuple, hand->from, datagram, n);
	} else if (hand->way == RELAY_UDP_BACK && hand->from == owner) {
		/* It does not know yet what we know, or the other way round: no circles. */
		relay_count(&shard->counters, RELAY_UDP_DROP_NO_NODE, 1);
	} else {
		remember(shard, tuple, owner);
		gather(shard, tuple, owner, datagram, n);
	}
	return true;
}

/* All datagrams of a message, which have the tuple before them. */
static void
take_all(struct relay_shard *shard, const struct relay_message *message,
	 const struct relay_udp_tuple *tuple)
{
	const uint8_t *at = message->bytes + sizeof(*tuple);
	const uint8_t *end = message->bytes + message->n;

	atomic_fetch_sub_explicit(&shard->udp_bytes, (int64_t)message->n, memory_order_relaxed);
	shard->udp->hand.from = message->from_shard;
	while (end - at > LENGTH_BYTES) {
		size_t n = (size_t)at[0] << 8 | at[1];

		relay_udp_take(shard, tuple, at + LENGTH_BYTES, n);
		at += LENGTH_BYTES + n;
	}
	relay_udp_batch_flush(shard); /* it lies in the message */
	relay_udp_hand_flush(shard);
	shard->udp->hand.way = RELAY_UDP_HEARD;
}

void
relay_udp_on_handed(struct relay_shard *shard, const struct relay_message *message)
{
	struct relay_udp_tuple tuple;

	memcpy(&tuple, message->bytes, sizeof(tuple));
	shard->udp->hand.way = RELAY_UDP_GIVEN;
	take_all(shard, message, &tuple);
}

void
relay_udp_on_returned(struct relay_shard *shard, const struct relay_message *message)
{
	struct relay_udp_hand *hand = &shard->udp->hand;
	struct relay_udp_tuple tuple;

	memcpy(&tuple, message->bytes, sizeof(tuple));
	struct relay_udp_route *route = idtable_find(&hand->routes, &tuple);
	if (route != NULL && route->owner == message->from_shard)
		forget(hand, route);
	hand->way = RELAY_UDP_BACK;
	take_all(shard, message, &tuple);
}

/* ---- indexes ---- */

void
relay_udp_hand_learnt(struct relay_shard *shard, const struct relay_udp_session *session,
		      uint32_t index)
{
	for (unsigned i = 0; i < shard->count; i++) {
		struct relay_message *message;

		if (i == shard->index)
			continue;
		message = relay_message_new(RELAY_UDP_LEARNT, NULL, 0);
		if (message == NULL)
			return; /* a client that moves shakes hands, then */
		memcpy(message->session_id, session->id, UUID_BYTES);
		message->index = index;
		if (relay_mailbox_send(&shard->all[i]->mailbox, &message) < 0)
			relay_message_free(&message);
	}
}

void
relay_udp_on_learnt(struct relay_shard *shard, const struct relay_message *message)
{
	struct relay_udp_session *session =
		relay_udp_sessions_find(&shard->udp->sessions, message->session_id);

	if (session != NULL)
		relay_udp_sessions_learn(&shard->udp->sessions, session, message->index);
}
