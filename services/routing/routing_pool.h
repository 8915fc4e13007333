/*
 * routing_pool: the nodes of one place (all, a country, a region) that can take a session, drawn at
 * random by weight. They stand in buckets by bandwidth and by weight, each a power of two wide, so
 * that a draw among those with enough bandwidth costs the same for a thousand nodes and for a
 * million. Also counts the nodes that are known but cannot take one now. The model: no I/O, no
 * clock; randomness is an argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_node;

enum {
	POOL_BANDWIDTHS = 12, /* none said, then from 1 Mbit/s, 2, 4 ... 1024 and more */
	POOL_WEIGHTS = 13,    /* 1, 2, 4 ... 4096 */
	POOL_WEIGHT_MAX = 4096,
	POOL_HAND = 4, /* drawn at a time */
};

struct pool_entry {
	struct table_node *node;
	uint32_t weight;
};

struct pool_bucket {
	struct pool_entry *entries;
	size_t count, capacity;
	double max_mbits;    /* no node here has more */
	uint32_t max_weight; /* nor weighs more */
};

struct pool_row {
	struct pool_bucket buckets[POOL_WEIGHTS];
	uint64_t weights[POOL_WEIGHTS]; /* of all in the bucket */
};

/* A place in a bucket, drawn at random; what stands there may be another node by the time it is
 * looked at, or nothing. */
struct pool_drawn {
	const struct pool_bucket *bucket;
	size_t position;
};

struct pool_hand {
	struct pool_drawn places[POOL_HAND];
};

/* The next two hands, drawn before they are needed: the places of the later one are on their way
 * from memory, and so are the nodes of the earlier one. */
struct pool_ahead {
	struct pool_hand next, later;
	double min_mbits; /* that they were drawn for */
	bool is_drawn;
};

struct pool {
	struct pool_row *rows[POOL_BANDWIDTHS]; /* NULL until one is needed */
	size_t count;
	size_t known, known_of[POOL_BANDWIDTHS];
	double known_max_mbits[POOL_BANDWIDTHS];
	struct pool_ahead ahead;
};

/* Where a node stands; the same bucket in each of its pools. */
struct pool_place {
	uint8_t bandwidth, weight_class;
	uint32_t weight;
};

/* weight: 1 to POOL_WEIGHT_MAX. */
struct pool_place pool_place_of(double mbits, uint32_t weight);

void pool_fini(struct pool *pool);

/* Counts a node that is known, and takes it out of the count. */
void pool_know(struct pool *pool, double mbits);
void pool_forget(struct pool *pool, double mbits);

/* Adds a node: 0 and where it stands, or -ENOMEM. */
int pool_add(struct pool *pool, struct table_node *node, const struct pool_place *place,
	     double mbits, size_t *ret_position);

/* Removes it. Another node takes its position: returned, or NULL. */
struct table_node *pool_remove(struct pool *pool, const struct pool_place *place, size_t position);

/* Is any node known with so much bandwidth, able to take a session or not? */
bool pool_knows(const struct pool *pool, double min_mbits);

/* ---- to draw ---- */

struct pool_open {
	const struct pool_bucket *bucket;
	uint64_t weight; /* of this one and all before it */
};

/* The part of a pool that may have enough bandwidth. */
struct pool_draw {
	const struct pool *pool;
	size_t first_row;
	double min_mbits;
	uint64_t weight;
	size_t count;
	struct pool_open open[POOL_BANDWIDTHS * POOL_WEIGHTS];
};

void pool_draw_init(struct pool_draw *draw, const struct pool *pool, double min_mbits);

/* A place at random, by weight as far as its bucket goes, and on its way from memory; the draw's
 * weight must not be 0. */
struct pool_drawn pool_draw(const struct pool_draw *draw, uint64_t random);

/* Who stands there, if it counts: then its weight is right within its bucket, too. Else NULL. */
struct table_node *pool_drawn_node(const struct pool_drawn *drawn, uint64_t random);

/* Calls fn for at most limit nodes, from a random place on, until it returns true. Returns whether
 * it did. */
typedef bool (*pool_look_fn)(struct table_node *node, void *arg);
bool pool_look(const struct pool_draw *draw, uint64_t random, size_t limit, pool_look_fn fn,
	       void *arg);
