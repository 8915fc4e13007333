/*
 * What one peer may cost the others: a flood of calls (B56), a subscriber that does not read, and
 * connections without end (B58).
 */
#include "echo_stage.h"

#include "loop/clock.h"

#include <stdlib.h>
#include <string.h>

enum { FLOOD = 900, EVENTS = 12000 };

/* A caller gets its turn among those of another that called so often before. */
static void
test_flood_of_calls_of_one_peer_keeps_no_other_waiting_B56(void **state)
{
	struct asked *flood = calloc(FLOOD, sizeof(*flood)), other;
	struct bus_peer *second = echo_peer(*state);

	assert_true(fixture_ping(*state, peer, 5000));
	assert_true(fixture_ping(*state, second, 5000));
	echo_block(&echo);
	for (int i = 0; i < FLOOD; i++)
		ask(&flood[i], *state, peer, boson__test__echo__say, "x");
	ask(&other, *state, second, boson__test__echo__keep, "x");
	echo_unblock(&echo);
	for (int i = 0; i < FLOOD; i++)
		wait_end(&flood[i]);
	echo_release(&echo);
	wait_end(&other);
	assert_true(other.answered);
	assert_int_equal(atomic_load(&echo.said), FLOOD);
	assert_true(atomic_load(&echo.said_at_keep) < FLOOD);
	bus_peer_free(&second);
	free(flood);
}

static uint64_t
events_full(void)
{
	return fixture_metric(echo.actor.metrics, "bus_drops_total{reason=\"event_full\"}");
}

static void
test_events_for_one_who_does_not_read_are_dropped_and_counted_and_others_have_all(void **state)
{
	static const char text[] = "0123456789012345678901234567890123456789";
	struct fixture *f = *state;
	struct heard heard;
	zsock_t *sleeper = zsock_new(ZMQ_SUB);
	struct asked asked;

	zsock_set_rcvhwm(sleeper, 1);
	zsock_set_subscribe(sleeper, "boson.test.Shout");
	assert_int_equal(zsock_connect(sleeper, "%s", f->events_endpoint), 0);
	hear(&heard, f, &boson__test__shout__descriptor);
	fixture_run_until(f, has_heard_a_gap, &heard);
	for (int i = 0; i < EVENTS && events_full() == 0; i++) {
		ask_and_wait(&asked, f, peer, boson__test__echo__publish, text);
		assert_true(asked.answered);
	}
	assert_true(events_full() > 0);
	assert_int_equal(heard.gaps, 1);
	bus_unsubscribe(&heard.subscription);
	zsock_destroy(&sleeper);
}

/* Whether one more connection by these keys gets through its handshake. */
static bool
is_let_in(const struct fixture *f, const struct fixture_keys *keys, int number)
{
	zsock_t *socket = zsock_new(ZMQ_DEALER), *monitor = zsock_new(ZMQ_PAIR);
	char endpoint[64];
	uint16_t event = 0;

	snprintf(endpoint, sizeof(endpoint), "inproc://knock-%p-%d", (void *)socket, number);
	zsock_set_linger(socket, 0);
	zsock_set_curve_serverkey(socket, f->server_keys.public_key);
	zsock_set_curve_publickey(socket, keys->public_key);
	zsock_set_curve_secretkey(socket, keys->secret_key);
	zmq_socket_monitor(zsock_resolve(socket), endpoint,
			   ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
				   ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
				   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL);
	assert_int_equal(zsock_connect(monitor, "%s", endpoint), 0);
	assert_int_equal(zsock_connect(socket, "%s", f->endpoint), 0);
	zsock_set_rcvtimeo(monitor, FIXTURE_PATIENCE_MS);
	zmsg_t *told = zmsg_recv(monitor);
	assert_non_null(told);
	memcpy(&event, zframe_data(zmsg_first(told)), sizeof(event));
	zmsg_destroy(&told);
	zmq_socket_monitor(zsock_resolve(socket), NULL, 0);
	zsock_destroy(&monitor);
	zsock_destroy(&socket);
	return event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
}

static int
setup_two(void **state)
{
	struct fixture *f = stage_open(state);

	f->allowed_keys[1] = f->server_keys.public_key; /* any other key will do */
	f->allowed_names[1] = "routing";
	stage_start(f);
	return 0;
}

static void
test_peer_that_connects_without_end_is_limited_and_no_other_B58(void **state)
{
	const struct fixture *f = *state;
	int64_t end_ms = clock_monotonic_ms() + FIXTURE_PATIENCE_MS;
	int let_in = 0;

	while (is_let_in(f, &f->client_keys, let_in)) {
		let_in++;
		assert_true(clock_monotonic_ms() < end_ms);
	}
	assert_true(let_in > 0);
	assert_true(is_let_in(f, &f->server_keys, let_in + 1));
}

int
main(void)
{
	const struct CMUnitTest ipc[] = {
		cmocka_unit_test_setup_teardown(
			test_flood_of_calls_of_one_peer_keeps_no_other_waiting_B56, stage_setup,
			stage_teardown),
		cmocka_unit_test_setup_teardown(
			test_events_for_one_who_does_not_read_are_dropped_and_counted_and_others_have_all,
			stage_setup, stage_teardown),
	};
	const struct CMUnitTest tcp[] = { cmocka_unit_test_setup_teardown(
		test_peer_that_connects_without_end_is_limited_and_no_other_B58, setup_two,
		stage_teardown) };

	return fixture_run(FIXTURE_IPC, FIXTURE_IPC, ipc) +
	       fixture_run(FIXTURE_TCP, FIXTURE_TCP, tcp);
}
