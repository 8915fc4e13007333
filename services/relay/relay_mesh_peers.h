/*
 * relay_mesh_peers: what is held for other relays, by their names on the bus. A key that was
 * stolen, or one relay gone mad, costs its share and no more: of links, of channels, of what waits.
 * Several relays may have one name (and over ipc all do). A model: no I/O, no clock. The table is
 * the mesh thread's; the counts that shards change are atomic.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RELAY_PEERS_MAX = 256, /* names at once */
	RELAY_PEER_NAME_BYTES = 65,
	RELAY_PEER_LINKS_MAX = 256,	/* of one name: as many as there may be other relays */
	RELAY_PEER_MESSAGES_MAX = 4096, /* in shards' mailboxes, which others need as well */
	RELAY_PEER_CONTROL_BYTES = 64 * 1024 * 1024, /* there; and again for it to take */
};

struct relay_mesh_peer {
	char name[RELAY_PEER_NAME_BYTES]; /* "": free */
	uint32_t links;
	size_t control_bytes;	   /* that its links are to take */
	_Atomic uint32_t clients;  /* its channels that are open here */
	_Atomic int64_t opens;	   /* how many more it may open now */
	_Atomic uint32_t messages; /* from it, in shards' mailboxes; and their bytes */
	_Atomic int64_t message_bytes;
};

struct relay_mesh_peers {
	struct relay_mesh_peer peers[RELAY_PEERS_MAX];
	int64_t opens_most;
};

/* One more link of this name, which is put back by relay_peer_put. 0; -EDQUOT: it has as many as it
 * may; -ENFILE: there is no place for another name. */
int relay_peer_get(struct relay_mesh_peers *peers, const char *name, struct relay_mesh_peer **ret);

/* Time passed: each may open so many more channels, up to peers->opens_most, which is what one
 * begins with. */
void relay_peers_refill(struct relay_mesh_peers *peers, int64_t opens);

/* A shard: it opens a channel, and it has gone. False: it has `most`, or opens too many in too
 * short a time. NULL: a relay that we dialled. */
bool relay_peer_open(struct relay_mesh_peer *peer, uint32_t most);
void relay_peer_close(struct relay_mesh_peer *peer);

/* What its shards hold lives on until they have heard that the link is down. */
void relay_peer_put(struct relay_mesh_peer **peer);

/* Room in a shard's mailbox for a message of n bytes from it, until the shard has taken that out.
 * False: there are too many of its there. NULL: a relay that we dialled. */
bool relay_peer_room_take(struct relay_mesh_peer *peer, size_t n);
void relay_peer_room_put(struct relay_mesh_peer *peer, size_t n);
