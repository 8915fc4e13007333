/*
 * relay_mesh_link: one connection to another relay: who it is, what waits to be sent, how much may
 * be on its way. A model: no I/O, no clock. Mesh thread only.
 */
#pragma once

#include "idtable/idtable.h"
#include "relay/relay_mailbox.h"
#include "relay/relay_mesh_peers.h"

#include <czmq.h>

struct loop_zsock;
struct relay_mesh;

enum {
	RELAY_LINK_WINDOW_BYTES = 4 * 1024 * 1024, /* on their way and not yet taken */
	RELAY_LINK_QUEUE_BYTES = 2 * 1024 * 1024,  /* waiting for that */
	RELAY_LINK_NAME_BYTES = 65,
	RELAY_LINK_ROUTE_BYTES = 256,
};

struct relay_link {
	struct idtable_link by_id, by_route;
	uint64_t id;
	struct relay_mesh *mesh;
	struct relay_link *next;
	char relay_id[RELAY_LINK_NAME_BYTES]; /* "" until it said hello */
	uint64_t their_link;		      /* its number of this link; 0: not heard */
	bool is_dialled, is_up;
	int64_t heard_ms;

	/* dialled */
	zsock_t *socket;
	struct loop_zsock *watch;
	/* accepted */
	struct relay_mesh_peer *peer;
	/* hashed, since ids are of any length */
	uint64_t route_key;
	uint8_t route[RELAY_LINK_ROUTE_BYTES];
	size_t route_n;

	struct relay_message *ties;		      /* for shards, once the link is up */
	struct relay_message *control, *control_tail; /* never dropped: the link goes before */
	struct relay_message *data, *data_tail;	      /* bounded in bytes and age */
	size_t data_bytes, control_bytes;
	uint64_t sent, granted;	 /* bytes of data; what it may go up to */
	uint64_t received, said; /* bytes of data; as of our last hello */
};

/* Takes the message. Returns how many others had to go for it, the oldest first. */
unsigned relay_link_push(struct relay_link *link, struct relay_message **message);

/* The other relay (an accepted one: on all of its links) says hello and reads nothing: what is
 * never dropped would grow without end. That much is a word for each of a full relay's legs. */
bool relay_link_is_stuck(const struct relay_link *link);

/* Drops data older than age_ms. */
unsigned relay_link_age(struct relay_link *link, int64_t now_ms, int64_t age_ms);

/* What goes next, which stays in the queue; NULL: nothing may go now. */
struct relay_message *relay_link_peek(const struct relay_link *link);

/* That one was sent: it is the caller's. */
struct relay_message *relay_link_take(struct relay_link *link);

void relay_link_clear(struct relay_link *link);
