/*
 * routing_table: the nodes, the relays, and which relay holds which node's leg: all that a choice
 * needs, in memory. The model: no I/O, no clock. It is told what discovery and the relays say, and
 * keeps it when they fall silent. One thread.
 *
 * A node that can be chosen (alive, attached to a live relay) stands in three pools: of all, of its
 * country, of its region, so that the cost of a choice does not grow with the fleet.
 */
#pragma once

#include "discovery.pb-c.h"
#include "idtable/idtable.h"
#include "routing/routing_wish.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	TABLE_LEGS_MAX = 4, /* of one node */
	TABLE_RELAYS_MAX = 256,
	TABLE_COUNTRIES = 26 * 26,
	TABLE_ENDPOINT_BYTES = 129,
	TABLE_GROUP_BYTES = 16,
};

enum table_pool { TABLE_POOL_ALL, TABLE_POOL_COUNTRY, TABLE_POOL_REGION, TABLE_POOLS };

struct table_pool_list {
	struct table_node **nodes;
	size_t count, capacity;
};

struct table_relay {
	char id[ROUTING_RELAY_ID_BYTES];
	char relay_endpoint[TABLE_ENDPOINT_BYTES]; /* wss://host[:port] */
	char udp_endpoint[TABLE_ENDPOINT_BYTES];   /* "" when there is none */
	char group[TABLE_GROUP_BYTES];
	double load; /* 0 to 1 */
	bool draining;
	bool alive;	  /* its bus answers */
	uint32_t listing; /* the number of the latest ListLegs */
};

struct table_leg {
	struct table_relay *relay;
	uint64_t generation;
	double rtt_ms; /* 0: not measured yet */
	uint32_t listing;
	uint64_t told; /* grows with each leg that is told of: the highest is the newest */
};

struct table_node {
	uint8_t id[UUID_BYTES];
	struct idtable_link by_id;
	bool known; /* to discovery; else only a leg or a session told of it */
	bool online;
	char public_key[KEY_TEXT_BYTES];
	char country[ROUTING_COUNTRY_BYTES];
	char region[ROUTING_REGION_BYTES];
	uint32_t max_connections;    /* 0: it did not say */
	uint32_t active_connections; /* as its heartbeat said */
	double bandwidth_mbits;	     /* the lower of its two directions, 0: it did not say */
	double bandwidth_used_mbits;
	uint64_t version;
	uint32_t snapshot; /* the number of the latest snapshot that had it */

	struct table_leg legs[TABLE_LEGS_MAX];
	size_t leg_count;
	uint32_t sessions; /* that we know of */

	/* Failures to open a session; they fade, see routing_choice. */
	double failures;
	int64_t failures_at_ms;
	int64_t full_until_ms;

	size_t pool_position[TABLE_POOLS];
	bool pooled;
};

struct table_region {
	char name[ROUTING_REGION_BYTES];
	struct idtable_link by_name;
	struct table_pool_list pool;
};

struct table {
	struct idtable nodes;
	struct table_relay *relays[TABLE_RELAYS_MAX];
	size_t relay_count;
	struct table_pool_list all;
	struct table_pool_list countries[TABLE_COUNTRIES];
	struct idtable regions;
	size_t known;
	uint32_t snapshot;
	uint64_t told;
};

int table_init(struct table *table);
void table_fini(struct table *table);

struct table_node *table_find(const struct table *table, const uint8_t id[UUID_BYTES]);

/* The pool a wish draws from: its region's, else its country's, else all. NULL when it is empty. */
const struct table_pool_list *table_pool_of(const struct table *table,
					    const struct routing_wish *wish);

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
void table_relay_set_alive(struct table *table, struct table_relay *relay, bool alive);

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
