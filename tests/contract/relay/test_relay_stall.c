/*
 * A leg that takes nothing while something waits for it goes after the setting `stall`, here the
 * default of 2 s, whatever holds it up, and one that takes a little stays (T13, W49). Others on the
 * same node and in the same shard get everything meanwhile.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_fixture.h"

#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum {
	PATIENCE_MS = 15 * 1000,
	STALL_MS = 2000,
	LEAD_MS = 500, /* so much earlier one stops than the other */
	FILL = 100,    /* messages, for all queues on the way */
	MARKS = 200,   /* answered: there is a window, and it knows the rate */
	FED_MAX = 2,
	LARGE = 49, /* datagrams: as many as a message may hold */
};

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t other_id[UUID_BYTES] = "node-id-00000002";
static const uint8_t sessions[][UUID_BYTES] = { "session-0000000a", "session-0000000b",
						"session-0000000c", "session-0000000d" };

static struct relay_fixture relay;

/* A node whose clients are fed more than they take, but for one; and another node with a client. */
static struct {
	struct raw_leg *node, *fast, *other, *neighbour;
	uint32_t fast_channel, neighbour_channel;
	uint32_t fed[FED_MAX];
	unsigned fed_count, datagrams; /* in a message for one of them */
	uint32_t closed[FED_MAX];      /* in order */
	unsigned closed_count;
} scene;

static struct raw_leg *
open_client(struct raw_leg *node, const uint8_t id[UUID_BYTES], unsigned session,
	    uint32_t *ret_channel)
{
	struct raw_leg *client = raw_leg_open(&relay, id, sessions[session]);

	*ret_channel = leg_talk_channel(node, sessions[session]);
	return client;
}

static void
open_scene(bool has_tls, unsigned datagrams)
{
	memset(&scene, 0, sizeof(scene));
	relay_fixture_start(&relay, has_tls, "queue_age = 10s");
	scene.node = raw_leg_open(&relay, node_id, NULL);
	scene.other = raw_leg_open(&relay, other_id, NULL);
	scene.fast = open_client(scene.node, node_id, 0, &scene.fast_channel);
	scene.neighbour = open_client(scene.other, other_id, 1, &scene.neighbour_channel);
	scene.datagrams = datagrams;
}

static void
close_scene(void)
{
	raw_leg_close(&scene.fast);
	raw_leg_close(&scene.neighbour);
	raw_leg_close(&scene.node);
	raw_leg_close(&scene.other);
	relay_fixture_stop(&relay);
}

static void
note_control(const Boson__Link__Control *control, void *arg)
{
	(void)arg;
	if (control->body_case == BOSON__LINK__CONTROL__BODY_LIMITED)
		return;
	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE);
	assert_in_range(scene.closed_count, 0, FED_MAX - 1);
	scene.closed[scene.closed_count++] = control->channel_close->channel;
}

static void
feed(void)
{
	static uint8_t message[64 * 1024];

	for (unsigned i = 0; i < scene.fed_count; i++) {
		size_t n = leg_talk_message(message, scene.fed[i], scene.datagrams, 1296);

		assert_true(raw_leg_send(scene.node, 0x82, message, n));
	}
}

/* More for those that are fed, and what the others send arrives. */
static void
beat(void)
{
	feed();
	leg_talk_exchange_hearing(scene.node, scene.fast, scene.fast_channel, note_control, NULL);
	leg_talk_exchange(scene.other, scene.neighbour, scene.neighbour_channel);
}

static struct raw_leg *
open_fed(unsigned session)
{
	uint32_t channel;
	struct raw_leg *client = raw_leg_open(&relay, node_id, sessions[session]);
	Boson__Link__Control *open = leg_talk_control(scene.node);

	while (open->body_case != BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN) {
		note_control(open, NULL);
		boson__link__control__free_unpacked(open, NULL);
		open = leg_talk_control(scene.node);
	}
	channel = open->channel_open->channel;
	boson__link__control__free_unpacked(open, NULL);
	scene.fed[scene.fed_count++] = channel;
	return client;
}

/* Reads more slowly than it is fed. */
static void
take_until_it_has_a_window(struct raw_leg *slow)
{
	while (slow->pings < MARKS) {
		beat();
		raw_leg_is_quiet(slow, 1); /* reads one message */
	}
	assert_int_equal(scene.closed_count, 0);
}

/* ---- legs that stop ---- */

/* One reads slowly, so that a window holds it up and its socket is never full, and then stops.
 * Later another stops that never read: it has no window, and its socket is full at once. They go
 * in this order. */
static void
one_with_a_window_goes_as_soon_as_one_without(bool has_tls)
{
	open_scene(has_tls, 10);
	struct raw_leg *slow = open_fed(2);
	for (unsigned i = 0; i < FILL; i++)
		feed();
	take_until_it_has_a_window(slow);
	int64_t stopped_ms = clock_monotonic_ms();
	while (clock_monotonic_ms() < stopped_ms + LEAD_MS)
		beat();
	struct raw_leg *stopped = open_fed(3);
	while (scene.closed_count < FED_MAX) {
		beat();
		assert_true(clock_monotonic_ms() < stopped_ms + PATIENCE_MS);
	}
	assert_int_equal(scene.closed[0], scene.fed[0]);
	assert_int_equal(scene.closed[1], scene.fed[1]);
	assert_int_equal(relay_fixture_counter(&relay, "legs_closed_total{reason=\"stalled\"}"), 2);
	raw_leg_close(&slow);
	raw_leg_close(&stopped);
	close_scene();
}

static void
test_t13_a_leg_that_stops_goes_as_soon_behind_its_window_as_behind_a_full_socket(void **state)
{
	(void)state;
	one_with_a_window_goes_as_soon_as_one_without(false);
}

static void
test_t13_so_does_one_with_tls(void **state)
{
	(void)state;
	one_with_a_window_goes_as_soon_as_one_without(true);
}

/* ---- legs that are slow ---- */

enum { STEP_MS = 100, SMALL_BYTES = 4096, QUEUE_BYTES = 128 * 1024 };

/* Takes a step now and then. */
static void
be_slow(struct raw_leg *slow, void (*step)(struct raw_leg *slow), int64_t for_ms)
{
	int64_t start_ms = clock_monotonic_ms();

	while (clock_monotonic_ms() < start_ms + for_ms) {
		beat();
		step(slow);
		assert_true(raw_leg_is_quiet(scene.fast, STEP_MS));
	}
	assert_int_equal(scene.closed_count, 0);
	assert_int_equal(relay_fixture_counter(&relay, "legs_closed_total{reason=\"stalled\"}"), 0);
	assert_true(relay_fixture_counter(&relay, "queued_bytes") > 0);
}

static void
read_one_message(struct raw_leg *slow)
{
	struct raw_frame frame;

	assert_true(raw_leg_receive(slow, &frame));
}

/* Nothing is answered: only the kernels say that bytes are taken. */
static void
read_some_bytes(struct raw_leg *slow)
{
	uint8_t bytes[1500];

	assert_true(recv(slow->fd, bytes, sizeof(bytes), 0) > 0);
}

static struct raw_leg *
open_slow(unsigned datagrams)
{
	int small = SMALL_BYTES;

	open_scene(false, datagrams);
	struct raw_leg *slow = open_fed(2);
	setsockopt(slow->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	do {
		feed();
	} while (relay_fixture_counter(&relay, "queued_bytes") < QUEUE_BYTES);
	return slow;
}

/* A pong that answers no mark says nothing: who sends them and takes nothing goes. */
static void
test_t13_pongs_that_nobody_asked_for_are_no_sign_of_reading(void **state)
{
	struct raw_leg *stopped = open_slow(10);
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

	(void)state;
	while (scene.closed_count == 0) {
		beat();
		raw_leg_send(stopped, 0x8a, (const uint8_t *)"", 0);
		assert_true(clock_monotonic_ms() < end_ms);
	}
	assert_int_equal(scene.closed[0], scene.fed[0]);
	raw_leg_close(&stopped);
	close_scene();
}

/* 13 KB a second: a full socket is not writable again for some seconds. */
static void
test_a_leg_that_reads_a_message_now_and_then_stays(void **state)
{
	struct raw_leg *slow = open_slow(1);

	(void)state;
	be_slow(slow, read_one_message, 4 * STALL_MS);
	raw_leg_close(&slow);
	close_scene();
}

static void
test_a_leg_that_reads_but_answers_nothing_stays(void **state)
{
	struct raw_leg *slow = open_slow(10);

	(void)state;
	be_slow(slow, read_some_bytes, 4 * STALL_MS);
	raw_leg_close(&slow);
	close_scene();
}

/* 15 KB a second again, but of a message of 64 KB: it cannot answer what is behind it before. */
static void
test_a_leg_that_takes_long_over_one_message_stays(void **state)
{
	struct raw_leg *slow = open_slow(LARGE);

	(void)state;
	take_until_it_has_a_window(slow);
	be_slow(slow, read_some_bytes, STALL_MS * 3 / 2);
	raw_leg_close(&slow);
	close_scene();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_t13_a_leg_that_stops_goes_as_soon_behind_its_window_as_behind_a_full_socket),
		cmocka_unit_test(test_t13_so_does_one_with_tls),
		cmocka_unit_test(test_t13_pongs_that_nobody_asked_for_are_no_sign_of_reading),
		cmocka_unit_test(test_a_leg_that_reads_a_message_now_and_then_stays),
		cmocka_unit_test(test_a_leg_that_reads_but_answers_nothing_stays),
		cmocka_unit_test(test_a_leg_that_takes_long_over_one_message_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
