/*
 * relay_udp: the UDP ingress of one shard: stock WireGuard apps on one port. Each source tuple is a
 * client leg of its own, carried by this socket instead of a WebSocket; which node it belongs to
 * follows from the bytes alone (mac1, receiver index), who it is WireGuard on the node decides.
 * Shard thread only; docs/protocol.md has the rules.
 */
#pragma once

#include "relay/relay_leg.h"
#include "relay/relay_udp_batch.h"
#include "relay/relay_udp_cookie.h"
#include "relay/relay_udp_flow.h"
#include "relay/relay_udp_hand.h"
#include "relay/relay_udp_socket.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay_udp {
	int fd;
	struct udp_bundle_reads *reads;
	struct relay_udp_sessions sessions;
	struct relay_udp_flows flows;
	struct relay_buckets buckets;
	struct relay_udp_cookies cookies;
	struct relay_udp_peers peers;
	struct relay_udp_batch batch;
	struct relay_udp_hand hand;
	struct relay_timer timer;
	uint64_t hashes; /* as counted last */
};

/* Takes the descriptor; secret: of all shards' cookies. The shard is not running yet; on failure,
 * too, relay_udp_free cleans up. */
int relay_udp_new(struct relay_shard *shard, int fd,
		  const uint8_t secret[RELAY_UDP_COOKIE_SECRET_BYTES]);

/* The shard is ending; legs are gone. */
void relay_udp_free(struct relay_shard *shard);

/* Epoll says. */
void relay_udp_on_event(struct relay_shard *shard);

/* The timer says: what ended goes. */
void relay_udp_on_timer(struct relay_shard *shard);

/* The control actor says. */
void relay_udp_bind(struct relay_shard *shard, const struct relay_udp_binding *binding);
/* node_id: unless it has moved to another node; NULL: wherever it is. */
void relay_udp_unbind(struct relay_shard *shard, const uint8_t session_id[UUID_BYTES],
		      const uint8_t *node_id);

/* Relays and their UDP sockets. */
void relay_udp_set_peers(struct relay_shard *shard, const struct relay_udp_peers *peers);

/* A node's message to this client leg, which is no UDP leg: what it announces in handshakes is
 * noted, so that the client may go on by UDP. batch: checked datagrams, lengths before them. */
void relay_udp_learn(struct relay_shard *shard, struct relay_channel *channel, const uint8_t *batch,
		     size_t n);

/* The node of this UDP leg can be reached again. */
void relay_udp_on_node(struct relay_shard *shard, const struct relay_leg *leg);

/* Apps that were answered here lately: they cannot be told to go elsewhere. */
bool relay_udp_is_used(const struct relay_shard *shard);

/* A session was bound: what its node announced before counts. */
void relay_udp_recall(struct relay_shard *shard, struct relay_udp_session *session);

/* ---- between relay_udp.c, relay_udp_up.c, relay_udp_strangers.c and relay_udp_down.c ---- */

extern const struct relay_carrier relay_udp_carrier;

/* One datagram of a source that passed relay_udp_check_source. */
void relay_udp_take(struct relay_shard *shard, const struct relay_udp_tuple *tuple,
		    const uint8_t *datagram, size_t n);

/* One of a source that has no leg here, or has one that may give way. */
void relay_udp_take_unknown(struct relay_shard *shard, const struct relay_udp_tuple *tuple,
			    int type, const uint8_t *message, size_t n);

/* For an initiation beyond a ration that others may have used up in the source's name: whether it
 * shows that the source is there. If not, it is told how. */
bool relay_udp_is_excused(struct relay_shard *shard, const struct relay_udp_tuple *tuple,
			  const struct relay_udp_node *node, const uint8_t *initiation);

/* At once out of all tables; its leg is closed at the end of the round. reason: static. Not from
 * inside the carrier's hooks. */
void relay_udp_close_flow(struct relay_shard *shard, struct relay_udp_flow *flow,
			  const char *reason);
