/*
 * relay_mesh_peers: a short table, looked at when links come and go.
 */
#include "relay/relay_mesh_peers.h"

#include <errno.h>
#include <string.h>

static bool
is_free(const struct relay_mesh_peer *peer)
{
	return peer->links == 0 &&
	       atomic_load_explicit(&peer->clients, memory_order_acquire) == 0 &&
	       atomic_load_explicit(&peer->messages, memory_order_acquire) == 0;
}

static struct relay_mesh_peer *
find(struct relay_mesh_peers *peers, const char *name)
{
	struct relay_mesh_peer *place = NULL;

	for (unsigned i = 0; i < RELAY_PEERS_MAX; i++) {
		struct relay_mesh_peer *peer = &peers->peers[i];

		if (strcmp(peer->name, name) == 0)
			return peer;
		if (place == NULL && is_free(peer))
			place = peer;
	}
	if (place == NULL)
		return NULL;
	strcpy(place->name, name);
	atomic_store_explicit(&place->opens, peers->opens_most, memory_order_relaxed);
	return place;
}

int
relay_peer_get(struct relay_mesh_peers *peers, const char *name, struct relay_mesh_peer **ret)
{
	struct relay_mesh_peer *peer =
		*name != '\0' && strlen(name) < RELAY_PEER_NAME_BYTES ? find(peers, name) : NULL;

	if (peer == NULL)
		return -ENFILE;
	if (peer->links >= RELAY_PEER_LINKS_MAX)
		return -EDQUOT;
	peer->links++;
	*ret = peer;
	return 0;
}

void
relay_peer_put(struct relay_mesh_peer **peer)
{
	if (*peer != NULL)
		(*peer)->links--;
	*peer = NULL;
}

void
relay_peers_refill(struct relay_mesh_peers *peers, int64_t opens)
{
	for (unsigned i = 0; i < RELAY_PEERS_MAX; i++) {
		struct relay_mesh_peer *peer = &peers->peers[i];
		int64_t has = atomic_load_explicit(&peer->opens, memory_order_relaxed),
			more = peers->opens_most - has < opens ? peers->opens_most - has : opens;

		if (more > 0)
			atomic_fetch_add_explicit(&peer->opens, more, memory_order_relaxed);
	}
}

bool
relay_peer_open(struct relay_mesh_peer *peer, uint32_t most)
{
	if (peer == NULL)
		return true;
	if (atomic_load_explicit(&peer->clients, memory_order_relaxed) >= most ||
	    atomic_load_explicit(&peer->opens, memory_order_relaxed) <= 0)
		return false;
	atomic_fetch_sub_explicit(&peer->opens, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&peer->clients, 1, memory_order_relaxed);
	return true;
}

void
relay_peer_close(struct relay_mesh_peer *peer)
{
	if (peer != NULL)
		atomic_fetch_sub_explicit(&peer->clients, 1, memory_order_release);
}

bool
relay_peer_room_take(struct relay_mesh_peer *peer, size_t n)
{
	if (peer == NULL)
		return true;
	if (atomic_load_explicit(&peer->messages, memory_order_relaxed) >=
		    RELAY_PEER_MESSAGES_MAX ||
	    atomic_load_explicit(&peer->message_bytes, memory_order_relaxed) + (int64_t)n >
		    RELAY_PEER_CONTROL_BYTES)
		return false;
	atomic_fetch_add_explicit(&peer->message_bytes, (int64_t)n, memory_order_relaxed);
	atomic_fetch_add_explicit(&peer->messages, 1, memory_order_relaxed);
	return true;
}

void
relay_peer_room_put(struct relay_mesh_peer *peer, size_t n)
{
	if (peer == NULL)
		return;
	atomic_fetch_sub_explicit(&peer->message_bytes, (int64_t)n, memory_order_relaxed);
	atomic_fetch_sub_explicit(&peer->messages, 1, memory_order_release);
}
