/*
 * discovery_registry: the nodes: identity, facts, liveness. The model: no I/O, no clock. It is told
 * what was committed and what was heard, and holds all of it in memory; discovery_store holds the
 * durable part.
 *
 * A node's id is bound to its first key for good: entries never go away, a deleted node stays as a
 * binding that shows nothing. All leases are equally long, so that they form a queue: a heartbeat
 * moves a node to its end, and the head is always the next to expire. One thread.
 */
#pragma once

#include "discovery.pb-c.h"
#include "discovery/discovery_vitals.h"
#include "identity/key.h"
#include "idtable/idtable.h"

#include <stdbool.h>
#include <stdint.h>

enum registry_status { REGISTRY_OFFLINE = 0, REGISTRY_ONLINE = 1, REGISTRY_DEGRADED = 2 };

#define REGISTRY_NEVER INT64_MIN

/* What was registered, packed: a boson.discovery.Node of network info, capabilities, location and
 * interval. A fleet is a million of these. */
struct registry_facts {
	uint32_t n;
	uint8_t bytes[];
};

struct registry_node {
	uint8_t id[UUID_BYTES];
	struct key public_key;
	struct idtable_link by_id, by_key;
	size_t position; /* in order of registration; never changes */
	bool deleted;
	uint64_t version; /* of what others are told */
	int64_t change;	  /* of its row, as far as we know it */

	struct registry_facts *facts; /* as last registered; NULL when deleted */
	char country[3];	      /* of the facts, as the next */
	uint16_t heartbeat_interval_sec;

	enum registry_status status;
	struct discovery_vitals vitals;
	int64_t registered_wall_ms, last_seen_wall_ms;
	int64_t lease_end_ms; /* monotonic; while it has a lease */
	struct registry_node *lease_previous, *lease_next;
	bool has_lease;

	uint64_t sequence; /* of the last heartbeat that had one; 0: none since it registered */

	/* When the last relay ticket and REST token were handed out (monotonic), or REGISTRY_NEVER.
	 */
	int64_t ticket_issued_ms, token_issued_ms;

	/* REST tokens that were minted before are void (epoch ms); 0: none are. */
	int64_t tokens_since_ms;

	/* Liveness that the store does not know yet, and whether the vitals are news to it. */
	bool unsaved, unsaved_vitals;
	struct registry_node *unsaved_next;
};

struct registry {
	struct idtable by_id, by_key;
	struct registry_node **nodes; /* by position */
	size_t count, capacity;
	size_t online; /* with a lease */
	struct registry_node *lease_first, *lease_last;
	struct registry_node *unsaved_first;
	int64_t lease_ms;
	uint64_t version; /* of the latest change of any node */
};

/* first_version must be higher than any that an earlier run gave out (wall-clock microseconds do).
 */
int registry_init(struct registry *registry, int64_t lease_ms, uint64_t first_version);
void registry_fini(struct registry *registry);

struct registry_node *registry_find(const struct registry *registry, const uint8_t id[UUID_BYTES]);
struct registry_node *registry_find_key(const struct registry *registry, const struct key *key);

/* What a registration may do with this id and this key. */
enum registry_binding {
	REGISTRY_FREE,		/* both are new */
	REGISTRY_BOUND,		/* to each other, and not deleted */
	REGISTRY_BOUND_DELETED, /* to each other */
	REGISTRY_ID_TAKEN,	/* the id has another key */
	REGISTRY_KEY_TAKEN,	/* the key has another id */
};
enum registry_binding registry_binding(const struct registry *registry,
				       const uint8_t id[UUID_BYTES], const struct key *key);

/* A version that is higher than all we know of and no lower than the time: replicas whose clocks
 * agree give out versions in the order of what happened. */
uint64_t registry_stamp(struct registry *registry, int64_t now_wall_ms);

/* Another replica gave this one out. */
void registry_witness(struct registry *registry, uint64_t version);

/* A committed registration, or a row read at start or from another replica. Takes facts, also on
 * failure. A new node has no lease until registry_hear. -ENOMEM; -EEXIST when the binding forbids
 * it. */
int registry_put(struct registry *registry, const uint8_t id[UUID_BYTES], const struct key *key,
		 Boson__Discovery__Node *facts, int64_t registered_wall_ms,
		 struct registry_node **ret);

/* A committed change of key. -EEXIST when another node has it. */
int registry_rekey(struct registry *registry, struct registry_node *node, const struct key *key);

/* A sign of life: a new lease and, unless NULL, new vitals (copied). claimed can only lower: a node
 * that calls itself offline is offline. True when others should hear of it: its status changed, or
 * its vitals moved enough to matter to whoever picks among nodes. */
bool registry_hear(struct registry *registry, struct registry_node *node,
		   enum registry_status claimed, const Boson__Discovery__NodeMetrics *vitals,
		   int64_t now_ms, int64_t now_wall_ms);

/* The same as another replica heard it, under its version: a new lease, and what is newer than what
 * we know. True when others should hear of it, which is when the status changed: the rest they have
 * from that replica. */
bool registry_hear_from(struct registry *registry, struct registry_node *node,
			enum registry_status status, const struct discovery_vitals *vitals,
			uint64_t version, int64_t now_ms, int64_t heard_wall_ms);

/* A committed deletion: what was known of the node is forgotten, but for the binding. */
void registry_delete(struct registry *registry, struct registry_node *node);

/* Those whose lease has run out, the first to do so first; they stay as they are. Returns how many,
 * at most max. */
size_t registry_due(const struct registry *registry, int64_t now_ms,
		    struct registry_node **ret_nodes, size_t max);

/* It has none from now on, whether it had one or not. */
void registry_end_lease(struct registry *registry, struct registry_node *node);

/* Marks a node offline. False when it was. */
bool registry_end(struct registry *registry, struct registry_node *node, uint64_t version);

/* Nobody heard anything for a while, and that was not the nodes' fault: a new lease for all who
 * have one. */
void registry_forgive(struct registry *registry, int64_t now_ms);

/* The next node whose liveness is to be saved, or NULL; off the list by this call. */
struct registry_node *registry_take_unsaved(struct registry *registry);
void registry_put_unsaved(struct registry *registry, struct registry_node *node);

const char *registry_status_name(enum registry_status status);
