/* routing_table: nodes and the pools in which they stand. What discovery says is in
 * routing_table_facts.c, relays and legs in routing_table_legs.c. */
#include "routing/routing_table_inside.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int
table_init(struct table *table)
{
	int error;

	memset(table, 0, sizeof(*table));
	error = idtable_init(&table->nodes, offsetof(struct table_node, by_id),
			     offsetof(struct table_node, id), UUID_BYTES);
	if (error == 0)
		error = idtable_init(&table->regions, offsetof(struct table_region, by_name),
				     offsetof(struct table_region, name), TABLE_PLACE_BYTES);
	if (error != 0)
		table_fini(table);
	return error;
}

static void
free_regions(struct idtable *regions)
{
	struct table_region *region = NULL, *next;

	if (regions->buckets == NULL)
		return;
	for (region = idtable_next(regions, NULL); region != NULL; region = next) {
		next = idtable_next(regions, region);
		pool_fini(&region->pool);
		free(region);
	}
	idtable_fini(regions);
}

/* ---- memory of the nodes: large pieces, which the kernel may map as such ---- */

enum { PIECE_BYTES = 2 * 1024 * 1024, PIECE_NODES = PIECE_BYTES / sizeof(struct table_node) - 1 };

struct table_piece {
	struct table_piece *next;
	struct table_node nodes[PIECE_NODES];
};

static int
add_piece(struct table *table)
{
	struct table_piece *piece = aligned_alloc(PIECE_BYTES, PIECE_BYTES);

	_Static_assert(sizeof(struct table_piece) <= PIECE_BYTES, "a piece has its nodes");
	if (piece == NULL)
		return -ENOMEM;
	/* Without it a fleet of a million spends its time looking for pages. */
	(void)madvise(piece, PIECE_BYTES, MADV_HUGEPAGE);
	piece->next = table->pieces;
	table->pieces = piece;
	for (size_t i = 0; i < PIECE_NODES; i++) {
		piece->nodes[i].known = false;
		piece->nodes[i].free_next = table->free_nodes;
		table->free_nodes = &piece->nodes[i];
	}
	return 0;
}

static struct table_node *
new_node(struct table *table)
{
	struct table_node *node;

	if (table->free_nodes == NULL && add_piece(table) != 0)
		return NULL;
	node = table->free_nodes;
	table->free_nodes = node->free_next;
	memset(node, 0, sizeof(*node));
	return node;
}

static void
free_node(struct table *table, struct table_node *node)
{
	node->free_next = table->free_nodes;
	table->free_nodes = node;
}

const struct table_piece *
table_piece_next(const struct table *table, const struct table_piece *previous)
{
	return previous == NULL ? table->pieces : previous->next;
}

void
table_piece_each(const struct table_piece *piece,
		 void (*fn)(const struct table_node *node, void *arg), void *arg)
{
	for (size_t i = 0; i < PIECE_NODES; i++)
		if (piece->nodes[i].known)
			fn(&piece->nodes[i], arg);
}

static void
free_pieces(struct table *table)
{
	struct table_piece *next;

	for (; table->pieces != NULL; table->pieces = next) {
		next = table->pieces->next;
		free(table->pieces);
	}
}

void
table_fini(struct table *table)
{
	free_regions(&table->regions);
	idtable_fini(&table->nodes);
	free_pieces(table);
	for (size_t i = 0; i < table->relay_count; i++)
		free(table->relays[i]);
	for (size_t i = 0; i < TABLE_COUNTRIES; i++)
		pool_fini(&table->countries[i]);
	pool_fini(&table->all);
	memset(table, 0, sizeof(*table));
}

struct table_node *
table_find(const struct table *table, const uint8_t id[UUID_BYTES])
{
	return idtable_find(&table->nodes, id);
}

/* ---- who stands in which pools ---- */

static size_t
country_index(const char *country)
{
	return (size_t)((country[0] - 'A') * 26 + (country[1] - 'A'));
}

/* A region's name, with its country before it when there is one: regions' own names begin after a
 * country's place, so that the two never meet. */
static void
place_name(char ret[TABLE_PLACE_BYTES], const char *country, const char *region)
{
	memset(ret, 0, TABLE_PLACE_BYTES);
	memcpy(ret, country, strnlen(country, ROUTING_COUNTRY_BYTES - 1));
	memcpy(ret + ROUTING_COUNTRY_BYTES, region, strnlen(region, ROUTING_REGION_BYTES - 1));
}

static struct pool *
region_get(struct table *table, const char *country, const char *name)
{
	char place[TABLE_PLACE_BYTES];
	struct table_region *region;

	place_name(place, country, name);
	region = idtable_find(&table->regions, place);
	if (region == NULL) {
		region = calloc(1, sizeof(*region));
		if (region == NULL)
			return NULL;
		memcpy(region->name, place, sizeof(place));
		(void)idtable_add(&table->regions, region);
	}
	return &region->pool;
}

static void
region_put(struct table *table, struct pool *pool)
{
	struct table_region *region;

	if (pool->known > 0)
		return;
	region = (struct table_region *)((char *)pool - offsetof(struct table_region, pool));
	idtable_remove(&table->regions, region);
	pool_fini(pool);
	free(region);
}

/* A node is known with these facts: it is counted where it belongs. */
void
table_node_join(struct table *table, struct table_node *node)
{
	node->pools[TABLE_POOL_ALL] = &table->all;
	if (node->country[0] != '\0')
		node->pools[TABLE_POOL_COUNTRY] = &table->countries[country_index(node->country)];
	if (node->region[0] != '\0')
		node->pools[TABLE_POOL_REGION] = region_get(table, "", node->region);
	if (node->region[0] != '\0' && node->country[0] != '\0')
		node->pools[TABLE_POOL_PLACE] = region_get(table, node->country, node->region);
	for (size_t i = 0; i < TABLE_POOLS; i++)
		if (node->pools[i] != NULL)
			pool_know(node->pools[i], node->bandwidth_mbits);
}

void
table_node_leave(struct table *table, struct table_node *node)
{
	for (size_t i = 0; i < TABLE_POOLS; i++) {
		if (node->pools[i] == NULL)
			continue;
		pool_forget(node->pools[i], node->bandwidth_mbits);
		if (i == TABLE_POOL_REGION || i == TABLE_POOL_PLACE)
			region_put(table, node->pools[i]);
		node->pools[i] = NULL;
	}
}

static void
unpool_from(struct table_node *node, size_t pools)
{
	for (size_t i = 0; i < pools; i++) {
		struct table_node *moved;

		if (node->pools[i] == NULL)
			continue;
		moved = pool_remove(node->pools[i], &node->place, node->positions[i]);
		if (moved != NULL)
			moved->positions[i] = node->positions[i];
	}
	node->pooled = false;
}

void
table_node_unpool(struct table_node *node)
{
	if (node->pooled)
		unpool_from(node, TABLE_POOLS);
}

uint32_t
table_node_capacity(const struct table_node *node)
{
	return node->max_connections > 0 ? node->max_connections : TABLE_CAPACITY_DEFAULT;
}

uint32_t
table_node_used(const struct table_node *node)
{
	return node->sessions > node->active_connections ? node->sessions
							 : node->active_connections;
}

/* What a node says of itself counts for little while it is new (T02). */
static uint32_t
weight_of(const struct table *table, const struct table_node *node)
{
	uint32_t weight = table_node_capacity(node);

	if (node->registered_wall_ms == 0 ||
	    table->wall_ms - node->registered_wall_ms >= TABLE_NEW_MS)
		return weight;
	weight /= TABLE_NEW_DIVISOR;
	return weight < TABLE_NEW_WEIGHT_MAX ? weight : TABLE_NEW_WEIGHT_MAX;
}

static int
pool(struct table_node *node, const struct pool_place *place)
{
	node->place = *place;
	for (size_t i = 0; i < TABLE_POOLS; i++)
		if (node->pools[i] != NULL &&
		    pool_add(node->pools[i], node, place, node->bandwidth_mbits,
			     &node->positions[i]) != 0) {
			unpool_from(node, i);
			return -ENOMEM;
		}
	node->pooled = true;
	return 0;
}

bool
table_node_is_attached(const struct table_node *node)
{
	if (!node->known || !node->online)
		return false;
	for (size_t i = 0; i < node->leg_count; i++)
		if (node->legs[i].relay->alive)
			return true;
	return false;
}

static bool
can_be_chosen(const struct table_node *node)
{
	return table_node_is_attached(node) && table_node_used(node) < table_node_capacity(node);
}

int
table_node_settle(struct table *table, struct table_node *node)
{
	struct pool_place place;

	if (can_be_chosen(node)) {
		place = pool_place_of(node->bandwidth_mbits, weight_of(table, node));
		if (node->pooled && memcmp(&place, &node->place, sizeof(place)) == 0)
			return 0;
		table_node_unpool(node);
		return pool(node, &place);
	}
	table_node_unpool(node);
	if (!node->known && node->leg_count == 0 && node->sessions == 0) {
		idtable_remove(&table->nodes, node);
		free_node(table, node);
	}
	return 0;
}

struct table_node *
table_node_get(struct table *table, const uint8_t id[UUID_BYTES])
{
	struct table_node *node = table_find(table, id);

	if (node != NULL)
		return node;
	node = new_node(table);
	if (node == NULL)
		return NULL;
	memcpy(node->id, id, UUID_BYTES);
	(void)idtable_add(&table->nodes, node);
	return node;
}

struct pool *
table_pool_of(struct table *table, const struct routing_wish *wish)
{
	struct pool *found = &table->all;

	if (wish->region[0] != '\0') {
		char place[TABLE_PLACE_BYTES];
		struct table_region *region;

		place_name(place, wish->country, wish->region);
		region = idtable_find(&table->regions, place);
		if (region == NULL)
			return NULL;
		found = &region->pool;
	} else if (wish->country[0] != '\0') {
		found = &table->countries[country_index(wish->country)];
	}
	return found->known > 0 ? found : NULL;
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
