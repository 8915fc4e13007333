/*
 * routing_table: the nodes, the relays, and which relay holds which node's leg: all that a choice
 * needs, in memory. The model: no I/O, no clock. It is told what discovery and the relays say, and
 * keeps it when they fall silent. One thread.
 *
 * A node that can be chosen (alive, attached to a live relay, not full) stands in up to four pools:
 * of all, of its country, of its region, of both, so that the cost of a choice does not grow with
 * the fleet. Its weight there is the number of sessions that it says it can bear, within bounds; a
 * new node's is small (T02).
 */
#pragma once

#include "discovery.pb-c.h"
#include "idtable/idtable.h"
#include "routing/routing_pool.h"
#include "routing/routing_wish.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	TABLE_LEGS_MAX = 4, /* of one node */
	TABLE_RELAYS_MAX = 256,
	TABLE_COUNTRIES = 26 * 26,
	TABLE_ENDPOINT_BYTES = 129,
	TABLE_GROUP_BYTES = 16,
	TABLE_PLACE_BYTES = ROUTING_COUNTRY_BYTES + ROUTING_REGION_BYTES,
	TABLE_LOAD_MS = 90 * 1000,
	TABLE_NEW_MS = 24 * 60 * 60 * 1000, /* a node that is known for less gets a small share */
	TABLE_NEW_DIVISOR = 8,
	TABLE_NEW_WEIGHT_MAX = 16,
	TABLE_CAPACITY_DEFAULT = 16, /* sessions that a node bears that did not say */
	TABLE_LINE_BYTES = 64,	     /* of the processor's cache */
};

/* PLACE is a region within a country: two countries may have a region of the same name. */
enum table_pool {
	TABLE_POOL_ALL,
	TABLE_POOL_COUNTRY,
	TABLE_POOL_REGION,
	TABLE_POOL_PLACE,
	TABLE_POOLS
};

struct table_relay {
	char id[ROUTING_RELAY_ID_BYTES];
	char relay_endpoint[TABLE_ENDPOINT_BYTES]; /* wss://host[:port] */
	char udp_endpoint[TABLE_ENDPOINT_BYTES];   /* "" when there is none */
	char group[TABLE_GROUP_BYTES];
	double load;	 /* 0 to 1; a hint, which ages (T23) */
	int64_t load_ms; /* when it was told last */
	bool draining;
	bool alive; /* its bus answers */
	/* The shortest round trip to a node here, not above the truth; of a listing that runs. */
	double rtt_min_ms, listing_rtt_min_ms;
	size_t index;	  /* in the table */
	uint64_t told;	  /* as of a leg: when it may have started anew last */
	uint32_t listing; /* the number of the latest ListLegs */
};

struct table_leg {
	struct table_relay *relay;
	uint64_t generation;
	double rtt_ms; /* 0: not measured yet */
	uint32_t listing;
	uint64_t told; /* grows with each leg that is told of: the highest is the newest */
};

/* What a choice looks at comes first, within two lines of the processor's cache. */
struct table_node {
	bool known; /* to discovery; else only a leg or a session told of it */
	bool online;
	bool pooled;
	uint8_t leg_count;
	struct pool_place place;
	uint32_t max_connections;    /* 0: it did not say */
	uint32_t active_connections; /* as its heartbeat said */
	uint32_t sessions;	     /* that we know of */
	/* Failures to open a session; they fade, see routing_choice. */
	float failures;
	float deaf; /* sessions that it took and left without an answer; they fade, too */
	int64_t failures_at_ms, deaf_at_ms;
	int64_t full_until_ms;
	double bandwidth_mbits; /* the lower of its two directions, 0: it did not say */
	double bandwidth_used_mbits;
	struct table_leg legs[TABLE_LEGS_MAX];

	uint8_t id[UUID_BYTES];
	struct idtable_link by_id;
	char public_key[KEY_TEXT_BYTES];
	char country[ROUTING_COUNTRY_BYTES];
	char region[ROUTING_REGION_BYTES];
	int64_t registered_wall_ms; /* 0: not said */
	uint64_t version;
	uint32_t snapshot;		 /* the number of the latest snapshot that had it */
	struct pool *pools[TABLE_POOLS]; /* while it is known; NULL: none of this kind */
	size_t positions[TABLE_POOLS];	 /* while it is pooled */
	struct table_node *free_next;	 /* while it is none */
} __attribute__((aligned(128)));	 /* a pair of lines, which processors fetch together */

/* A region, or a place: by its padded name. */
struct table_region {
	char name[TABLE_PLACE_BYTES];
	struct idtable_link by_name;
	struct pool pool;
};

struct table {
	struct idtable nodes;
	struct table_relay *relays[TABLE_RELAYS_MAX];
	size_t relay_count;
	struct pool all;
	struct pool countries[TABLE_COUNTRIES];
	struct idtable regions;
	struct table_piece *pieces; /* the nodes' memory */
	struct table_node *free_nodes;
	int64_t wall_ms; /* tells new nodes from old; set by whoever has a clock */
	size_t known;
	uint32_t snapshot;
	uint64_t told;
};

int table_init(struct table *table);
void table_fini(struct table *table);

struct table_node *table_find(const struct table *table, const uint8_t id[UUID_BYTES]);

/* The pool a wish draws from: of its place, its region, its country, or all. NULL when no node is
 * known there. */
struct pool *table_pool_of(struct table *table, const struct routing_wish *wish);

/* All known nodes, a piece of memory at a time; NULL starts, NULL ends. Nodes may come and go
 * between two pieces: those that stay are met once. */
const struct table_piece *table_piece_next(const struct table *table,
					   const struct table_piece *previous);
void table_piece_each(const struct table_piece *piece,
		      void (*fn)(const struct table_node *node, void *arg), void *arg);

/* Known, alive, and attached to a live relay: a session that is there can be used. */
bool table_node_is_attached(const struct table_node *node);

/* The sessions that a node can bear, and those that it has. */
uint32_t table_node_capacity(const struct table_node *node);
uint32_t table_node_used(const struct table_node *node);

/* ---- what discovery says ---- */

/* A node as a NodeChanged or a Snapshot has it. Older versions are passed over. 0, -EINVAL for one
 * without a good id, -ENOMEM. */
int table_node_put(struct table *table, const Boson__Discovery__Node *message, bool from_snapshot);
void table_node_remove(struct table *table, const uint8_t id[UUID_BYTES]);

/* Nodes that no page between the two had are removed. */
void table_snapshot_begin(struct table *table);
void table_snapshot_end(struct table *table);

/* ---- what relays say ---- */

/* Adds or updates. 0, -EINVAL, -ENOSPC, -ENOMEM. */
int table_relay_put(struct table *table, const Boson__Common__Relay *message,
		    struct table_relay **ret);
struct table_relay *table_relay_find(const struct table *table, const char *id);
/* 0 to 1: told by the relay; anything else is passed over. */
void table_relay_set_load(struct table_relay *relay, double load, int64_t now_ms);
/* What nobody has told for TABLE_LOAD_MS is not known any more. */
void table_relay_age(struct table_relay *relay, int64_t now_ms);
void table_relay_set_alive(struct table *table, struct table_relay *relay, bool alive);

/* It may have started anew: what it was told it may not know any more. */
void table_relay_note_gap(struct table *table, struct table_relay *relay);

/* With all of its legs. */
void table_relay_remove(struct table *table, struct table_relay *relay);

/* A later generation replaces an earlier one; an earlier one is passed over. 0 or -ENOMEM. */
int table_leg_attach(struct table *table, struct table_relay *relay, const uint8_t id[UUID_BYTES],
		     uint64_t generation, double rtt_ms);

/* Passed over when a later generation is attached (P17). */
void table_leg_detach(struct table *table, const struct table_relay *relay,
		      const uint8_t id[UUID_BYTES], uint64_t generation);

/* The leg through which this node is reached: the newest at a live relay, one that drains only when
 * there is no other. NULL when there is none, or no node. */
const struct table_leg *table_home_leg(const struct table_node *node);

/* Legs of this relay that nobody told of between the two are removed. */
void table_listing_begin(struct table_relay *relay);
void table_listing_end(struct table *table, struct table_relay *relay);

/* ---- what we do ourselves ---- */

/* Counts the sessions at a node, known or not. by: 1 or -1. 0 or -ENOMEM. */
int table_sessions_add(struct table *table, const uint8_t id[UUID_BYTES], int by);
