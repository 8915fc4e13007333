/*
 * The kill loop (F02, F03, F13, F16, F17): registrations, route requests and deletions are under
 * way, and at a random moment discovery or routing is killed, or both, and on servers PostgreSQL or
 * Redis; then it is started again. Whatever was acknowledged is found in the end, in the state that
 * was acknowledged last. KILL_ROUNDS=1000 in the environment asks for so many rounds; KILL_SEED
 * repeats a run. With the argument `postgresql` the tables are in a PostgreSQL of the test's own.
 */
#include "loop/clock.h"
#include "route_rig.h"

#include "../../servers/servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	ROUNDS_DEFAULT = 50,
	ROUNDS_MAX = 10 * 1000,
	EXITS = 6, /* nodes that take sessions */
	REGISTRATIONS = 6,
	REQUESTS = 10,
	DELETIONS = 8,
	WAVE = REGISTRATIONS + REQUESTS + DELETIONS,
	CHECK_EVERY = 25,
};

/* UNKNOWN: asked, and not answered yet; DOUBTFUL: a deletion whose answer was lost. */
enum acknowledged { NOTHING, OPEN, CLOSED, UNKNOWN, DOUBTFUL };

struct route {
	struct route_rig_client client;
	char id[UUID_TEXT_BYTES];
	enum acknowledged state;
};

struct registration {
	struct enrolment_node node;
	char proof[PROOF_HEADER_MAX_BYTES];
	bool acknowledged;
};

static const uint8_t body[32] = { 7 };
static bool on_servers;
static struct servers servers;
static struct route_rig rig;
static struct rig_call calls[WAVE];
static struct route *routes;
static struct registration *registrations;
static size_t routes_n, registrations_n, acknowledged_n, opened_n;
static struct enrolment_node exits[EXITS];

RIG_CLOSURE(on_empty, Boson__Common__Empty)
RIG_CLOSURE(on_node, Boson__Discovery__Node)

static int
setup(void **state)
{
	char store[2][SERVERS_URL_BYTES], cache[SERVERS_URL_BYTES], config[4 * SERVERS_URL_BYTES];

	(void)state;
	(void)snprintf(config, sizeof(config), "[discovery]\nenrolment = open\n");
	if (on_servers) {
		servers_postgresql_url(&servers, "kill_discovery", store[0]);
		servers_postgresql_url(&servers, "kill_routing", store[1]);
		servers_redis_url(&servers, cache);
		(void)snprintf(config, sizeof(config),
			       "[discovery]\nenrolment = open\nstore = %s\ncache = %s\n"
			       "[routing]\nstore = %s\n",
			       store[0], cache, store[1]);
	}
	route_rig_start(&rig, config);
	for (size_t i = 0; i < EXITS; i++)
		(void)route_rig_add_node(&rig, &exits[i], RELAY_NODE_OPENS);
	routes = calloc(ROUNDS_MAX * (size_t)REQUESTS, sizeof(*routes));
	registrations = calloc(ROUNDS_MAX * (size_t)REGISTRATIONS, sizeof(*registrations));
	return routes == NULL || registrations == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	route_rig_stop(&rig);
	free(routes);
	free(registrations);
	return 0;
}

static void
delete_begin(struct rig_call *call, const struct route *route)
{
	Boson__Routing__DeleteRouteRequest request = BOSON__ROUTING__DELETE_ROUTE_REQUEST__INIT;
	Boson__Common__Caller caller = BOSON__COMMON__CALLER__INIT;

	caller.has_role = 1;
	caller.role = BOSON__COMMON__CALLER__ROLE__CLIENT;
	caller.subject = (char *)(uintptr_t)route->client.token;
	request.route_id = (char *)(uintptr_t)route->id;
	request.caller = &caller;
	rig_call_init(call, &rig.rig, rig.routing);
	boson__routing__routing__delete_route(bus_peer_service(rig.routing), &request, on_empty,
					      call);
}

/* Some route in this state; NULL when chance finds none. */
static struct route *
some_route(enum acknowledged state)
{
	for (int tries = 0; tries < 64 && routes_n > 0; tries++) {
		struct route *route = &routes[(size_t)random() % routes_n];

		if (route->state == state)
			return route;
	}
	return NULL;
}

/* A client that was not answered asks again; else a new one. */
static struct route *
next_to_request(void)
{
	struct route *route = some_route(NOTHING);

	if (route == NULL) {
		route = &routes[routes_n++];
		route_rig_client_init(&route->client);
	}
	route->state = UNKNOWN; /* until it is answered */
	return route;
}

/* As does one whose deletion was not answered. */
static struct route *
next_to_delete(void)
{
	struct route *route = some_route(DOUBTFUL);

	return route != NULL ? route : some_route(OPEN);
}

struct wave {
	struct registration *registrations;
	struct route *requested[REQUESTS], *deleted[DELETIONS];
	size_t deletions, wanted;
};

static bool
enough_answered(void *arg)
{
	const struct wave *wave = arg;
	size_t answered = 0;

	for (size_t i = 0; i < REGISTRATIONS + REQUESTS + wave->deletions; i++)
		answered += calls[i].done ? 1 : 0;
	return answered >= wave->wanted;
}

static void
wave_begin(struct wave *wave)
{
	struct rig_call *call = calls;

	memset(wave, 0, sizeof(*wave));
	wave->registrations = &registrations[registrations_n];
	for (size_t i = 0; i < REGISTRATIONS; i++) {
		enrolment_node_init(&wave->registrations[i].node);
		enrolment_prove(&rig.rig, rig.discovery, &wave->registrations[i].node, body,
				wave->registrations[i].proof);
	}
	for (size_t i = 0; i < REGISTRATIONS; i++, call++) {
		rig_call_init(call, &rig.rig, rig.discovery);
		enrolment_send(call, &wave->registrations[i].node, wave->registrations[i].proof,
			       body, NULL);
	}
	for (size_t i = 0; i < REQUESTS; i++, call++) {
		wave->requested[i] = next_to_request();
		route_rig_request_begin(&rig, call, &wave->requested[i]->client, NULL, NULL, NULL);
	}
	for (struct route *route; wave->deletions < DELETIONS; call++) {
		route = next_to_delete();
		if (route == NULL)
			break;
		route->state = UNKNOWN; /* until it is answered */
		wave->deleted[wave->deletions++] = route;
		delete_begin(call, route);
	}
	wave->wanted = (size_t)random() % (REGISTRATIONS + REQUESTS + wave->deletions + 1);
}

/* Every call ends: answered, or failed by the death of who should have answered. */
static void
wave_end(struct wave *wave)
{
	struct rig_call *call = calls;

	for (size_t i = 0; i < REGISTRATIONS; i++, call++) {
		rig_call_wait(call);
		wave->registrations[i].acknowledged = call->reply != NULL;
		acknowledged_n += call->reply != NULL ? 1 : 0;
		rig_call_fini(call);
	}
	for (size_t i = 0; i < REQUESTS; i++, call++) {
		const Boson__Routing__RouteReply *reply;

		rig_call_wait(call);
		reply = (const Boson__Routing__RouteReply *)call->reply;
		wave->requested[i]->state = reply == NULL ? NOTHING : OPEN;
		if (reply != NULL) {
			(void)strcpy(wave->requested[i]->id, reply->selected_route->id);
			acknowledged_n++;
			opened_n++;
		}
		rig_call_fini(call);
	}
	for (size_t i = 0; i < wave->deletions; i++, call++) {
		rig_call_wait(call);
		wave->deleted[i]->state =
			call->reply != NULL || call->result.status == BUS_NOT_FOUND ? CLOSED
										    : DOUBTFUL;
		acknowledged_n += call->reply != NULL ? 1 : 0;
		rig_call_fini(call);
	}
	registrations_n += REGISTRATIONS;
}

static void
kill_and_restart(void)
{
	long victim = random() % (on_servers ? 5 : 3);

	if (victim == 0 || victim == 2)
		rig_kill(&rig.rig, rig.discovery_process);
	if (victim == 1 || victim == 2)
		rig_kill(&rig.rig, rig.routing_process);
	if (victim == 3)
		servers_postgresql_kill(&servers);
	if (victim == 4)
		servers_redis_kill(&servers);
	if (victim == 3)
		assert_int_equal(servers_postgresql_start(&servers), 0);
	if (victim == 4)
		assert_int_equal(servers_redis_start(&servers), 0);
	if (victim == 0 || victim == 2)
		rig.discovery_process = rig_spawn(&rig.rig, PROGRAM_DISCOVERY, 0);
	if (victim == 1 || victim == 2)
		rig.routing_process = rig_spawn(&rig.rig, PROGRAM_ROUTING, 0);
}

/* They beat no heart, and would be offline in the long run. */
static void
keep_the_exits_alive(void)
{
	for (size_t i = 0; i < EXITS; i++) {
		struct rig_call call;

		rig_call_init(&call, &rig.rig, rig.discovery);
		enrolment_run(&call, &exits[i]);
		rig_call_fini(&call);
	}
}

static void
wait_until_well(void)
{
	rig_wait_up(&rig.rig, rig.discovery);
	rig_wait_up(&rig.rig, rig.routing);
	route_rig_announce(&rig);
}

/* The answer, when there is one: not while a store comes back. */
static void
ask_for_node(struct rig_call *call, const char *id)
{
	Boson__Discovery__GetNodeRequest request = BOSON__DISCOVERY__GET_NODE_REQUEST__INIT;
	Boson__Common__Caller caller = BOSON__COMMON__CALLER__INIT;

	caller.has_role = 1;
	caller.role = BOSON__COMMON__CALLER__ROLE__ADMIN;
	request.node_id = (char *)(uintptr_t)id;
	request.caller = &caller;
	rig_call_init(call, &rig.rig, rig.discovery);
	boson__discovery__discovery__get_node(bus_peer_service(rig.discovery), &request, on_node,
					      call);
	rig_call_wait(call);
}

static void
assert_registrations(void)
{
	for (size_t i = 0; i < registrations_n; i++) {
		int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;
		struct rig_call call;

		if (!registrations[i].acknowledged)
			continue;
		ask_for_node(&call, registrations[i].node.id_text);
		while (call.reply == NULL && call.result.status != BUS_NOT_FOUND) {
			assert_true(clock_monotonic_ms() < deadline_ms);
			rig_call_fini(&call);
			ask_for_node(&call, registrations[i].node.id_text);
		}
		if (call.reply == NULL)
			fail_msg("registration %zu was acknowledged and is lost", i);
		rig_call_fini(&call);
	}
}

static void
assert_routes(void)
{
	for (size_t i = 0; i < routes_n; i++) {
		int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;
		struct rig_call call;
		bool open;

		if (routes[i].state != OPEN && routes[i].state != CLOSED)
			continue;
		route_rig_get(&rig, &call, routes[i].id, routes[i].client.token);
		while (call.reply == NULL && call.result.status != BUS_NOT_FOUND) {
			assert_true(clock_monotonic_ms() < deadline_ms);
			rig_call_fini(&call);
			route_rig_get(&rig, &call, routes[i].id, routes[i].client.token);
		}
		open = call.reply != NULL &&
		       strcmp(((const Boson__Routing__Route *)call.reply)->status, "open") == 0;
		if (open != (routes[i].state == OPEN))
			fail_msg("route %zu was acknowledged as %s and is %s", i,
				 routes[i].state == OPEN ? "open" : "closed",
				 open ? "open" : "closed or gone");
		rig_call_fini(&call);
	}
}

static void
test_whatever_was_acknowledged_is_found_after_any_kill_F02_F03_F13_F16_F17(void **state)
{
	const char *wanted = getenv("KILL_ROUNDS"), *seed = getenv("KILL_SEED");
	size_t rounds = wanted != NULL ? strtoul(wanted, NULL, 10) : ROUNDS_DEFAULT;
	size_t opened_before = 0;
	unsigned chosen = seed != NULL ? (unsigned)strtoul(seed, NULL, 10) : 2;

	(void)state;
	assert_true(rounds <= ROUNDS_MAX);
	srandom(chosen);
	for (size_t round = 1; round <= rounds; round++) {
		struct wave wave;

		wave_begin(&wave);
		rig_wait(&rig.rig, enough_answered, &wave, "answers");
		kill_and_restart();
		wave_end(&wave);
		wait_until_well();
		if (round % CHECK_EVERY == 0 || round == rounds) {
			assert_registrations();
			assert_routes();
			keep_the_exits_alive();
			/* what nobody was told of must not fill the nodes up for good */
			assert_true(opened_n > opened_before);
			opened_before = opened_n;
			print_message("%zu kills, %zu acknowledgements, none lost (seed %u)\n",
				      round, acknowledged_n, chosen);
		}
	}
	/* else the loop would have killed before anything was done */
	assert_true(acknowledged_n > rounds);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_whatever_was_acknowledged_is_found_after_any_kill_F02_F03_F13_F16_F17,
			setup, teardown),
	};
	int result = 0;

	on_servers = argc > 1 && strcmp(argv[1], "postgresql") == 0;
	if (on_servers)
		result = servers_init(&servers);
	if (on_servers && result == 0)
		result = servers_postgresql_start(&servers);
	if (on_servers && result == 0)
		result = servers_redis_start(&servers);
	if (result == 0)
		result = cmocka_run_group_tests(tests, NULL, NULL);
	else
		result = result > 0 ? 77 : EXIT_FAILURE;
	if (on_servers)
		servers_fini(&servers);
	return result;
}
