/* routing_table: what discovery says of nodes. */
#include "routing/routing_table_inside.h"

#include "service/fields.h"

#include <errno.h>
#include <string.h>
#include <time.h>

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
	if (location != NULL && location->country != NULL && field_is_country(location->country))
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
	table_node_unpool(node);
	table_node_leave(table, node);
	take_facts(node, message);
	table_node_join(table, node);
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
	table_node_unpool(node);
	table_node_leave(table, node);
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
