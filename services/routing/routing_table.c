/* routing_table: nodes and their pools. Relays and legs are in routing_table_legs.c. */
#include "routing/routing_table_inside.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int
table_init(struct table *table)
{
	int error;

	memset(table, 0, sizeof(*table));
	error = idtable_init(&table->nodes, offsetof(struct table_node, by_id),
			     offsetof(struct table_node, id), UUID_BYTES);
	if (error == 0)
		error = idtable_init(&table->regions, offsetof(struct table_region, by_name),
				     offsetof(struct table_region, name), ROUTING_REGION_BYTES);
	if (error != 0)
		table_fini(table);
	return error;
}

static void
free_all(struct idtable *things)
{
	void *thing = NULL;

	if (things->buckets == NULL)
		return;
	while ((thing = idtable_next(things, NULL)) != NULL) {
		idtable_remove(things, thing);
		free(thing);
	}
	idtable_fini(things);
}

void
table_fini(struct table *table)
{
	struct table_region *region = NULL;

	if (table->regions.buckets != NULL)
		while ((region = idtable_next(&table->regions, region)) != NULL)
			free(region->pool.nodes);
	free_all(&table->regions);
	free_all(&table->nodes);
	for (size_t i = 0; i < table->relay_count; i++)
		free(table->relays[i]);
	for (size_t i = 0; i < TABLE_COUNTRIES; i++)
		free(table->countries[i].nodes);
	free(table->all.nodes);
	memset(table, 0, sizeof(*table));
}

struct table_node *
table_find(const struct table *table, const uint8_t id[UUID_BYTES])
{
	return idtable_find(&table->nodes, id);
}

/* ---- pools ---- */

static struct table_pool_list *
country_pool(struct table *table, const char *country)
{
	if (country[0] == '\0')
		return NULL;
	return &table->countries[(country[0] - 'A') * 26 + (country[1] - 'A')];
}

static struct table_region *
region_get(struct table *table, const char name[ROUTING_REGION_BYTES])
{
	struct table_region *region = idtable_find(&table->regions, name);

	if (region != NULL)
		return region;
	region = calloc(1, sizeof(*region));
	if (region == NULL)
		return NULL;
	memcpy(region->name, name, ROUTING_REGION_BYTES);
	(void)idtable_add(&table->regions, region);
	return region;
}

static int
pool_add(struct table_pool_list *pool, struct table_node *node, enum table_pool which)
{
	if (pool == NULL)
		return 0;
	if (pool->count == pool->capacity) {
		size_t capacity = pool->capacity == 0 ? 16 : pool->capacity * 2;
		struct table_node **nodes =
			reallocarray(pool->nodes, capacity, sizeof(struct table_node *));

		if (nodes == NULL)
			return -ENOMEM;
		pool->nodes = nodes;
		pool->capacity = capacity;
	}
	node->pool_position[which] = pool->count;
	pool->nodes[pool->count++] = node;
	return 0;
}

static void
pool_remove(struct table_pool_list *pool, const struct table_node *node, enum table_pool which)
{
	size_t at = node->pool_position[which];

	/* A node whose adding failed for want of memory is not in it. */
	if (pool == NULL || at >= pool->count || pool->nodes[at] != node)
		return;
	pool->nodes[at] = pool->nodes[--pool->count];
	pool->nodes[at]->pool_position[which] = at;
}

static void
unpool(struct table *table, struct table_node *node)
{
	struct table_region *region = idtable_find(&table->regions, node->region);

	if (!node->pooled)
		return;
	pool_remove(&table->all, node, TABLE_POOL_ALL);
	pool_remove(country_pool(table, node->country), node, TABLE_POOL_COUNTRY);
	if (region != NULL) {
		pool_remove(&region->pool, node, TABLE_POOL_REGION);
		if (region->pool.count == 0) {
			idtable_remove(&table->regions, region);
			free(region->pool.nodes);
			free(region);
		}
	}
	node->pooled = false;
}

static int
pool(struct table *table, struct table_node *node)
{
	struct table_region *region = NULL;

	if (node->region[0] != '\0') {
		region = region_get(table, node->region);
		if (region == NULL)
			return -ENOMEM;
	}
	node->pooled = true;
	if (pool_add(&table->all, node, TABLE_POOL_ALL) == 0 &&
	    pool_add(country_pool(table, node->country), node, TABLE_POOL_COUNTRY) == 0 &&
	    pool_add(region == NULL ? NULL : &region->pool, node, TABLE_POOL_REGION) == 0)
		return 0;
	unpool(table, node);
	return -ENOMEM;
}

static bool
can_be_chosen(const struct table_node *node)
{
	if (!node->known || !node->online)
		return false;
	for (size_t i = 0; i < node->leg_count; i++)
		if (node->legs[i].relay->alive)
			return true;
	return false;
}

int
table_node_settle(struct table *table, struct table_node *node)
{
	if (can_be_chosen(node)) {
		if (!node->pooled)
			return pool(table, node);
		return 0;
	}
	unpool(table, node);
	if (!node->known && node->leg_count == 0 && node->sessions == 0) {
		idtable_remove(&table->nodes, node);
		free(node);
	}
	return 0;
}

struct table_node *
table_node_get(struct table *table, const uint8_t id[UUID_BYTES])
{
	struct table_node *node = table_find(table, id);

	if (node != NULL)
		return node;
	node = calloc(1, sizeof(*node));
	if (node == NULL)
		return NULL;
	memcpy(node->id, id, UUID_BYTES);
	(void)idtable_add(&table->nodes, node);
	return node;
}

const struct table_pool_list *
table_pool_of(const struct table *table, const struct routing_wish *wish)
{
	const struct table_pool_list *found = &table->all;

	if (wish->region[0] != '\0') {
		const struct table_region *region = idtable_find(&table->regions, wish->region);

		if (region == NULL)
			return NULL;
		found = &region->pool;
	} else if (wish->country[0] != '\0') {
		found = &table->countries[(wish->country[0] - 'A') * 26 + (wish->country[1] - 'A')];
	}
	return found->count > 0 ? found : NULL;
}

/* ---- what discovery says ---- */

static bool
is_country(const char *text)
{
	return text != NULL && strlen(text) == 2 && text[0] >= 'A' && text[0] <= 'Z' &&
	       text[1] >= 'A' && text[1] <= 'Z';
}

static double
lower_direction(const Boson__Common__Bandwidth *bandwidth)
{
	if (bandwidth == NULL)
		return 0;
	if (bandwidth->has_up && bandwidth->has_down)
		return bandwidth->up < bandwidth->down ? bandwidth->up : bandwidth->down;
	return bandwidth->has_up ? bandwidth->up : bandwidth->down;
}

static double
higher_direction(const Boson__Common__Bandwidth *bandwidth)
{
	if (bandwidth == NULL)
		return 0;
	return bandwidth->up > bandwidth->down ? bandwidth->up : bandwidth->down;
}

static void
take_facts(struct table_node *node, const Boson__Discovery__Node *message)
{
	const Boson__Common__Location *location = message->location;
	const Boson__Discovery__Capabilities *capabilities = message->capabilities;
	const Boson__Discovery__NodeMetrics *vitals = message->metrics;

	memset(node->country, 0, sizeof(node->country));
	memset(node->region, 0, sizeof(node->region));
	memset(node->public_key, 0, sizeof(node->public_key));
	if (location != NULL && is_country(location->country))
		memcpy(node->country, location->country, 2);
	if (location != NULL && location->region != NULL)
		strncpy(node->region, location->region, sizeof(node->region) - 1);
	if (message->public_key != NULL)
		strncpy(node->public_key, message->public_key, sizeof(node->public_key) - 1);
	node->online = message->status != NULL && strcmp(message->status, "offline") != 0;
	node->max_connections = capabilities != NULL ? capabilities->max_connections : 0;
	node->bandwidth_mbits =
		lower_direction(capabilities != NULL ? capabilities->bandwidth : NULL);
	node->bandwidth_used_mbits = higher_direction(vitals != NULL ? vitals->bandwidth : NULL);
	node->active_connections = vitals != NULL ? vitals->active_connections : 0;
	node->version = message->version;
}

int
table_node_put(struct table *table, const Boson__Discovery__Node *message, bool from_snapshot)
{
	struct table_node *node;
	uint8_t id[UUID_BYTES];

	if (message->node_id == NULL || uuid_parse(message->node_id, id) != 0)
		return -EINVAL;
	node = table_node_get(table, id);
	if (node == NULL)
		return -ENOMEM;
	/* A page of a snapshot may be older than an event that overtook it. Otherwise a snapshot is
	 * right whatever its version: discovery's clock may have been set back. */
	if (node->known && message->version < node->version &&
	    (!from_snapshot || node->snapshot == table->snapshot))
		return 0;
	unpool(table, node);
	take_facts(node, message);
	if (!node->known)
		table->known++;
	node->known = true;
	node->snapshot = table->snapshot;
	return table_node_settle(table, node);
}

static void
forget(struct table *table, struct table_node *node)
{
	if (!node->known)
		return;
	unpool(table, node);
	node->known = false;
	table->known--;
	(void)table_node_settle(table, node);
}

void
table_node_remove(struct table *table, const uint8_t id[UUID_BYTES])
{
	struct table_node *node = table_find(table, id);

	if (node != NULL)
		forget(table, node);
}

void
table_snapshot_begin(struct table *table)
{
	table->snapshot++;
}

void
table_snapshot_end(struct table *table)
{
	struct table_node *node = idtable_next(&table->nodes, NULL);

	while (node != NULL) {
		struct table_node *next = idtable_next(&table->nodes, node);

		if (node->known && node->snapshot != table->snapshot)
			forget(table, node);
		node = next;
	}
}

int
table_sessions_add(struct table *table, const uint8_t id[UUID_BYTES], int by)
{
	struct table_node *node = by > 0 ? table_node_get(table, id) : table_find(table, id);

	if (node == NULL)
		return by > 0 ? -ENOMEM : 0;
	if (by > 0)
		node->sessions++;
	else if (node->sessions > 0)
		node->sessions--;
	return table_node_settle(table, node);
}
