/*
 * udp_rig: what tests of stock WireGuard apps at one relay share: the relay, two nodes and their
 * keys, three sessions, and its start and end for cmocka.
 */
#pragma once

#include "relay_fixture.h"
#include "udp_talk.h"

enum { UDP_RIG_HOUR_MS = 3600 * 1000 };

extern struct relay_fixture relay;
extern struct key key_a, key_b; /* of the nodes */

extern const uint8_t node_a[UUID_BYTES],
	node_b[UUID_BYTES]; /* of three shards, not the same one's */
extern const uint8_t session_1[UUID_BYTES], session_2[UUID_BYTES], session_3[UUID_BYTES];

/* settings beside the port where datagrams are heard: one of the loopback's, or elsewhere. */
void udp_rig_start(const char *settings);
void udp_rig_start_at(const char *listen, const char *settings);

/* For cmocka: with one shard; the end of any. */
int udp_rig_set_up(void **state);
int udp_rig_tear_down(void **state);

void udp_rig_bind(const uint8_t session[UUID_BYTES], const uint8_t node[UUID_BYTES],
		  const struct key *key, const struct udp_app *app);

/* Node a's leg, an app at 127.0.1.1 that session 1 is bound for, the index by which the node's end
 * will be spoken to, and, once they have shaken hands, the app's channel. */
struct udp_pair {
	struct raw_leg *node;
	struct udp_app app;
	uint32_t channel, index;
};
struct udp_pair udp_rig_open(void);
struct udp_pair udp_rig_open_proven(void);
void udp_rig_shake_hands(struct udp_pair *pair);
void udp_rig_exchange(const struct udp_pair *pair, uint64_t counter);
void udp_rig_close(struct udp_pair *pair);

/* What was dropped so far for a reason; until it is n. */
uint64_t udp_rig_drops(const char *reason);
void udp_rig_await_drops(const char *reason, uint64_t n);
