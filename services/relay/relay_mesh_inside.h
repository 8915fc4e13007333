/*
 * relay_mesh_inside: what relay_mesh (its thread, what shards and the control actor want),
 * relay_mesh_dial (links come and go) and relay_mesh_talk (what is said over one) share. Mesh
 * thread only, but for relay_mesh's start and end.
 */
#pragma once

#include "idtable/idtable.h"
#include "relay/relay_mesh.h"
#include "relay/relay_mesh_link.h"
#include "relay/relay_settings.h"

#include <pthread.h>

struct loop;

struct relay_mesh {
	struct bus *bus; /* for its keys alone, which do not change */
	const struct relay_settings *settings;
	char relay_id[RELAY_LINK_NAME_BYTES];
	bool is_tcp;
	zsock_t *router;

	struct relay_shard *const *shards;
	unsigned shard_count;
	struct relay_mesh_mail mail;
	struct relay_counters counters;

	pthread_t thread;
	bool has_thread;
	struct loop *loop;
	struct loop_zsock *router_watch;
	struct loop_fd *mail_watch;
	struct loop_timer *tick;
	int64_t hello_ms;
	struct relay_link *links;
	struct idtable by_id, by_route;
	struct relay_mesh_peers peers; /* of accepted links */
	uint32_t accepted;
	uint64_t last_link, route_secret[2];
};

/* ---- relay_mesh_dial ---- */

struct relay_link *relay_mesh_dialled_to(const struct relay_mesh *mesh, const char *relay_id);

/* NULL, and said in the log: it cannot be. */
struct relay_link *relay_mesh_dial(struct relay_mesh *mesh, const char *relay_id,
				   const char *bus_endpoint, const char *key);

/* The ROUTER has something. */
void relay_mesh_on_routed(struct loop *loop, zsock_t *socket, void *arg);

/* All shards are told; the link is gone. */
void relay_mesh_link_down(struct relay_link *link, const char *reason);
void relay_mesh_link_free(struct relay_link *link);

/* Hands over the nodes that are reached by way of this link: what is sent before it is up would be
 * lost. */
void relay_mesh_tell_ties(struct relay_link *link);

/* ---- relay_mesh_talk ---- */

void relay_mesh_say_hello(struct relay_link *link);

/* To one who said hello at our ROUTER and gets no link. */
void relay_mesh_say_refused(struct relay_mesh *mesh, const void *route, size_t n,
			    const char *reason);

/* Everything that may go. The link may be gone after it. */
void relay_mesh_send_waiting(struct relay_link *link);

/* One message of the other relay. False: the link is gone. */
bool relay_mesh_hear(struct relay_link *link, uint8_t *bytes, size_t n);

/* Takes *message; freed when the shard's mailbox is full: -EAGAIN. */
int relay_mesh_tell_shard(struct relay_mesh *mesh, unsigned shard, struct relay_message **message);
