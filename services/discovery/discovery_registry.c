/* discovery_registry: who is who: two hash tables, and an array in order of registration. */
#include "discovery/discovery_registry.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

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

void
registry_delete(struct registry *registry, struct registry_node *node)
{
	registry_end_lease(registry, node);
	node->status = REGISTRY_OFFLINE;
	node->deleted = true;
	node->vitals.is_known = false;
	free(node->facts);
	node->facts = NULL;
	changed(registry, node);
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
