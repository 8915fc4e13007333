/* routes_load: a made-up fleet: thirty countries of very different sizes, connections from 10 to
 * 1000 Mbit/s, nodes that bear 8 to 64 sessions, on eight relays. */
#include "routes_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t
load_random(void *arg)
{
	struct load_dice *dice = arg;
	uint64_t x;

	/* splitmix64 */
	x = dice->state += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

const char *
load_relay_name(size_t relay)
{
	static const char *const names[LOAD_RELAYS] = {
		"relay-0", "relay-1", "relay-2", "relay-3",
		"relay-4", "relay-5", "relay-6", "relay-7"
	};

	return names[relay];
}

void
load_node_make(size_t number, struct load_node *ret)
{
	static const double mbits[] = { 10, 20, 50, 50, 100, 100, 100, 250, 500, 1000 };
	static const uint32_t bears[] = { 8, 16, 16, 32, 64 };
	struct load_dice dice = { number + 1 };
	size_t country = LOAD_COUNTRIES;

	(void)snprintf(ret->id, sizeof(ret->id), "%08x-0000-4000-8000-%012x", (unsigned int)number,
		       (unsigned int)number);
	/* The first is the largest; each has about as many as all that come after it share. */
	while (country >= LOAD_COUNTRIES)
		country = (size_t)__builtin_ctzll(load_random(&dice) | UINT64_C(1) << 40) / 2 +
			  (size_t)(load_random(&dice) % 12);
	(void)snprintf(ret->country, sizeof(ret->country), "%c%c", (int)('A' + country % 26),
		       (int)('A' + country / 26));
	(void)snprintf(ret->region, sizeof(ret->region), "region-%u",
		       (unsigned int)(load_random(&dice) % LOAD_REGIONS));
	ret->mbits = mbits[load_random(&dice) % (sizeof(mbits) / sizeof(mbits[0]))];
	ret->max_connections = bears[load_random(&dice) % (sizeof(bears) / sizeof(bears[0]))];
	ret->rtt_ms = 5 + (double)(load_random(&dice) % 1450) / 10;
	ret->relay = (size_t)(load_random(&dice) % LOAD_RELAYS);
}

void
load_view_make(size_t number, struct load_view *ret)
{
	load_node_make(number, &ret->facts);
	boson__discovery__node__init(&ret->node);
	boson__discovery__capabilities__init(&ret->capabilities);
	boson__common__bandwidth__init(&ret->bandwidth);
	boson__common__location__init(&ret->location);
	ret->bandwidth.has_up = ret->bandwidth.has_down = 1;
	ret->bandwidth.up = ret->bandwidth.down = ret->facts.mbits;
	ret->capabilities.bandwidth = &ret->bandwidth;
	ret->capabilities.has_max_connections = 1;
	ret->capabilities.max_connections = ret->facts.max_connections;
	ret->location.country = ret->facts.country;
	ret->location.region = ret->facts.region;
	ret->node.node_id = ret->facts.id;
	ret->node.status = (char *)(uintptr_t) "online";
	ret->node.public_key = (char *)(uintptr_t) "";
	ret->node.capabilities = &ret->capabilities;
	ret->node.location = &ret->location;
	ret->node.has_version = 1;
	ret->node.version = 1;
}

static void
put_node(struct table *table, size_t number)
{
	struct load_view view;
	struct table_relay *relay;
	uint8_t id[UUID_BYTES];

	load_view_make(number, &view);
	relay = table_relay_find(table, load_relay_name(view.facts.relay));
	if (uuid_parse(view.facts.id, id) != 0 || table_node_put(table, &view.node, true) != 0 ||
	    table_leg_attach(table, relay, id, 1, view.facts.rtt_ms) != 0)
		load_fail("a node does not go into the table");
}

void
load_table_fill(struct table *table, size_t nodes)
{
	Boson__Common__Relay message = BOSON__COMMON__RELAY__INIT;
	struct table_relay *relay;

	if (table_init(table) != 0)
		load_fail("no table");
	for (size_t i = 0; i < LOAD_RELAYS; i++) {
		message.id = (char *)(uintptr_t)load_relay_name(i);
		message.group = (char *)(uintptr_t) "default";
		message.relay_endpoint = (char *)(uintptr_t) "wss://relay.example";
		if (table_relay_put(table, &message, &relay) != 0)
			load_fail("a relay does not go into the table");
		table_relay_set_load(relay, 0.1 * (double)i, 0);
		table_relay_set_alive(table, relay, true);
	}
	for (size_t i = 0; i < nodes; i++)
		put_node(table, i);
}
