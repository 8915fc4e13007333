/*
 * routing_choice: which node a client gets. Of the nodes that fit its wish, two are drawn at
 * random, weighted by the sessions that they can bear, and the better one is taken: nearly as even
 * as knowing all loads, and no herd runs to one node (Mitzenmacher, "The power of two choices",
 * 2001). The model: no I/O; time and randomness are arguments.
 *
 * Better is: more of its capacity free, a shorter way (client to relay to node, as measured), fewer
 * recent failures, a relay with less load.
 */
#pragma once

#include "routing/routing_session.h"
#include "routing/routing_table.h"

enum {
	CHOICE_FAILURE_HALF_LIFE_MS = 30 * 1000,
	CHOICE_DEAF_HALF_LIFE_MS = 10 * 60 * 1000,
	CHOICE_DEAF_VOTERS = 3,	   /* in a few minutes are too many */
	CHOICE_FULL_MS = 5 * 1000, /* a node that said it is full is not asked again so long */
	CHOICE_DRAWS = 24,	   /* before nodes are looked at one after the other */
	CHOICE_LOOKED_AT_MAX = 2048,
	CHOICE_EXCLUDED_MAX = 3,
	CHOICE_ENTRIES_MAX = 4, /* relays that a client is told of */
};

/* A uniform 64-bit number from arg. */
struct choice_random {
	uint64_t (*next)(void *arg);
	void *arg;
};

/* A node that fits the wish and can take a session now, and none of the excluded; NULL when there
 * is none. One that is failing, or whose relay is draining or full, only when there is no other.
 * When less than one in a few hundred of the nodes with enough bandwidth fits, it may be missed. */
struct table_node *choice_pick(struct table *table, const struct routing_wish *wish,
			       struct table_node *const *excluded, size_t excluded_count,
			       int64_t now_ms, const struct choice_random *random);

/* Could a node that discovery knows fit the wish, if it were alive and idle? In doubt yes: to wait
 * is better than to give up. */
bool choice_is_possible(struct table *table, const struct routing_wish *wish);

/* Can a session that is there already stay at this node? */
bool choice_keeps(const struct table_node *node, const struct routing_wish *wish);

/* The relays where a client may enter to reach this node, in order of preference: live ones, first
 * those with the shortest way for the client. One that drains comes last, and only the node's own.
 * Others than the node's own only with_others. Returns how many. */
size_t choice_entries(const struct table *table, const struct table_node *node,
		      const struct routing_wish *wish, bool with_others,
		      const struct table_relay *ret_relays[CHOICE_ENTRIES_MAX]);

/* Fills the estimates of a route to this node that enters at `entry`:
 * latency: ms, round trip client to relay, as the client measured it, and relay to node, as the
 *     relay did; what is not measured is not in it, nor is the way between two relays.
 * bandwidth: Mbit/s, the lower direction of what the node says it has, less what it says it uses
 *     now. 0: it did not say.
 * cost: 0 is best: latency, and 100 for a full node, a full relay, and for a second relay 20. */
void choice_estimate(const struct table_node *node, const struct table_relay *entry,
		     const struct routing_wish *wish, struct session_record *ret);

/* What came of asking a node. */
void choice_note_failure(struct table_node *node, int64_t now_ms);
void choice_note_full(struct table_node *node, int64_t now_ms);
void choice_note_success(struct table_node *node);

/* What came of a session that it took: its client heard nothing, or something. True when the node
 * is asked only if there is no other from now on. */
bool choice_note_deaf(struct table_node *node, int64_t now_ms);
void choice_note_heard(struct table_node *node);

double choice_failures(const struct table_node *node, int64_t now_ms);
