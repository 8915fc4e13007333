/*
 * relay_mesh: the thread that speaks with other relays: one ROUTER that they connect to, a DEALER
 * to each relay that this one has clients for. It moves whole messages between those and the
 * shards; what is in them is the shards' (relay_mesh_leg), which relay is spoken to the control
 * actor's (relay_seek).
 *
 * A link is one connection; its id is never used again. It is dialled by the relay that the client
 * came to. Bounded in bytes by credit and in age by the queue before it; what does not fit is
 * dropped and counted, so a relay that is slow costs only those who go to it.
 */
#pragma once

#include "bus/bus.h"
#include "relay/relay_counters.h"
#include "relay/relay_mailbox.h"

struct relay_mesh;
struct relay_settings;
struct relay_shard;

/* What the shards know of the mesh. */
struct relay_mesh_mail {
	struct relay_mailbox mailbox;
	_Atomic int64_t waiting_bytes; /* in the mailbox */
};

enum { RELAY_MESH_WAITING_BYTES = 32 * 1024 * 1024 };

/* Binds beside the relay's mailbox. relay_id, settings and shards outlive it. The thread is started
 * by relay_mesh_start. -EINVAL: there is no such endpoint. */
int relay_mesh_new(struct bus *bus, const char *bus_endpoint, const char *relay_id,
		   const struct relay_settings *settings, struct relay_mesh **ret);
int relay_mesh_start(struct relay_mesh *mesh, struct relay_shard *const *shards, unsigned count);
void relay_mesh_stop(struct relay_mesh *mesh); /* the shards must not send after it */
void relay_mesh_free(struct relay_mesh **mesh);

struct relay_mesh_mail *relay_mesh_mail(struct relay_mesh *mesh);
const struct relay_counters *relay_mesh_counters(const struct relay_mesh *mesh);

/* Control actor: the node's leg, of this generation, is at that relay: tie our clients to it.
 * server_key: Z85, or NULL. */
int relay_mesh_tie(struct relay_mesh *mesh, const uint8_t node_id[UUID_BYTES], uint64_t generation,
		   const char *relay_id, const char *bus_endpoint, const char *server_key);
