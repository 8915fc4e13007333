/* discovery_registry: two hash tables, an array in order of registration, a queue of leases. */
#include "discovery/discovery_registry.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

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

static void
free_facts(Boson__Discovery__Node *facts)
{
	if (facts != NULL)
		boson__discovery__node__free_unpacked(facts, NULL);
}

void
registry_fini(struct registry *registry)
{
	for (size_t i = 0; i < registry->count; i++) {
		free_facts(registry->nodes[i]->facts);
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

int
registry_put(struct registry *registry, const uint8_t id[UUID_BYTES], const struct key *key,
	     Boson__Discovery__Node *facts, int64_t registered_wall_ms, struct registry_node **ret)
{
	struct registry_node *node = NULL;
	int error = 0;

	switch (registry_binding(registry, id, key)) {
	case REGISTRY_FREE:
		error = add(registry, id, key, registered_wall_ms, &node);
		break;
	case REGISTRY_BOUND:
	case REGISTRY_BOUND_DELETED:
		node = registry_find(registry, id);
		break;
	case REGISTRY_ID_TAKEN:
	case REGISTRY_KEY_TAKEN:
		error = -EEXIST;
		break;
	}
	if (error != 0) {
		free_facts(facts);
		return error;
	}
	free_facts(node->facts);
	node->facts = facts;
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

static void
take_vitals(struct registry_node *node, const Boson__Discovery__NodeMetrics *vitals)
{
	node->vitals = *vitals;
	node->vitals.base.n_unknown_fields = 0;
	node->vitals.base.unknown_fields = NULL;
	if (vitals->bandwidth != NULL) {
		node->vitals_bandwidth = *vitals->bandwidth;
		node->vitals_bandwidth.base.n_unknown_fields = 0;
		node->vitals_bandwidth.base.unknown_fields = NULL;
		node->vitals.bandwidth = &node->vitals_bandwidth;
	}
	node->has_vitals = true;
}

static bool
has_moved(double before, double after, double at_least)
{
	return fabs(after - before) > at_least && fabs(after - before) > VITALS_MOVED * before;
}

static bool
is_news(const struct registry_node *node, const Boson__Discovery__NodeMetrics *vitals)
{
	static const Boson__Common__Bandwidth none = BOSON__COMMON__BANDWIDTH__INIT;
	const Boson__Common__Bandwidth *before = &none, *after = &none;

	if (!node->has_vitals)
		return true;
	if (node->vitals.bandwidth != NULL)
		before = node->vitals.bandwidth;
	if (vitals->bandwidth != NULL)
		after = vitals->bandwidth;
	return node->vitals.active_connections != vitals->active_connections ||
	       has_moved(node->vitals.latency, vitals->latency, LATENCY_MOVED_MS) ||
	       has_moved(before->up, after->up, BANDWIDTH_MOVED_MBITS) ||
	       has_moved(before->down, after->down, BANDWIDTH_MOVED_MBITS);
}

bool
registry_hear(struct registry *registry, struct registry_node *node, enum registry_status claimed,
	      const Boson__Discovery__NodeMetrics *vitals, int64_t now_ms, int64_t now_wall_ms)
{
	bool differs = node->status != claimed || (vitals != NULL && is_news(node, vitals));

	if (vitals != NULL)
		take_vitals(node, vitals);
	node->last_seen_wall_ms = now_wall_ms;
	node->status = claimed;
	if (claimed == REGISTRY_OFFLINE)
		end_lease(registry, node);
	else
		renew_lease(registry, node, now_ms);
	registry_put_unsaved(registry, node);
	if (differs)
		changed(registry, node);
	return differs;
}

void
registry_delete(struct registry *registry, struct registry_node *node)
{
	end_lease(registry, node);
	node->status = REGISTRY_OFFLINE;
	node->deleted = true;
	node->has_vitals = false;
	free_facts(node->facts);
	node->facts = NULL;
	changed(registry, node);
}

struct registry_node *
registry_expire(struct registry *registry, int64_t now_ms)
{
	struct registry_node *node = registry->lease_first;

	if (node == NULL || node->lease_end_ms > now_ms)
		return NULL;
	end_lease(registry, node);
	node->status = REGISTRY_OFFLINE;
	changed(registry, node);
	registry_put_unsaved(registry, node);
	return node;
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
