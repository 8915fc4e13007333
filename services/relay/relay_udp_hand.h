/*
 * relay_udp_hand: datagrams that the kernel gave to one shard and whose node another one has. The
 * shard that hears a source finds the node as ever, remembers whose it is, and hands its bundles
 * over whole, by mailbox; answers leave from the owner's socket, which has the same address. The
 * owner alone says whether a leg gives way: only when it has none of this source, and the datagram
 * is for another shard's node, it returns it, and the hearer finds the node anew. What a
 * node announces is told to all, so that a client that moved is known wherever it arrives. With one
 * shard nothing of this happens. Shard thread only.
 */
#pragma once

#include "idtable/idtable.h"
#include "relay/relay_udp_shape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct relay_shard;
struct relay_message;
struct relay_udp_session;

enum {
	RELAY_UDP_ROUTES_MAX = 65536,
	RELAY_UDP_ROUTE_MS = 300 * 1000,
	RELAY_UDP_HAND_BYTES = 60 * 1024,	      /* in one message */
	RELAY_UDP_HANDED_MAX_BYTES = 8 * 1024 * 1024, /* waiting at one shard */
};

struct relay_udp_route {
	struct idtable_link by_tuple;
	struct relay_udp_tuple tuple;
	unsigned owner;
	int64_t used_ms;
	bool is_proven; /* it used an index that only a node's answer tells */
	TAILQ_ENTRY(relay_udp_route) by_use;
};

/* When there are too many routes, those make way first that a forged initiation may have made. */
struct relay_udp_hand {
	struct idtable routes;
	TAILQ_HEAD(, relay_udp_route) by_use[2]; /* by is_proven; the longest silent first */
	/* How what is being taken came here, and, unless by the socket, from which shard. */
	enum { RELAY_UDP_HEARD, RELAY_UDP_GIVEN, RELAY_UDP_BACK } way;
	unsigned from;
	/* What is being gathered for one shard. */
	struct relay_udp_tuple tuple;
	unsigned owner, n;
	size_t bytes;
	uint8_t gathered[RELAY_UDP_HAND_BYTES];
};

int relay_udp_hand_init(struct relay_udp_hand *hand);
void relay_udp_hand_fini(struct relay_udp_hand *hand);

/* Whether this source is another shard's, which then gets the datagram. */
bool relay_udp_hand_known(struct relay_shard *shard, const struct relay_udp_tuple *tuple,
			  const uint8_t *datagram, size_t n);

/* Likewise for a source that was just found to be for this node. */
bool relay_udp_hand_new(struct relay_shard *shard, const struct relay_udp_tuple *tuple,
			const uint8_t *node_id, const uint8_t *datagram, size_t n);

/* Sends what was gathered: at the end of a read. */
void relay_udp_hand_flush(struct relay_shard *shard);

/* Forgets sources that were silent for long. */
void relay_udp_hand_expire(struct relay_shard *shard);

/* Tells the others that the session has another index. */
void relay_udp_hand_learnt(struct relay_shard *shard, const struct relay_udp_session *session,
			   uint32_t index);

/* What other shards say. */
void relay_udp_on_handed(struct relay_shard *shard, const struct relay_message *message);
void relay_udp_on_returned(struct relay_shard *shard, const struct relay_message *message);
void relay_udp_on_learnt(struct relay_shard *shard, const struct relay_message *message);
