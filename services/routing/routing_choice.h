/*
 * routing_choice: which node a client gets. Of the nodes that fit its wish, two are drawn at random
 * and the better one is taken: nearly as even as knowing all loads, and no herd runs to one node
 * (Mitzenmacher, "The power of two choices", 2001). The model: no I/O; time and randomness are
 * arguments.
 */
#pragma once

#include "routing/routing_session.h"
#include "routing/routing_table.h"

enum {
	CHOICE_FAILURE_HALF_LIFE_MS = 30 * 1000,
	CHOICE_FULL_MS = 5 * 1000, /* a node that said it is full is not asked again so long */
	CHOICE_DRAWS = 24,	   /* before every node of the pool is looked at */
	CHOICE_EXCLUDED_MAX = 3,
};

/* A uniform 64-bit number from arg. */
struct choice_random {
	uint64_t (*next)(void *arg);
	void *arg;
};

/* A node that fits the wish and can take a session now, and none of the excluded; NULL when there
 * is none. */
struct table_node *choice_pick(const struct table *table, const struct routing_wish *wish,
			       struct table_node *const *excluded, size_t excluded_count,
			       int64_t now_ms, const struct choice_random *random);

/* The one relay that carries a session to this node: the live leg with the shortest way, a draining
 * relay only when there is no other. Its legs in order of preference; returns how many. */
size_t choice_legs(const struct table_node *node, const struct routing_wish *wish,
		   const struct table_leg *ret_legs[TABLE_LEGS_MAX]);

/* Could any node that discovery knows fit the wish, if it were alive and idle? */
bool choice_is_possible(const struct table *table, const struct routing_wish *wish);

/* Can a session that is there already stay at this node? */
bool choice_keeps(const struct table_node *node, const struct routing_wish *wish);

/* Fills the estimates of a route to this node: latency, bandwidth, cost. */
void choice_estimate(const struct table *table, const struct table_node *node,
		     const struct routing_wish *wish, struct session_record *ret);

/* Round trip in ms, client to relay to node, as far as it is measured; 0: nothing is. */
double choice_latency_ms(const struct table_leg *leg, const struct routing_wish *wish);

/* Mbit/s that the node has left by its own word, 0: it did not say. */
double choice_bandwidth_mbits(const struct table_node *node);

/* 0 is best: milliseconds of latency, and as much for a full node and for a full relay as 100 ms
 * each. */
double choice_cost(const struct table_node *node, const struct table_leg *leg,
		   const struct routing_wish *wish);

/* What came of asking a node. */
void choice_note_failure(struct table_node *node, int64_t now_ms);
void choice_note_full(struct table_node *node, int64_t now_ms);
void choice_note_success(struct table_node *node);
double choice_failures(const struct table_node *node, int64_t now_ms);
