/* discovery_registry: two hash tables, an array in order of registration, a queue of leases. */
#include "discovery/discovery_registry.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Places in registry_vitals.values, and the bits behind them. */
enum {
	REGISTRY_LATENCY,
	REGISTRY_JITTER,
	REGISTRY_LOSS,
	REGISTRY_CPU,
	REGISTRY_MEMORY,
	REGISTRY_UP,
	REGISTRY_DOWN,
	HAS_CONNECTIONS = 1 << REGISTRY_VITALS,
	HAS_BANDWIDTH = 1 << (REGISTRY_VITALS + 1),
};

/* Vitals that moved less are not told on. */
#define VITALS_MOVED	      0.2
#define LATENCY_MOVED_MS      5.0
#define BANDWIDTH_MOVED_MBITS 1.0

int
registry_init(struct registry *registry, int64_t lease_ms, uint64_t first_version)
{
	int error;

	memset(registry, 0, sizeof(*registry));
	registry->lease_ms = lease_ms;
	registry->version = first_version;
	error = idtable_init(&registry->by_id, offsetof(struct registry_node, by_id),
			     offsetof(struct registry_node, id), UUID_BYTES);
	if (error == 0)
		error = idtable_init(&registry->by_key, offsetof(struct registry_node, by_key),
				     offsetof(struct registry_node, public_key), KEY_BYTES);
	if (error != 0)
		registry_fini(registry);
	return error;
}

void
registry_fini(struct registry *registry)
{
	for (size_t i = 0; i < registry->count; i++) {
		free(registry->nodes[i]->facts);
		free(registry->nodes[i]);
	}
	free(registry->nodes);
	idtable_fini(&registry->by_id);
	idtable_fini(&registry->by_key);
	memset(registry, 0, sizeof(*registry));
}

struct registry_node *
registry_find(const struct registry *registry, const uint8_t id[UUID_BYTES])
{
	return idtable_find(&registry->by_id, id);
}

struct registry_node *
registry_find_key(const struct registry *registry, const struct key *key)
{
	return idtable_find(&registry->by_key, key->bytes);
}

enum registry_binding
registry_binding(const struct registry *registry, const uint8_t id[UUID_BYTES],
		 const struct key *key)
{
	const struct registry_node *node = registry_find(registry, id);
	const struct registry_node *holder = registry_find_key(registry, key);

	if (node == NULL)
		return holder == NULL ? REGISTRY_FREE : REGISTRY_KEY_TAKEN;
	if (node != holder)
		return REGISTRY_ID_TAKEN;
	return node->deleted ? REGISTRY_BOUND_DELETED : REGISTRY_BOUND;
}

uint64_t
registry_stamp(struct registry *registry, int64_t now_wall_ms)
{
	uint64_t floor = (uint64_t)now_wall_ms * 1000;

	registry->version = floor > registry->version ? floor : registry->version + 1;
	return registry->version;
}

void
registry_witness(struct registry *registry, uint64_t version)
{
	if (version > registry->version)
		registry->version = version;
}

static void
changed(struct registry *registry, struct registry_node *node)
{
	node->version = ++registry->version;
}

static int
reserve(struct registry *registry)
{
	size_t capacity = registry->capacity == 0 ? 64 : registry->capacity * 2;
	struct registry_node **nodes;

	if (registry->count < registry->capacity)
		return 0;
	nodes = reallocarray(registry->nodes, capacity, sizeof(struct registry_node *));
	if (nodes == NULL)
		return -ENOMEM;
	registry->nodes = nodes;
	registry->capacity = capacity;
	return 0;
}

static int
add(struct registry *registry, const uint8_t id[UUID_BYTES], const struct key *key,
    int64_t registered_wall_ms, struct registry_node **ret)
{
	struct registry_node *node;

	if (reserve(registry) != 0)
		return -ENOMEM;
	node = calloc(1, sizeof(*node));
	if (node == NULL)
		return -ENOMEM;
	memcpy(node->id, id, UUID_BYTES);
	node->public_key = *key;
	node->registered_wall_ms = registered_wall_ms;
	node->last_seen_wall_ms = registered_wall_ms;
	node->ticket_issued_ms = REGISTRY_NEVER;
	node->token_issued_ms = REGISTRY_NEVER;
	node->position = registry->count;
	/* registry_put found both free, so neither can fail. */
	(void)idtable_add(&registry->by_id, node);
	(void)idtable_add(&registry->by_key, node);
	registry->nodes[registry->count++] = node;
	*ret = node;
	return 0;
}

static struct registry_facts *
pack_facts(const Boson__Discovery__Node *message)
{
	size_t n = boson__discovery__node__get_packed_size(message);
	struct registry_facts *facts = malloc(sizeof(*facts) + n);

	if (facts != NULL)
		facts->n = (uint32_t)boson__discovery__node__pack(message, facts->bytes);
	return facts;
}

/* Takes the facts, and keeps aside what is asked for often. */
static void
take_facts(struct registry_node *node, struct registry_facts *facts,
	   const Boson__Discovery__Node *message)
{
	free(node->facts);
	node->facts = facts;
	node->heartbeat_interval_sec =
		message->has_heartbeat_interval ? (uint16_t)message->heartbeat_interval : 0;
	memset(node->country, 0, sizeof(node->country));
	if (message->location != NULL && message->location->country != NULL)
		strncpy(node->country, message->location->country, sizeof(node->country) - 1);
}

/* Of this id and key: the one that is there, or a new one. */
static int
find_or_add(struct registry *registry, const uint8_t id[UUID_BYTES], const struct key *key,
	    int64_t registered_wall_ms, struct registry_node **ret)
{
	switch (registry_binding(registry, id, key)) {
	case REGISTRY_FREE:
		return add(registry, id, key, registered_wall_ms, ret);
	case REGISTRY_BOUND:
	case REGISTRY_BOUND_DELETED:
		*ret = registry_find(registry, id);
		return 0;
	case REGISTRY_ID_TAKEN:
	case REGISTRY_KEY_TAKEN:
		break;
	}
	return -EEXIST;
}

int
registry_put(struct registry *registry, const uint8_t id[UUID_BYTES], const struct key *key,
	     Boson__Discovery__Node *facts, int64_t registered_wall_ms, struct registry_node **ret)
{
	/* First, so that no node without facts is left behind. */
	struct registry_facts *packed = pack_facts(facts);
	struct registry_node *node = NULL;
	int error = packed == NULL ? -ENOMEM
				   : find_or_add(registry, id, key, registered_wall_ms, &node);

	if (error == 0)
		take_facts(node, packed, facts);
	else
		free(packed);
	boson__discovery__node__free_unpacked(facts, NULL);
	if (error != 0)
		return error;
	if (node->deleted)
		node->registered_wall_ms = registered_wall_ms;
	node->deleted = false;
	changed(registry, node);
	*ret = node;
	return 0;
}

int
registry_rekey(struct registry *registry, struct registry_node *node, const struct key *key)
{
	const struct registry_node *holder = registry_find_key(registry, key);

	if (holder != NULL)
		return holder == node ? 0 : -EEXIST;
	idtable_remove(&registry->by_key, node);
	node->public_key = *key;
	(void)idtable_add(&registry->by_key, node); /* nobody has it, as we saw */
	changed(registry, node);
	return 0;
}

static void
end_lease(struct registry *registry, struct registry_node *node)
{
	if (!node->has_lease)
		return;
	if (node->lease_previous != NULL)
		node->lease_previous->lease_next = node->lease_next;
	else
		registry->lease_first = node->lease_next;
	if (node->lease_next != NULL)
		node->lease_next->lease_previous = node->lease_previous;
	else
		registry->lease_last = node->lease_previous;
	node->lease_previous = NULL;
	node->lease_next = NULL;
	node->has_lease = false;
	registry->online--;
}

static void
renew_lease(struct registry *registry, struct registry_node *node, int64_t now_ms)
{
	end_lease(registry, node);
	node->lease_end_ms = now_ms + registry->lease_ms;
	node->lease_previous = registry->lease_last;
	if (registry->lease_last != NULL)
		registry->lease_last->lease_next = node;
	else
		registry->lease_first = node;
	registry->lease_last = node;
	node->has_lease = true;
	registry->online++;
}

static bool
has_moved(double before, double after, double at_least)
{
	return fabs(after - before) > at_least && fabs(after - before) > VITALS_MOVED * before;
}

static bool
is_news(const struct registry_node *node, const struct registry_vitals *vitals)
{
	const double *before = node->vitals.values, *after = vitals->values;

	return !node->vitals.is_known ||
	       node->vitals.active_connections != vitals->active_connections ||
	       has_moved(before[REGISTRY_LATENCY], after[REGISTRY_LATENCY], LATENCY_MOVED_MS) ||
	       has_moved(before[REGISTRY_UP], after[REGISTRY_UP], BANDWIDTH_MOVED_MBITS) ||
	       has_moved(before[REGISTRY_DOWN], after[REGISTRY_DOWN], BANDWIDTH_MOVED_MBITS);
}

bool
registry_hear(struct registry *registry, struct registry_node *node, enum registry_status claimed,
	      const Boson__Discovery__NodeMetrics *vitals, int64_t now_ms, int64_t now_wall_ms)
{
	bool differs = node->status != claimed;
	struct registry_vitals heard;

	if (vitals != NULL) {
		registry_vitals_take(&heard, vitals);
		if (is_news(node, &heard)) {
			node->unsaved_vitals = true;
			differs = true;
		}
		node->vitals = heard;
	}
	node->last_seen_wall_ms = now_wall_ms;
	node->status = claimed;
	if (claimed == REGISTRY_OFFLINE)
		end_lease(registry, node);
	else
		renew_lease(registry, node, now_ms);
	registry_put_unsaved(registry, node);
	if (differs)
		node->version = registry_stamp(registry, now_wall_ms);
	return differs;
}

bool
registry_hear_from(struct registry *registry, struct registry_node *node,
		   enum registry_status status, const struct registry_vitals *vitals,
		   uint64_t version, int64_t now_ms, int64_t heard_wall_ms)
{
	bool is_newer = version >= node->version && !node->unsaved;
	bool differs = is_newer && node->status != status;

	registry_witness(registry, version);
	if (node->deleted)
		return false;
	if (heard_wall_ms > node->last_seen_wall_ms)
		node->last_seen_wall_ms = heard_wall_ms;
	if (is_newer) {
		if (vitals->is_known)
			node->vitals = *vitals;
		node->status = status;
		node->version = version;
	}
	if (node->status == REGISTRY_OFFLINE)
		end_lease(registry, node);
	else
		renew_lease(registry, node, now_ms);
	return differs;
}

void
registry_delete(struct registry *registry, struct registry_node *node)
{
	end_lease(registry, node);
	node->status = REGISTRY_OFFLINE;
	node->deleted = true;
	node->vitals.is_known = false;
	free(node->facts);
	node->facts = NULL;
	changed(registry, node);
}

size_t
registry_due(const struct registry *registry, int64_t now_ms, struct registry_node **ret_nodes,
	     size_t max)
{
	struct registry_node *node = registry->lease_first;
	size_t n = 0;

	for (; node != NULL && node->lease_end_ms <= now_ms && n < max; node = node->lease_next)
		ret_nodes[n++] = node;
	return n;
}

bool
registry_end(struct registry *registry, struct registry_node *node, uint64_t version)
{
	bool differs = node->status != REGISTRY_OFFLINE;

	end_lease(registry, node);
	node->status = REGISTRY_OFFLINE;
	registry_witness(registry, version);
	if (differs)
		node->version = version;
	return differs;
}

void
registry_forgive(struct registry *registry, int64_t now_ms)
{
	for (struct registry_node *node = registry->lease_first; node != NULL;
	     node = node->lease_next)
		node->lease_end_ms = now_ms + registry->lease_ms;
}

struct registry_node *
registry_take_unsaved(struct registry *registry)
{
	struct registry_node *node = registry->unsaved_first;

	if (node == NULL)
		return NULL;
	registry->unsaved_first = node->unsaved_next;
	node->unsaved_next = NULL;
	node->unsaved = false;
	return node;
}

void
registry_put_unsaved(struct registry *registry, struct registry_node *node)
{
	if (node->unsaved)
		return;
	node->unsaved = true;
	node->unsaved_next = registry->unsaved_first;
	registry->unsaved_first = node;
}

static void
take(struct registry_vitals *vitals, int i, protobuf_c_boolean has, double value)
{
	vitals->values[i] = has ? value : 0;
	if (has)
		vitals->has = (uint16_t)(vitals->has | 1 << i);
}

void
registry_vitals_take(struct registry_vitals *vitals, const Boson__Discovery__NodeMetrics *message)
{
	const Boson__Common__Bandwidth *bandwidth = message->bandwidth;

	*vitals = (struct registry_vitals){ .is_known = true };
	take(vitals, REGISTRY_LATENCY, message->has_latency, message->latency);
	take(vitals, REGISTRY_JITTER, message->has_jitter, message->jitter);
	take(vitals, REGISTRY_LOSS, message->has_packet_loss, message->packet_loss);
	take(vitals, REGISTRY_CPU, message->has_cpu_usage, message->cpu_usage);
	take(vitals, REGISTRY_MEMORY, message->has_memory_usage, message->memory_usage);
	if (bandwidth != NULL) {
		vitals->has |= HAS_BANDWIDTH;
		take(vitals, REGISTRY_UP, bandwidth->has_up, bandwidth->up);
		take(vitals, REGISTRY_DOWN, bandwidth->has_down, bandwidth->down);
	}
	if (message->has_active_connections) {
		vitals->has |= HAS_CONNECTIONS;
		vitals->active_connections = message->active_connections;
	}
}

static protobuf_c_boolean
fill(const struct registry_vitals *vitals, int i, double *ret_value)
{
	*ret_value = vitals->values[i];
	return (vitals->has & 1 << i) != 0;
}

void
registry_vitals_fill(const struct registry_vitals *vitals, Boson__Discovery__NodeMetrics *message,
		     Boson__Common__Bandwidth *bandwidth)
{
	boson__discovery__node_metrics__init(message);
	boson__common__bandwidth__init(bandwidth);
	message->has_latency = fill(vitals, REGISTRY_LATENCY, &message->latency);
	message->has_jitter = fill(vitals, REGISTRY_JITTER, &message->jitter);
	message->has_packet_loss = fill(vitals, REGISTRY_LOSS, &message->packet_loss);
	message->has_cpu_usage = fill(vitals, REGISTRY_CPU, &message->cpu_usage);
	message->has_memory_usage = fill(vitals, REGISTRY_MEMORY, &message->memory_usage);
	bandwidth->has_up = fill(vitals, REGISTRY_UP, &bandwidth->up);
	bandwidth->has_down = fill(vitals, REGISTRY_DOWN, &bandwidth->down);
	if ((vitals->has & HAS_BANDWIDTH) != 0)
		message->bandwidth = bandwidth;
	message->has_active_connections = (vitals->has & HAS_CONNECTIONS) != 0;
	message->active_connections = vitals->active_connections;
}

const char *
registry_status_name(enum registry_status status)
{
	switch (status) {
	case REGISTRY_ONLINE:
		return "online";
	case REGISTRY_DEGRADED:
		return "degraded";
	case REGISTRY_OFFLINE:
		break;
	}
	return "offline";
}
