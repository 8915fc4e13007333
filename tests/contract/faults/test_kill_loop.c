/*
 * The kill loop (F02, F03, F13, F16, F17): registrations, route requests and deletions are under
 * way, and at a random moment discovery or routing is killed, or both, and on servers PostgreSQL or
 * Redis; then it is started again. Whatever was acknowledged is found in the end, in the state that
 * was acknowledged last. KILL_ROUNDS=1000 in the environment asks for so many rounds; KILL_SEED
 * repeats a run. With the argument `postgresql` the tables are in a PostgreSQL of the test's own.
 */
#include "kill_ledger.h"

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
	CHECK_EVERY = 25,
};

static bool on_servers;
static struct servers servers;
static struct route_rig rig;
static struct kill_ledger ledger;
static struct enrolment_node exits[EXITS];

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
	kill_ledger_init(&ledger, &rig, ROUNDS_MAX);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	route_rig_stop(&rig);
	kill_ledger_fini(&ledger);
	return 0;
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
		kill_ledger_ask(&ledger);
		kill_ledger_wait(&ledger);
		kill_and_restart();
		kill_ledger_take_answers(&ledger);
		wait_until_well();
		if (round % CHECK_EVERY == 0 || round == rounds) {
			kill_ledger_assert(&ledger);
			keep_the_exits_alive();
			/* what nobody was told of must not fill the nodes up for good */
			assert_true(ledger.opened > opened_before);
			opened_before = ledger.opened;
			print_message("%zu kills, %zu acknowledgements, none lost (seed %u)\n",
				      round, ledger.acknowledged, chosen);
		}
	}
	/* else the loop would have killed before anything was done */
	assert_true(ledger.acknowledged > rounds);
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
		result = servers_begin(&servers, SERVERS_BOTH);
	if (result != 0)
		return result;
	result = cmocka_run_group_tests(tests, NULL, NULL);
	if (on_servers)
		servers_fini(&servers);
	return result;
}
