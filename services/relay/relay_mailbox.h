/*
 * relay_mailbox: messages between the relay's threads: many senders, one receiver, bounded, with an
 * eventfd to wake it. Packets never pass here: only commands, reports, and connections on their one
 * move. Lock-free: a sender never waits for another.
 */
#pragma once

#include "common.pb-c.h"
#include "identity/key.h"
#include "link.pb-c.h"
#include "relay/relay_carried.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay_leg;
struct relay_mesh_peer;

enum { RELAY_MAILBOX_MAX = 16384, RELAY_CARRY_MAX_BYTES = 2048 };

enum relay_message_kind {
	/* any shard to the shard of the leg's node */
	RELAY_ADOPT, /* leg */
	/* any shard to another */
	RELAY_UDP_HANDED,   /* from_shard; bytes: a tuple, datagrams with lengths */
	RELAY_UDP_RETURNED, /* likewise: they are for neither of the sender's nodes nor legs */
	RELAY_UDP_LEARNT,   /* session, index: one of its */
	/* control actor to shard */
	RELAY_SESSION_OPEN,  /* node, session, request_id; bytes: the packed link Control */
	RELAY_SESSION_CLOSE, /* node, session; bytes: the packed link Control */
	RELAY_CARRY,	     /* node, session, answer, call, is_to_node; bytes: a datagram */
	RELAY_NODE_GONE,     /* node: deleted from the fleet */
	RELAY_NODE_BACK,     /* node: enrolled again */
	RELAY_UDP_BIND,	     /* session; bytes: struct relay_udp_binding */
	RELAY_UDP_UNBIND,    /* session */
	RELAY_UDP_PEERS,     /* bytes: struct relay_udp_peers */
	RELAY_NODE_MOVED,    /* node, generation: of its leg here, which is no longer its newest */
	RELAY_TIE, /* node, generation, link: its leg is at the relay of that link. To the mesh
		      thread: bytes: that relay's id, endpoint and key, each with its NUL */
	/* mesh thread to shard */
	RELAY_MESH_SECTIONS, /* link, peer, is_dialled; bytes: relay_mesh_wire's sections */
	RELAY_MESH_DOWN,     /* link */
	/* shard to mesh thread */
	RELAY_MESH_SEND, /* link, queued_ms; bytes: a whole message */
	RELAY_DRAIN, /* channels: legs of all shards; bytes: URLs of others, each with its NUL */
	RELAY_STOP,
	/* shard to control actor */
	RELAY_LEG_ATTACHED,    /* node, generation, channels */
	RELAY_LEG_DETACHED,    /* node, generation, reason */
	RELAY_LEG_MEASURED,    /* node, generation, channels, rtt_us */
	RELAY_LEG_SWAPPED,     /* node: its leg took a living one's place */
	RELAY_LEG_CONTESTED,   /* node: once too often; refused */
	RELAY_OPEN_ANSWERED,   /* node; control: SessionOpened */
	RELAY_OPEN_FAILED,     /* node, request_id */
	RELAY_CARRIED,	       /* answer, call, result: 0 or -errno */
	RELAY_SESSION_SEEN,    /* node, session: a ticket said so */
	RELAY_SESSION_CARRIED, /* node, session; carried since the last */
	RELAY_FLOWS_REPORTED,  /* node; control: FlowReport */
	RELAY_NODE_SOUGHT,     /* node: clients wait here, and its leg is elsewhere */
	RELAY_NODE_SETTLED,    /* node: no longer so */
	RELAY_DOOR_CLOSED,     /* it accepts no more, and is being drained */
	RELAY_DRAINED,
};

struct relay_message {
	struct relay_message *next;
	enum relay_message_kind kind;
	uint8_t node_id[UUID_BYTES], session_id[UUID_BYTES];
	struct relay_leg *leg;
	Boson__Link__Control *control; /* owned */
	const char *reason;	       /* static */
	Boson__Common__Empty_Closure
		answer; /* of a call of the bus, which the control actor ends */
	void *call;
	int result;
	bool is_to_node;
	uint64_t generation, request_id;
	unsigned from_shard;
	uint32_t index; /* a WireGuard receiver index */
	struct relay_carried carried;
	uint64_t link;		      /* of the mesh */
	struct relay_mesh_peer *peer; /* of a link that it dialled; not owned */
	int64_t queued_ms;
	_Atomic bool is_handed_over; /* to ZeroMQ, whose thread frees it */
	bool is_dialled;
	uint32_t channels, rtt_us;
	size_t n;
	uint8_t bytes[];
};

struct relay_mailbox {
	_Atomic(struct relay_message *) newest;
	_Atomic uint32_t count;
	int event_fd; /* readable when there is something */
};

int relay_mailbox_init(struct relay_mailbox *mailbox);

/* Frees what was not received, but no leg in it: drain it first. */
void relay_mailbox_fini(struct relay_mailbox *mailbox);

/* node_id may be NULL. NULL when out of memory. */
struct relay_message *relay_message_new(enum relay_message_kind kind, const uint8_t *node_id,
					size_t n);
void relay_message_free(struct relay_message **message);

/* Any thread. Takes *message and sets it NULL; -EAGAIN when full, and then *message is still the
 * caller's. */
int relay_mailbox_send(struct relay_mailbox *mailbox, struct relay_message **message);

/* What must be heard, memory or room or not: waits until it could be said. The receiver must be
 * another thread, which receives. */
void relay_mailbox_insist(struct relay_mailbox *mailbox, enum relay_message_kind kind,
			  uint64_t link);

/* The receiver: everything that has come, oldest first, linked by next. */
struct relay_message *relay_mailbox_receive(struct relay_mailbox *mailbox);
