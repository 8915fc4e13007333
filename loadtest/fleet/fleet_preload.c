/* Rows for a fleet too large to be registered one by one: written by discovery's own statements,
 * before discovery starts. */
#include "fleet.h"

#include "discovery/discovery_store.h"
#include "loop/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS_A_BATCH = 10000 };

static size_t
pack_facts(uint8_t *bytes, size_t room)
{
	Boson__Discovery__Node facts = BOSON__DISCOVERY__NODE__INIT;
	Boson__Discovery__NetworkInfo network = BOSON__DISCOVERY__NETWORK_INFO__INIT;
	Boson__Discovery__Capabilities capabilities = BOSON__DISCOVERY__CAPABILITIES__INIT;
	Boson__Common__Location location = BOSON__COMMON__LOCATION__INIT;
	double coordinates[] = { 52.5, 13.4 };

	network.ipv4 = "192.168.178.20";
	network.has_nat_type = 1;
	network.nat_type = BOSON__DISCOVERY__NETWORK_INFO__NAT_TYPE__PortRestricted;
	network.stun_mapped_address = "198.51.100.20:40000";
	capabilities.has_max_connections = 1;
	capabilities.max_connections = 100;
	location.country = "DE";
	location.region = "Berlin";
	location.n_coordinates = 2;
	location.coordinates = coordinates;
	facts.network_info = &network;
	facts.capabilities = &capabilities;
	facts.location = &location;
	facts.has_heartbeat_interval = 1;
	facts.heartbeat_interval = 30;
	if (boson__discovery__node__get_packed_size(&facts) > room)
		abort();
	return boson__discovery__node__pack(&facts, bytes);
}

static int
write_batch(struct store *store, uint64_t from, uint64_t to, const uint8_t *facts, size_t n)
{
	struct discovery_stamp stamp = { .version = 1 };
	int error = store_begin(store);

	if (error == 0)
		error = discovery_store_next_change(store, &stamp.change);
	for (uint64_t i = from; i < to && error == 0; i++) {
		struct fleet_node node;

		fleet_node_init(&node, i);
		error = discovery_store_put(store, (int64_t)i + 1, node.id, &node.key, facts, n,
					    clock_wall_ms(), &stamp);
	}
	return error == 0 ? store_commit(store) : error;
}

int
fleet_preload(struct fleet *fleet)
{
	uint64_t end = fleet->first + fleet->nodes;
	struct store *store = NULL;
	uint8_t facts[256];
	char reason[256];
	size_t n = pack_facts(facts, sizeof(facts));
	int error = discovery_store_open(fleet->url, &store, reason, sizeof(reason));

	if (error != 0) {
		fprintf(stderr, "fleet-load: %s: %s\n", fleet->url, reason);
		return 74;
	}
	for (uint64_t i = fleet->first; i < end && error == 0; i += ROWS_A_BATCH)
		error = write_batch(store, i, i + ROWS_A_BATCH < end ? i + ROWS_A_BATCH : end,
				    facts, n);
	store_close(&store);
	printf("{\"preloaded\": %llu, \"facts_bytes\": %zu}\n",
	       error == 0 ? (unsigned long long)fleet->nodes : 0ULL, n);
	return error == 0 ? 0 : 74;
}
