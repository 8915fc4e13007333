/*
 * relay_mailbox: a relay's mailbox and events without its legs: the nodes behind it do as the test
 * says. On a bus of its own, so that it can die and come back.
 */
#pragma once

#include "boson_rig.h"
#include "common.pb-c.h"
#include "identity/key.h"
#include "relay.pb-c.h"

enum { RELAY_MAILBOX_LEGS_MAX = 16, RELAY_MAILBOX_HELD_MAX = 64 };

enum relay_mailbox_answer {
	RELAY_NODE_OPENS,
	RELAY_NODE_REFUSES,
	RELAY_NODE_IS_FULL,
	RELAY_NODE_IS_SILENT,
	RELAY_NODE_HAS_ANOTHER_KEY, /* than it enrolled with: says a relay that lies */
};

struct relay_mailbox_leg {
	char node_id[UUID_TEXT_BYTES];
	enum relay_mailbox_answer answer;
	unsigned int opened, closed;   /* how often it was asked */
	uint64_t bytes_up, bytes_down; /* of each of its sessions, as the relay has counted */
	uint64_t data_up, data_down;   /* of these, what is no handshake */
	unsigned int looked_at;	       /* ListFlows of its sessions */
};

struct relay_mailbox {
	Boson__Relay__Relay_Service service; /* first: handlers find us by it */
	const char *id, *name; /* in its messages, and of its sockets; NULL: relay-1, relay */
	struct rig *rig;
	struct bus *bus;
	struct bus_publisher *publisher;
	bool serves;
	struct relay_mailbox_leg legs[RELAY_MAILBOX_LEGS_MAX];
	size_t leg_count;
	uint64_t generation;
	unsigned int listed;	     /* how often ListLegs was asked */
	const char *udp_endpoint;    /* as it announces; NULL: none */
	unsigned int bound, unbound; /* how often BindUdp, UnbindUdp were asked */
	char last_bound[UUID_TEXT_BYTES];
	unsigned int carried_to_node, carried_to_client;
	uint64_t bytes_up; /* of every session, as its node says; 0: it does not */
	char last_session[UUID_TEXT_BYTES], last_client_key[KEY_TEXT_BYTES];
	void *held[RELAY_MAILBOX_HELD_MAX]; /* calls of silent nodes */
	size_t held_count;
	Boson__Relay__OpenSessionReply_Closure held_closure;
};

void relay_mailbox_start(struct relay_mailbox *relay, struct rig *rig);
void relay_mailbox_stop(struct relay_mailbox *relay); /* keeps the legs */

/* Adds a node's leg; tells of it when started. */
struct relay_mailbox_leg *relay_mailbox_attach(struct relay_mailbox *relay, const char *node_id,
					       enum relay_mailbox_answer answer);
void relay_mailbox_detach(struct relay_mailbox *relay, const char *node_id);
struct relay_mailbox_leg *relay_mailbox_find(struct relay_mailbox *relay, const char *node_id);

/* Tells how full it is, 0 to 1, as a relay does once a second. */
void relay_mailbox_tell_load(struct relay_mailbox *relay, double load);

/* What it announces to discovery. */
void relay_mailbox_describe(const struct relay_mailbox *relay, Boson__Common__Relay *ret,
			    char ret_bus[RIG_PATH_BYTES], char ret_events[RIG_PATH_BYTES]);

/* The silent nodes' calls are answered after all: their sessions are open. */
void relay_mailbox_open_held(struct relay_mailbox *relay);
