/*
 * agent_enrol: proves the node's key to the server until it is registered: challenge, proof,
 * register (docs/protocol.md, "Proof"). Tries again by itself, also while the server's operator has
 * not approved the node; ends only with success or a conflict.
 */
#pragma once

#include "agent/agent_rest.h"
#include "identity/key.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

#include "discovery.pb-c.h"

#include <stdbool.h>

struct enrol;

/* What the node says of itself. Strings are the caller's and outlive the enrolment; "" is not said.
 */
struct enrol_facts {
	const char *node_id;
	const char *country, *region;
	bool has_coordinates;
	double coordinates[2];
	uint32_t sessions_max;
	double bandwidth_up, bandwidth_down; /* Mbit/s; 0: not said */
	uint32_t heartbeat_sec;
	/* What the node looks like from outside, asked for at each attempt; or NULL. */
	const Boson__Discovery__NetworkInfo *(*network)(void *arg);
	void *network_arg;
	const char *access_key; /* for servers that want one; or NULL */
};

struct enrol_events {
	/* Registered. The reply is borrowed. */
	void (*on_enrolled)(const Boson__Discovery__RegisterReply *reply, void *arg);
	/* The server has the new key of enrol_rotate; a registration by that key comes next. */
	void (*on_rotated)(void *arg);
	/* The node id is bound to another key, or the key to another node: nothing that trying
	 * again would mend. */
	void (*on_conflict)(void *arg);
	void *arg;
};

/* private_key is copied, and wiped at the end. */
int enrol_new(struct loop *loop, struct rest *rest, struct metrics *metrics,
	      const struct enrol_facts *facts, const struct key *private_key,
	      const struct enrol_events *events, struct enrol **ret);
void enrol_free(struct enrol **enrol);

/* Begins, unless it is under way. */
void enrol_start(struct enrol *enrol);

/* The next registration is to change the node's key to this one (copied), by proofs of both; the
 * one after that only proves the old key again, if the server refused. -EBUSY while one is under
 * way, or it was refused before. */
int enrol_rotate(struct enrol *enrol, const struct key *next_private);

/* Does the server let us wait for its operator? */
bool enrol_awaits_approval(const struct enrol *enrol);
