/*
 * routing_pair: two routings on one PostgreSQL, as processes, one discovery, and a relay's mailbox
 * in the test.
 *
 *	test (gateway, relay-1) --ipc--> a ---+--- PostgreSQL
 *	                 \--------ipc--> b ---+--- discovery
 */
#pragma once

#include "route_rig.h"

#include "../../servers/servers.h"

enum { REPLICAS = 2 };

struct CMUnitTest;

struct routing_pair {
	struct servers servers;
	struct route_rig rig;
	struct rig second; /* the folders of b */
	pid_t processes[REPLICAS];
	struct bus_peer *peers[REPLICAS], *both; /* both: a first */
};

/* All tests, with the servers started once for all of them. What main returns: 77 when there is no
 * PostgreSQL here. */
int routing_pair_run(struct routing_pair *pair, const struct CMUnitTest *tests, size_t n);

/* For cmocka: set-up has left the pair in *state. */
int routing_pair_teardown(void **state);

/* Both, and discovery. more: lines of the section [routing]. */
void routing_pair_start(struct routing_pair *pair, const char *more);

void routing_pair_spawn(struct routing_pair *pair, size_t which);
void routing_pair_kill(struct routing_pair *pair, size_t which);

/* What the rig asks from now on. */
void routing_pair_use(struct routing_pair *pair, struct bus_peer *peer);
