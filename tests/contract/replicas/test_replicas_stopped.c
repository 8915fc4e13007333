/*
 * Routings that are stopped for longer than anybody waits for them, and go on (F09): the others
 * take over meanwhile, and whoever wakes up does not write what it had in mind, but learns what has
 * become of it. Also the one that is killed and not missed (F03).
 */
#include "loop/clock.h"
#include "routing_pair.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct routing_pair pair;
static struct enrolment_node node;
static struct relay_mailbox_leg *leg;

static int
setup_with(void **state, const char *more)
{
	struct route_rig_client client;
	struct route_rig_answer answer;

	*state = &pair;
	routing_pair_start(&pair, more);
	leg = route_rig_add_node(&pair.rig, &node, RELAY_NODE_OPENS);
	for (size_t i = 0; i < REPLICAS; i++) { /* both have heard of the node */
		route_rig_client_init(&client);
		routing_pair_use(&pair, pair.peers[i]);
		route_rig_connect(&pair.rig, &client, NULL, &answer);
	}
	return 0;
}

static int
setup(void **state)
{
	return setup_with(state, "answer_timeout = 10s\n");
}

static int
setup_short_lived(void **state)
{
	return setup_with(state, "session_lifetime = 3s\n");
}

static void
stop_replica(size_t which)
{
	assert_int_equal(kill(pair.processes[which], SIGSTOP), 0);
}

static void
go_on(size_t which)
{
	assert_int_equal(kill(pair.processes[which], SIGCONT), 0);
}

/* What this replica says of it; "unknown" when it knows none. */
static void
assert_says(struct bus_peer *replica, const struct route_rig_answer *answer, const char *token,
	    const char *status)
{
	struct rig_call call;

	routing_pair_use(&pair, replica);
	route_rig_get(&pair.rig, &call, answer->route_id, token);
	assert_non_null(call.reply);
	assert_string_equal(((const Boson__Routing__Route *)call.reply)->status, status);
	rig_call_fini(&call);
}

/* Again as long as that may help: a database that is slow is a 503, too. */
static void
delete_route(const struct route_rig_answer *answer, const char *token)
{
	int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;
	struct rig_call call;

	route_rig_delete(&pair.rig, &call, answer->route_id, token);
	while (rig_call_may_be_repeated(&call)) {
		assert_true(clock_monotonic_ms() < deadline_ms);
		route_rig_delete(&pair.rig, &call, answer->route_id, token);
	}
	rig_call_assert_served(&call);
}

static void
test_a_killed_replica_is_not_missed_F03(void **state)
{
	struct route_rig_client client, fresh;
	struct route_rig_answer answer, again;

	(void)state;
	route_rig_client_init(&client);
	route_rig_client_init(&fresh);
	routing_pair_use(&pair, pair.both);
	route_rig_connect(&pair.rig, &client, NULL, &answer);
	routing_pair_kill(&pair, 0); /* the list's first is the one that is asked */
	route_rig_connect(&pair.rig, &client, NULL, &again);
	assert_string_equal(again.session_id, answer.session_id);
	route_rig_connect(&pair.rig, &fresh, NULL, &again);
	delete_route(&answer, client.token);
	assert_says(pair.peers[1], &answer, client.token, "closed");
}

static bool
is_held(void *arg)
{
	(void)arg;
	return pair.rig.relay.held_count == 1;
}

/* It has asked the node when it is stopped, and hears that the node said yes when it goes on: by
 * then the client has had its session from the other, and has ended it. */
static void
test_a_replica_that_was_stopped_writes_nothing_stale_F09(void **state)
{
	struct route_rig_client client, kept;
	struct route_rig_answer answer, other, anew;
	struct rig_call late;

	(void)state;
	route_rig_client_init(&client);
	route_rig_client_init(&kept);
	leg->answer = RELAY_NODE_IS_SILENT;
	routing_pair_use(&pair, pair.peers[0]);
	route_rig_request_begin(&pair.rig, &late, &client, NULL, NULL, NULL);
	rig_wait(&pair.rig.rig, is_held, NULL, "OpenSession of the first");
	stop_replica(0);
	leg->answer = RELAY_NODE_OPENS;
	routing_pair_use(&pair, pair.both); /* which finds that the first does not answer */
	route_rig_connect(&pair.rig, &client, NULL, &answer);
	assert_string_equal(answer.session_id, pair.rig.relay.last_session);
	route_rig_connect(&pair.rig, &kept, NULL, &other);
	delete_route(&answer, client.token);
	relay_mailbox_open_held(&pair.rig.relay);
	go_on(0);
	/* It does not open what has ended: it makes another one for who still waits. */
	route_rig_take(&late, &anew);
	assert_string_not_equal(anew.session_id, answer.session_id);
	/* Each has what was acknowledged last. */
	for (size_t i = 0; i < REPLICAS; i++) {
		assert_says(pair.peers[i], &answer, client.token, "closed");
		assert_says(pair.peers[i], &anew, client.token, "open");
		assert_says(pair.peers[i], &other, kept.token, "open");
	}
}

static bool
was_closed(void *arg)
{
	return leg->closed >= *(const unsigned int *)arg;
}

struct asked {
	struct bus_peer *replica;
	const struct route_rig_answer *answer;
	const char *token;
};

static bool
is_forgotten(void *arg)
{
	const struct asked *asked = arg;
	struct rig_call call;
	bool forgotten;

	routing_pair_use(&pair, asked->replica);
	route_rig_get(&pair.rig, &call, asked->answer->route_id, asked->token);
	forgotten = call.reply == NULL && call.result.status == BUS_NOT_FOUND;
	rig_call_fini(&call);
	return forgotten;
}

/* Longer than the lease of whoever sweeps: the other sweeps, and the first does not do it again. */
static void
sweep_without(size_t stopped)
{
	struct route_rig_client client;
	struct route_rig_answer answer;
	struct asked asked[REPLICAS];
	unsigned int closed;

	route_rig_client_init(&client);
	routing_pair_use(&pair, pair.peers[1 - stopped]);
	route_rig_connect(&pair.rig, &client, NULL, &answer);
	stop_replica(stopped);
	closed = 3; /* with those of the set-up */
	rig_wait(&pair.rig.rig, was_closed, &closed, "CloseSession at their end");
	go_on(stopped);
	for (size_t i = 0; i < REPLICAS; i++) {
		asked[i] = (struct asked){ pair.peers[i], &answer, client.token };
		rig_wait(&pair.rig.rig, is_forgotten, &asked[i], "no row is left");
	}
	assert_int_equal(leg->closed, closed);
	/* New sessions, by the one that woke up. */
	routing_pair_use(&pair, pair.peers[stopped]);
	route_rig_connect(&pair.rig, &client, NULL, &answer);
	assert_says(pair.peers[1 - stopped], &answer, client.token, "open");
}

static void
test_sweeping_goes_over_while_the_first_is_stopped_F09(void **state)
{
	(void)state;
	sweep_without(0);
}

static void
test_sweeping_goes_over_while_the_second_is_stopped_F09(void **state)
{
	(void)state;
	sweep_without(1);
}

static bool
is_served(void *arg)
{
	struct rig_call call;
	bool served;

	route_rig_request(&pair.rig, &call, arg, NULL, NULL, NULL);
	served = call.reply != NULL;
	rig_call_fini(&call);
	return served;
}

/* Discovery, for longer than any call to it waits: routes go on, and its later word is heard. */
static void
test_routes_are_handed_out_while_discovery_is_stopped_F09(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer answer;
	struct enrolment_node late;
	pid_t discovery = pair.rig.discovery_process;

	(void)state;
	assert_int_equal(kill(discovery, SIGSTOP), 0);
	route_rig_client_init(&client);
	routing_pair_use(&pair, pair.peers[0]);
	route_rig_connect(&pair.rig, &client, NULL, &answer);
	/* One that starts meanwhile asks it in vain, and says so. */
	routing_pair_kill(&pair, 1);
	routing_pair_spawn(&pair, 1);
	rig_wait_up(&pair.rig.rig, pair.peers[1]);
	assert_int_equal(kill(discovery, SIGCONT), 0);
	rig_wait_up(&pair.rig.rig, pair.rig.discovery);
	route_rig_announce(&pair.rig);
	(void)route_rig_add_node(&pair.rig, &late, RELAY_NODE_OPENS);
	for (size_t i = 0; i < REPLICAS; i++) {
		route_rig_client_init(&client);
		routing_pair_use(&pair, pair.peers[i]);
		rig_wait(&pair.rig.rig, is_served, &client, "a route of each");
		route_rig_connect(&pair.rig, &client, late.id_text, &answer);
	}
}

#define WITH_TWO(test) cmocka_unit_test_setup_teardown(test, setup, routing_pair_teardown)
#define WITH_SHORT(test) \
	cmocka_unit_test_setup_teardown(test, setup_short_lived, routing_pair_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TWO(test_a_killed_replica_is_not_missed_F03),
		WITH_TWO(test_a_replica_that_was_stopped_writes_nothing_stale_F09),
		WITH_SHORT(test_sweeping_goes_over_while_the_first_is_stopped_F09),
		WITH_SHORT(test_sweeping_goes_over_while_the_second_is_stopped_F09),
		WITH_TWO(test_routes_are_handed_out_while_discovery_is_stopped_F09),
	};

	return routing_pair_run(&pair, tests, sizeof(tests) / sizeof(tests[0]));
}
