/* table_sample: fills a routing table as discovery and relays would, for its tests and the
 * choice's.
 */
#pragma once

#include "routing/routing_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static inline void
sample_id(uint32_t number, uint8_t ret_id[UUID_BYTES])
{
	memset(ret_id, 0, UUID_BYTES);
	memcpy(ret_id, &number, sizeof(number));
}

struct sample_node {
	uint32_t number;
	const char *country, *region, *status, *registered_at;
	uint32_t max_connections, active;
	double bandwidth;
	uint64_t version;
	bool from_snapshot;
};

static inline void
sample_node_put(struct table *table, struct sample_node sample)
{
	Boson__Discovery__Node node = BOSON__DISCOVERY__NODE__INIT;
	Boson__Discovery__Capabilities capabilities = BOSON__DISCOVERY__CAPABILITIES__INIT;
	Boson__Discovery__NodeMetrics vitals = BOSON__DISCOVERY__NODE_METRICS__INIT;
	Boson__Common__Bandwidth bandwidth = BOSON__COMMON__BANDWIDTH__INIT;
	Boson__Common__Location location = BOSON__COMMON__LOCATION__INIT;
	char id_text[UUID_TEXT_BYTES];
	uint8_t id[UUID_BYTES];

	sample_id(sample.number, id);
	uuid_format(id, id_text);
	bandwidth.has_up = 1;
	bandwidth.up = sample.bandwidth;
	bandwidth.has_down = 1;
	bandwidth.down = sample.bandwidth;
	capabilities.bandwidth = &bandwidth;
	capabilities.has_max_connections = 1;
	capabilities.max_connections = sample.max_connections;
	vitals.has_active_connections = 1;
	vitals.active_connections = sample.active;
	location.country = (char *)(uintptr_t)sample.country;
	location.region = (char *)(uintptr_t)sample.region;
	node.node_id = id_text;
	node.public_key = "key";
	node.status = (char *)(uintptr_t)(sample.status == NULL ? "online" : sample.status);
	node.capabilities = &capabilities;
	node.metrics = &vitals;
	node.location = &location;
	node.registered_at = (char *)(uintptr_t)sample.registered_at;
	node.has_version = 1;
	node.version = sample.version;
	assert_int_equal(table_node_put(table, &node, sample.from_snapshot), 0);
}

static inline struct table_relay *
sample_relay_put(struct table *table, const char *id)
{
	Boson__Common__Relay relay = BOSON__COMMON__RELAY__INIT;
	struct table_relay *made = NULL;

	relay.id = (char *)(uintptr_t)id;
	relay.group = "default";
	relay.relay_endpoint = "wss://relay.example";
	assert_int_equal(table_relay_put(table, &relay, &made), 0);
	table_relay_set_alive(table, made, true);
	return made;
}

static inline void
sample_attach(struct table *table, struct table_relay *relay, uint32_t number, uint64_t generation,
	      double rtt_ms)
{
	uint8_t id[UUID_BYTES];

	sample_id(number, id);
	assert_int_equal(table_leg_attach(table, relay, id, generation, rtt_ms), 0);
}

static inline struct table_node *
sample_find(const struct table *table, uint32_t number)
{
	uint8_t id[UUID_BYTES];

	sample_id(number, id);
	return table_find(table, id);
}
