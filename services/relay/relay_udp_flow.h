/*
 * relay_udp_flow: the UDP legs of one shard: one for each source tuple, never re-pointed. A model:
 * no I/O, no clock. One thread.
 *
 *	HALF_OPEN	a stranger's datagram fits a node by mac1 or index; the node has said
 *			nothing
 *	ANSWERED	the node answered its handshake: WireGuard knows who it is. Until it has
 *			shown that it got the answer it is sent no more bytes than came from it
 *	PROVEN		it showed so, or the node answered its transport data
 *
 * Half-open ones make way for each other, oldest first, and last ten seconds; the others stay for
 * five minutes after the node last answered (WireGuard rejects a key after three), and no half-open
 * one ever costs one of them its place.
 */
#pragma once

#include "idtable/idtable.h"
#include "relay/relay_udp_bucket.h"
#include "relay/relay_udp_sessions.h"
#include "relay/relay_udp_shape.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct relay_leg;

enum {
	RELAY_UDP_HALF_OPEN_MAX = 65536, /* of all shards */
	RELAY_UDP_HALF_OPEN_NODE_MAX = 256,
	RELAY_UDP_HALF_OPEN_SESSION_MAX = 64,
	RELAY_UDP_FLOWS_SESSION_MAX = 4, /* answered: where its client was last */
	RELAY_UDP_HALF_OPEN_MS = 10 * 1000,
	RELAY_UDP_ANSWER_MS = 2000, /* in which a node mostly answers */
	RELAY_UDP_IDLE_MS = 300 * 1000,
	RELAY_UDP_SILENT_MS = 150 * 1000, /* WireGuard in use is answered every two minutes */
	RELAY_UDP_TRY_RATE = 10,	  /* transport messages a second of a half-open flow */
};

enum relay_udp_state { RELAY_UDP_HALF_OPEN, RELAY_UDP_ANSWERED, RELAY_UDP_PROVEN };

struct relay_udp_flow {
	struct idtable_link by_tuple;
	struct relay_udp_tuple tuple;
	enum relay_udp_state state;
	struct relay_leg *leg;
	struct relay_udp_node *node;
	struct relay_udp_session *session; /* half-open: NULL, or the one whose index it used */
	int64_t opened_ms, answered_ms;
	uint64_t bytes_in, bytes_out; /* counted until it is proven */
	uint8_t *held;		      /* an initiation that waits for the node's leg, or NULL */
	struct relay_tokens handshakes, tries;
	TAILQ_ENTRY(relay_udp_flow) by_age;  /* half-open, or answered: by answered_ms */
	TAILQ_ENTRY(relay_udp_flow) of_node; /* half-open */
	LIST_ENTRY(relay_udp_flow) of_session;
};

struct relay_udp_flow_list {
	TAILQ_HEAD(, relay_udp_flow) by_age; /* the oldest first */
	uint32_t n;
};

struct relay_udp_flows {
	struct idtable by_tuple;
	struct relay_udp_flow_list half_open, answered;
	uint32_t half_open_max;
};

int relay_udp_flows_init(struct relay_udp_flows *flows, uint32_t half_open_max);

/* All flows must be gone. */
void relay_udp_flows_fini(struct relay_udp_flows *flows);

struct relay_udp_flow *relay_udp_flows_find(const struct relay_udp_flows *flows,
					    const struct relay_udp_tuple *tuple);

/* Which half-open flow has to go before another of this node (and session, or NULL) may come, or
 * NULL: there is room. */
struct relay_udp_flow *relay_udp_flows_in_the_way(const struct relay_udp_flows *flows,
						  const struct relay_udp_node *node,
						  const struct relay_udp_session *session);

/* A half-open flow; node and session must outlive it. NULL: out of memory. */
struct relay_udp_flow *relay_udp_flows_add(struct relay_udp_flows *flows,
					   const struct relay_udp_tuple *tuple,
					   struct relay_udp_node *node,
					   struct relay_udp_session *session, int64_t now_ms);

/* The node answered: it is this session's. */
void relay_udp_flow_answered(struct relay_udp_flows *flows, struct relay_udp_flow *flow,
			     struct relay_udp_session *session, enum relay_udp_state state,
			     int64_t now_ms);

/* It uses another session's index, or was answered for another one. */
void relay_udp_flow_set_session(struct relay_udp_flow *flow, struct relay_udp_session *session);

/* The node sent something to a flow that was answered before. */
void relay_udp_flow_heard(struct relay_udp_flows *flows, struct relay_udp_flow *flow,
			  int64_t now_ms);

/* Of a session with too many answered flows, the one that has been silent for longest; or NULL. */
struct relay_udp_flow *relay_udp_session_surplus(const struct relay_udp_session *session);

/* The next one whose time is over, or NULL. */
struct relay_udp_flow *relay_udp_flows_ended(const struct relay_udp_flows *flows, int64_t now_ms);

/* Out of all lists, and freed. */
void relay_udp_flows_remove(struct relay_udp_flows *flows, struct relay_udp_flow *flow);
