/* routing_table: nodes and their pools. Relays and legs are in routing_table_legs.c. */
#include "routing/routing_table_inside.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

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
static void
join(struct table *table, struct table_node *node)
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

static void
leave(struct table *table, struct table_node *node)
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
unpool(struct table_node *node, size_t pools)
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
			unpool(node, i);
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
		if (node->pooled)
			unpool(node, TABLE_POOLS);
		return pool(node, &place);
	}
	if (node->pooled)
		unpool(node, TABLE_POOLS);
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

const struct pool *
table_pool_of(const struct table *table, const struct routing_wish *wish)
{
	const struct pool *found = &table->all;

	if (wish->region[0] != '\0') {
		char place[TABLE_PLACE_BYTES];
		const struct table_region *region;

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

/* Of "2024-05-06T07:08:09.123Z" up to the second; 0 for none. */
static int64_t
wall_ms_of(const char *iso8601)
{
	struct tm tm = { 0 };

	if (iso8601 == NULL || strptime(iso8601, "%Y-%m-%dT%H:%M:%S", &tm) == NULL)
		return 0;
	return (int64_t)timegm(&tm) * 1000;
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
	node->registered_wall_ms = wall_ms_of(message->registered_at);
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
	if (node->pooled)
		unpool(node, TABLE_POOLS);
	leave(table, node);
	take_facts(node, message);
	join(table, node);
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
	if (node->pooled)
		unpool(node, TABLE_POOLS);
	leave(table, node);
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
