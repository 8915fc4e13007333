/* routing_pair: see the header. */
#include "routing_pair.h"
#include "service/service_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CONFIG_BYTES = 2048 };

int
routing_pair_run(struct routing_pair *pair, const struct CMUnitTest *tests, size_t n)
{
	int result;

	memset(pair, 0, sizeof(*pair));
	result = servers_begin(&pair->servers, SERVERS_POSTGRESQL);
	if (result != 0)
		return result;
	result = _cmocka_run_group_tests("replicas of routing", tests, n, NULL, NULL);
	servers_fini(&pair->servers);
	return result;
}

static void
write_second_config(struct routing_pair *pair, const char *config)
{
	char text[2 * CONFIG_BYTES], discovery[RIG_PATH_BYTES];

	rig_endpoint(&pair->rig.rig, "discovery", false, discovery);
	(void)snprintf(text, sizeof(text), "[bus]\ndiscovery = %s\n%s", discovery, config);
	rig_configure(&pair->second, text);
}

static void
connect_both(struct routing_pair *pair)
{
	char first[RIG_PATH_BYTES], other[RIG_PATH_BYTES], list[2 * RIG_PATH_BYTES + 1];
	struct rig *rig = &pair->rig.rig;

	rig_endpoint(rig, "routing", false, first);
	rig_endpoint(&pair->second, "routing", false, other);
	(void)snprintf(list, sizeof(list), "%s,%s", first, other);
	bus_set_rules(rig->bus, service_rules);
	pair->peers[0] = pair->rig.routing;
	assert_int_equal(bus_peer_new(rig->bus, other, NULL, &boson__routing__routing__descriptor,
				      &pair->peers[1]),
			 0);
	assert_int_equal(bus_peer_new(rig->bus, list, NULL, &boson__routing__routing__descriptor,
				      &pair->both),
			 0);
	rig_wait_up(rig, pair->peers[1]);
	rig_wait_up(rig, pair->both);
}

void
routing_pair_start(struct routing_pair *pair, const char *more)
{
	char store[SERVERS_URL_BYTES], config[CONFIG_BYTES], schema[32];
	static unsigned schemas;

	(void)snprintf(schema, sizeof(schema), "routings_%u", ++schemas);
	servers_postgresql_url(&pair->servers, schema, store);
	(void)snprintf(config, sizeof(config),
		       "[discovery]\nenrolment = open\n[routing]\nstore = %s\n"
		       "ticket_seed = %s/shared.seed\n%s",
		       store, pair->servers.folder, more);
	route_rig_start(&pair->rig, config);
	rig_start(&pair->second, "");
	write_second_config(pair, config);
	pair->processes[0] = pair->rig.routing_process;
	routing_pair_spawn(pair, 1);
	connect_both(pair);
}

int
routing_pair_teardown(void **state)
{
	struct routing_pair *pair = *state;

	bus_peer_free(&pair->both);
	bus_peer_free(&pair->peers[1]);
	rig_stop(&pair->second);
	route_rig_stop(&pair->rig);
	return 0;
}

static struct rig *
rig_of(struct routing_pair *pair, size_t which)
{
	return which == 0 ? &pair->rig.rig : &pair->second;
}

void
routing_pair_spawn(struct routing_pair *pair, size_t which)
{
	pair->processes[which] = rig_spawn(rig_of(pair, which), PROGRAM_ROUTING, 0);
}

void
routing_pair_kill(struct routing_pair *pair, size_t which)
{
	rig_kill(rig_of(pair, which), pair->processes[which]);
}

void
routing_pair_use(struct routing_pair *pair, struct bus_peer *peer)
{
	pair->rig.routing = peer;
}
