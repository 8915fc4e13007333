/*
 * Two discoveries on one PostgreSQL and Redis, as processes: what one acknowledged the other knows,
 * either may be killed, and one of them at a time finds out who fell silent (F02, F09, F13).
 *
 *	test --ipc--> a ---+
 *	  \----ipc--> b ---+--- PostgreSQL, Redis
 */
#include "enrolment.h"
#include "loop/clock.h"
#include "service/service_rules.h"

#include "../../servers/servers.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { REPLICAS = 2, CONFIG_BYTES = 2048 };

static struct servers servers;

/* Each has folders of its own; all talking is done on the first one's loop. */
static struct replica {
	struct rig rig;
	pid_t process;
	struct bus_peer *peer;
	struct bus_subscription *events;
	unsigned online, offline; /* what it told of the watched node */
	unsigned witness_offline;
	bool is_heard;
} replicas[REPLICAS];
static struct bus_peer *both;
static char watched[UUID_TEXT_BYTES], witness[UUID_TEXT_BYTES];

RIG_CLOSURE(on_beat, Boson__Discovery__HeartbeatReply)
RIG_CLOSURE(on_node, Boson__Discovery__Node)
RIG_CLOSURE(on_empty, Boson__Common__Empty)
RIG_CLOSURE(on_relays, Boson__Discovery__ListRelaysReply)

static struct rig *
rig(void)
{
	return &replicas[0].rig;
}

/* ---- processes ---- */

static void
on_node_changed(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Discovery__NodeChanged *change = (const Boson__Discovery__NodeChanged *)event;
	struct replica *replica = arg;

	(void)gap;
	replica->is_heard = true;
	if (change == NULL)
		return;
	bool is_offline = strcmp(change->node->status, "offline") == 0;
	if (strcmp(change->node->node_id, watched) == 0) {
		replica->offline += is_offline;
		replica->online += !is_offline;
	} else if (strcmp(change->node->node_id, witness) == 0) {
		replica->witness_offline += is_offline;
	}
}

static bool
is_heard(void *arg)
{
	return ((struct replica *)arg)->is_heard;
}

static void
replica_spawn(struct replica *replica)
{
	replica->process = rig_spawn(&replica->rig, PROGRAM_DISCOVERY, 0);
}

static void
replica_kill(struct replica *replica)
{
	rig_kill(&replica->rig, replica->process);
}

static void
write_config(struct replica *replica, const char *more)
{
	char store[SERVERS_URL_BYTES], cache[SERVERS_URL_BYTES], config[CONFIG_BYTES];
	char secret[RIG_PATH_BYTES], seed[RIG_PATH_BYTES];
	static unsigned schemas;
	char schema[32];

	schemas += replica == &replicas[0];
	(void)snprintf(schema, sizeof(schema), "replicas_%u", schemas);
	servers_postgresql_url(&servers, schema, store);
	servers_redis_url(&servers, cache);
	rig_path(rig(), "fleet.secret", secret);
	rig_path(rig(), "ticket.seed", seed);
	(void)snprintf(config, sizeof(config),
		       "[discovery]\nenrolment = open\nstore = %s\ncache = %s\n"
		       "fleet_secret = %s\nticket_seed = %s\n%s",
		       store, cache, secret, seed, more);
	rig_configure(&replica->rig, config);
}

static void
replica_connect(struct replica *replica)
{
	char endpoint[RIG_PATH_BYTES];

	rig_endpoint(&replica->rig, "discovery", false, endpoint);
	assert_int_equal(bus_peer_new(rig()->bus, endpoint, NULL,
				      &boson__discovery__discovery__descriptor, &replica->peer),
			 0);
	rig_wait_up(rig(), replica->peer);
	rig_endpoint(&replica->rig, "discovery", true, endpoint);
	assert_int_equal(bus_subscribe(rig()->bus, endpoint, NULL,
				       &boson__discovery__node_changed__descriptor, on_node_changed,
				       replica, &replica->events),
			 0);
	rig_wait(rig(), is_heard, replica, "its publisher");
}

static void
connect_both(void)
{
	char first[RIG_PATH_BYTES], second[RIG_PATH_BYTES], list[2 * RIG_PATH_BYTES + 1];

	rig_endpoint(&replicas[0].rig, "discovery", false, first);
	rig_endpoint(&replicas[1].rig, "discovery", false, second);
	(void)snprintf(list, sizeof(list), "%s,%s", first, second);
	bus_set_rules(rig()->bus, service_rules);
	assert_int_equal(bus_peer_new(rig()->bus, list, NULL,
				      &boson__discovery__discovery__descriptor, &both),
			 0);
}

static void
start_both(const char *more)
{
	memset(replicas, 0, sizeof(replicas));
	watched[0] = witness[0] = '\0';
	if (servers.postgresql <= 0)
		assert_int_equal(servers_postgresql_start(&servers), 0);
	if (servers.redis <= 0)
		assert_int_equal(servers_redis_start(&servers), 0);
	for (int i = 0; i < REPLICAS; i++)
		rig_start(&replicas[i].rig, "");
	/* One after the other: the first makes the schema and the secrets. */
	for (int i = 0; i < REPLICAS; i++) {
		write_config(&replicas[i], more);
		replica_spawn(&replicas[i]);
		replica_connect(&replicas[i]);
	}
	connect_both();
}

static int
setup(void **state)
{
	(void)state;
	start_both("");
	return 0;
}

static int
setup_short_leases(void **state)
{
	(void)state;
	start_both("offline_after = 3s\n");
	return 0;
}

/* A node's beats are known to both in time, however busy the machine is. */
static int
setup_long_leases(void **state)
{
	(void)state;
	start_both("offline_after = 6s\n");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	bus_peer_free(&both);
	for (int i = 0; i < REPLICAS; i++) {
		bus_unsubscribe(&replicas[i].events);
		bus_peer_free(&replicas[i].peer);
	}
	for (int i = REPLICAS; i-- > 0;)
		rig_stop(&replicas[i].rig);
	return 0;
}

/* ---- what nodes do ---- */

/* What a busy machine, a database that is away or a replica that died lets it come to. */
static bool
may_be_asked_again(enum bus_status status)
{
	return status == BUS_UNAVAILABLE || status == BUS_DEADLINE;
}

static bool
enrol(struct bus_peer *peer, struct enrolment_node *node)
{
	struct rig_call call;

	rig_call_init(&call, rig(), peer);
	enrolment_run(&call, node);
	bool is_enrolled = call.reply != NULL;
	if (!is_enrolled)
		assert_true(may_be_asked_again(call.result.status));
	rig_call_fini(&call);
	return is_enrolled;
}

static struct bus_result
beat(struct bus_peer *peer, struct enrolment_node *node)
{
	Boson__Discovery__HeartbeatRequest request = BOSON__DISCOVERY__HEARTBEAT_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__NODE, node->id_text);
	struct rig_call call;

	request.caller = &caller;
	request.node_id = node->id_text;
	rig_call_init(&call, rig(), peer);
	boson__discovery__discovery__heartbeat(bus_peer_service(peer), &request, on_beat, &call);
	rig_call_wait(&call);
	struct bus_result result = call.result;
	rig_call_fini(&call);
	return result;
}

static enum bus_status
get(struct bus_peer *peer, const char *node_id, char ret_status[16])
{
	Boson__Discovery__GetNodeRequest request = BOSON__DISCOVERY__GET_NODE_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__ADMIN, NULL);
	struct rig_call call;

	request.caller = &caller;
	request.node_id = (char *)(uintptr_t)node_id;
	rig_call_init(&call, rig(), peer);
	boson__discovery__discovery__get_node(bus_peer_service(peer), &request, on_node, &call);
	rig_call_wait(&call);
	enum bus_status status = call.result.status;
	if (call.reply != NULL)
		(void)snprintf(ret_status, 16, "%s",
			       ((const Boson__Discovery__Node *)call.reply)->status);
	rig_call_fini(&call);
	return status;
}

static bool
was_told_online(void *arg)
{
	return ((struct replica *)arg)->online > 0;
}

static bool
was_told_offline(void *arg)
{
	return ((struct replica *)arg)->offline > 0;
}

static bool
was_witness_told_offline(void *arg)
{
	return ((struct replica *)arg)->witness_offline > 0;
}

static void
watch(const struct enrolment_node *node)
{
	memcpy(watched, node->id_text, sizeof(watched));
	for (int i = 0; i < REPLICAS; i++)
		replicas[i].online = replicas[i].offline = 0;
}

/* ---- tests ---- */

static void
test_node_registered_at_one_is_told_by_the_other(void **state)
{
	struct enrolment_node node;
	char status[16];

	(void)state;
	enrolment_node_init(&node);
	watch(&node);
	assert_true(enrol(replicas[0].peer, &node));
	int64_t registered_ms = clock_monotonic_ms();
	rig_wait(rig(), was_told_online, &replicas[1], "the other's word of the node");
	printf("told by the other after %lld ms\n",
	       (long long)(clock_monotonic_ms() - registered_ms));
	assert_int_equal(get(replicas[1].peer, node.id_text, status), BUS_OK);
	assert_string_equal(status, "online");
}

static void
test_node_registered_at_one_may_beat_at_the_other_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct enrolment_node node;

		enrolment_node_init(&node);
		assert_true(enrol(replicas[i % 2].peer, &node));
		assert_int_equal(beat(replicas[(i + 1) % 2].peer, &node).status, BUS_OK);
	}
}

static void
test_id_and_key_taken_at_one_are_taken_at_the_other(void **state)
{
	struct enrolment_node node, thief;
	struct rig_call call;

	(void)state;
	enrolment_node_init(&node);
	assert_true(enrol(replicas[0].peer, &node));
	enrolment_node_init(&thief);
	memcpy(thief.id, node.id, sizeof(thief.id));
	memcpy(thief.id_text, node.id_text, sizeof(thief.id_text));
	rig_call_init(&call, rig(), replicas[1].peer);
	enrolment_run(&call, &thief);
	assert_int_equal(call.result.status, BUS_CONFLICT);
	rig_call_fini(&call);
}

/* With Redis, and without. */
static void
test_proof_used_at_one_is_used_up_at_the_other_T08_F16(void **state)
{
	static const uint8_t body[32] = { 9 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		char proof[PROOF_HEADER_MAX_BYTES];
		struct enrolment_node node;

		enrolment_node_init(&node);
		enrolment_prove(rig(), replicas[0].peer, &node, body, proof);
		for (int k = 0; k < REPLICAS; k++) {
			struct rig_call call;

			rig_call_init(&call, rig(), replicas[k].peer);
			enrolment_send(&call, &node, proof, body, NULL);
			rig_call_wait(&call);
			assert_int_equal(call.result.status, k == 0 ? BUS_OK : BUS_UNAUTHENTICATED);
			rig_call_fini(&call);
		}
		if (i == 0)
			servers_redis_kill(&servers);
	}
}

/* Each registration that was answered is there, whoever answered it and is dead now. */
static void
kill_one_and_count(int killed)
{
	enum { NODES = 60 };
	static struct enrolment_node nodes[NODES];
	bool is_enrolled[NODES];
	char status[16];

	for (int i = 0; i < NODES; i++) {
		if (i == NODES / 2)
			replica_kill(&replicas[killed]);
		enrolment_node_init(&nodes[i]);
		is_enrolled[i] = enrol(both, &nodes[i]);
	}
	for (int i = 0; i < NODES; i++)
		if (is_enrolled[i])
			assert_int_equal(get(replicas[1 - killed].peer, nodes[i].id_text, status),
					 BUS_OK);
	assert_true(is_enrolled[0]);
	assert_true(is_enrolled[NODES - 1]);
}

static void
test_no_acknowledged_registration_is_lost_when_the_first_is_killed_F02(void **state)
{
	(void)state;
	kill_one_and_count(0);
}

static void
test_no_acknowledged_registration_is_lost_when_the_second_is_killed_F02(void **state)
{
	(void)state;
	kill_one_and_count(1);
}

static void
test_silent_node_is_offline_once_at_both(void **state)
{
	struct enrolment_node node, later;

	(void)state;
	enrolment_node_init(&node);
	enrolment_node_init(&later);
	watch(&node);
	assert_true(enrol(replicas[0].peer, &node));
	rig_wait(rig(), was_told_offline, &replicas[0], "the node's end at the first");
	rig_wait(rig(), was_told_offline, &replicas[1], "the node's end at the second");
	/* The witness comes later and goes later: by then anything told twice has been told. */
	memcpy(witness, later.id_text, sizeof(witness));
	assert_true(enrol(replicas[1].peer, &later));
	rig_wait(rig(), was_witness_told_offline, &replicas[0], "the witness's at the first");
	rig_wait(rig(), was_witness_told_offline, &replicas[1], "the witness's at the second");
	assert_int_equal(replicas[0].offline, 1);
	assert_int_equal(replicas[1].offline, 1);
}

/* One of the two is the one that sweeps. */
static void
sweep_without(int killed)
{
	struct enrolment_node node;

	enrolment_node_init(&node);
	watch(&node);
	assert_true(enrol(replicas[1 - killed].peer, &node));
	replica_kill(&replicas[killed]);
	rig_wait(rig(), was_told_offline, &replicas[1 - killed], "the node's end");
}

static void
test_sweeping_goes_over_when_the_first_is_killed(void **state)
{
	(void)state;
	sweep_without(0);
}

static void
test_sweeping_goes_over_when_the_second_is_killed(void **state)
{
	(void)state;
	sweep_without(1);
}

struct beating {
	struct enrolment_node *node;
	struct bus_peer *peer;
	int64_t last_ms, longest_ms; /* beat, and pause */
};

/* Beats at one replica while the other does not run. */
static void
keep_beating(struct beating *beating, int64_t for_ms)
{
	int64_t until_ms = clock_monotonic_ms() + for_ms, now_ms;

	do {
		assert_int_equal(beat(beating->peer, beating->node).status, BUS_OK);
		now_ms = clock_monotonic_ms();
		if (now_ms - beating->last_ms > beating->longest_ms)
			beating->longest_ms = now_ms - beating->last_ms;
		beating->last_ms = now_ms;
	} while (now_ms < until_ms);
}

/* Whichever sweeps: it wakes up after more than a lease and takes nobody for dead. False when we
 * were held up ourselves for so long that it might have been right. */
static bool
stop_and_go_on(int stopped)
{
	enum { STOPPED_MS = 7000, PAUSE_MAX_MS = 2000 };
	struct enrolment_node node;

	enrolment_node_init(&node);
	watch(&node);
	assert_true(enrol(replicas[1 - stopped].peer, &node));
	assert_int_equal(kill(replicas[stopped].process, SIGSTOP), 0);
	struct beating beating = { &node, replicas[1 - stopped].peer, clock_monotonic_ms(), 0 };
	keep_beating(&beating, STOPPED_MS);
	assert_int_equal(kill(replicas[stopped].process, SIGCONT), 0);
	keep_beating(&beating, STOPPED_MS / 4);
	assert_int_equal(beat(replicas[stopped].peer, &node).status, BUS_OK);
	if (beating.longest_ms > PAUSE_MAX_MS)
		return false;
	assert_int_equal(replicas[0].offline, 0);
	assert_int_equal(replicas[1].offline, 0);
	return true;
}

static void
test_replica_that_was_stopped_marks_nobody_offline_F09(void **state)
{
	enum { TRIES = 3 };
	bool is_shown = false;

	(void)state;
	for (int stopped = 0; stopped < REPLICAS; stopped++) {
		is_shown = false;
		for (int i = 0; i < TRIES && !is_shown; i++)
			is_shown = stop_and_go_on(stopped);
		assert_true(is_shown);
	}
}

static size_t
list_relays(struct bus_peer *peer)
{
	Boson__Discovery__ListRelaysRequest request = BOSON__DISCOVERY__LIST_RELAYS_REQUEST__INIT;
	struct rig_call call;

	rig_call_init(&call, rig(), peer);
	boson__discovery__discovery__list_relays(bus_peer_service(peer), &request, on_relays,
						 &call);
	rig_call_wait(&call);
	assert_non_null(call.reply);
	size_t n = ((const Boson__Discovery__ListRelaysReply *)call.reply)->n_relays;
	rig_call_fini(&call);
	return n;
}

static void
test_relay_announced_at_one_is_known_at_the_other(void **state)
{
	Boson__Common__Relay relay = BOSON__COMMON__RELAY__INIT;
	int64_t end_ms = clock_monotonic_ms() + RIG_WAIT_MS;
	struct rig_call call;

	(void)state;
	relay.id = "relay-1";
	relay.group = "default";
	relay.relay_endpoint = "wss://relay.example";
	relay.bus_endpoint = relay.event_endpoint = "ipc:///tmp/relay.sock";
	rig_call_init(&call, rig(), replicas[0].peer);
	boson__discovery__discovery__announce_relay(bus_peer_service(replicas[0].peer), &relay,
						    on_empty, &call);
	rig_call_wait(&call);
	rig_call_assert_served(&call);
	while (list_relays(replicas[1].peer) == 0)
		assert_true(clock_monotonic_ms() < end_ms);
}

/* Nobody is lost, nobody is offline for it, and new ones get in soon after. */
static void
test_both_go_on_when_postgresql_returns_F13(void **state)
{
	struct enrolment_node node, late;
	char status[16];

	(void)state;
	enrolment_node_init(&node);
	watch(&node);
	assert_true(enrol(replicas[0].peer, &node));
	assert_int_equal(beat(replicas[1].peer, &node).status, BUS_OK);
	servers_postgresql_kill(&servers);
	enrolment_node_init(&late);
	assert_false(enrol(replicas[0].peer, &late));
	for (int i = 0; i < REPLICAS; i++)
		assert_int_equal(beat(replicas[i].peer, &node).status, BUS_OK);
	assert_int_equal(servers_postgresql_start(&servers), 0);
	int64_t back_ms = clock_monotonic_ms(), end_ms = back_ms + RIG_WAIT_MS;
	while (!enrol(both, &late))
		assert_true(clock_monotonic_ms() < end_ms);
	printf("written again after %lld ms\n", (long long)(clock_monotonic_ms() - back_ms));
	for (int i = 0; i < REPLICAS; i++) {
		while (get(replicas[i].peer, late.id_text, status) != BUS_OK)
			assert_true(clock_monotonic_ms() < end_ms);
		assert_int_equal(get(replicas[i].peer, node.id_text, status), BUS_OK);
		assert_string_equal(status, "online");
		assert_int_equal(replicas[i].offline, 0);
	}
}

/* The database is away when one starts: it waits, says so, and is there soon after. */
static void
test_replica_starts_while_postgresql_is_down_F13(void **state)
{
	int64_t end_ms, back_ms;
	struct enrolment_node node;
	char status[16];

	(void)state;
	enrolment_node_init(&node);
	assert_true(enrol(replicas[0].peer, &node));
	replica_kill(&replicas[1]);
	servers_postgresql_kill(&servers);
	replica_spawn(&replicas[1]);
	end_ms = clock_monotonic_ms() + RIG_WAIT_MS;
	for (;;) {
		struct bus_result result = beat(replicas[1].peer, &node);

		assert_true(may_be_asked_again(result.status));
		if (strcmp(result.code, "store_failed") == 0)
			break;
		assert_true(clock_monotonic_ms() < end_ms);
	}
	assert_int_equal(servers_postgresql_start(&servers), 0);
	back_ms = clock_monotonic_ms();
	end_ms = back_ms + RIG_WAIT_MS;
	while (get(replicas[1].peer, node.id_text, status) != BUS_OK)
		assert_true(clock_monotonic_ms() < end_ms);
	printf("ready after %lld ms\n", (long long)(clock_monotonic_ms() - back_ms));
}

#define WITH_TWO(test)	 cmocka_unit_test_setup_teardown(test, setup, teardown)
#define WITH_LONG(test)	 cmocka_unit_test_setup_teardown(test, setup_long_leases, teardown)
#define WITH_SHORT(test) cmocka_unit_test_setup_teardown(test, setup_short_leases, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TWO(test_node_registered_at_one_is_told_by_the_other),
		WITH_TWO(test_node_registered_at_one_may_beat_at_the_other_at_once),
		WITH_TWO(test_id_and_key_taken_at_one_are_taken_at_the_other),
		WITH_TWO(test_proof_used_at_one_is_used_up_at_the_other_T08_F16),
		WITH_TWO(test_no_acknowledged_registration_is_lost_when_the_first_is_killed_F02),
		WITH_TWO(test_no_acknowledged_registration_is_lost_when_the_second_is_killed_F02),
		WITH_SHORT(test_silent_node_is_offline_once_at_both),
		WITH_SHORT(test_sweeping_goes_over_when_the_first_is_killed),
		WITH_SHORT(test_sweeping_goes_over_when_the_second_is_killed),
		WITH_LONG(test_replica_that_was_stopped_marks_nobody_offline_F09),
		WITH_TWO(test_relay_announced_at_one_is_known_at_the_other),
		WITH_TWO(test_both_go_on_when_postgresql_returns_F13),
		WITH_TWO(test_replica_starts_while_postgresql_is_down_F13),
	};
	int result = servers_begin(&servers, SERVERS_BOTH);

	if (result != 0)
		return result;
	result = cmocka_run_group_tests(tests, NULL, NULL);
	servers_fini(&servers);
	return result;
}
