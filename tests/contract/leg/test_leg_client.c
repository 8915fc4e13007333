/*
 * leg_client against a WebSocket server that was written without it: messages, order, sizes,
 * queues, close codes, and its end in any state. Real sockets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg_rig.h"

#include <errno.h>

static void
test_messages_of_every_size_come_back_whole(void **state)
{
	(void)state;
	struct rig *rig = plain("/echo", 0);
	const size_t sizes[] = { 5, 6, 125, 126, 127, 1400, 24000, 65000, 65535, 64 * 1024 };

	wait_until(rig, is_up);
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		send_numbered(rig, i + 1, sizes[i]);
		leg_client_flush(rig->client);
		rig->wanted = i + 1;
		wait_until(rig, has_messages);
		assert_int_equal(rig->last_n, sizes[i]);
		assert_int_equal(rig->last, i + 1);
		for (size_t at = 5; at < sizes[i]; at++)
			assert_int_equal(rig->last_message[at], i + 1);
	}
	assert_string_equal(rig->relay.authorization, "Bearer the-ticket");
	uint8_t byte = LEG_KIND_DATA;
	assert_int_equal(leg_client_send(rig->client, rig->last_message, 64 * 1024 + 1, false),
			 -EMSGSIZE);
	assert_int_equal(leg_client_send(rig->client, &byte, 0, false), -EMSGSIZE);
	rig_free(rig);
}

static void
test_thousands_of_messages_stay_in_order_both_ways(void **state)
{
	(void)state;
	struct rig *rig = rig_new(NULL, 16 * 1024 * 1024);

	rig->relay.flood_n = 5000;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	target(rig, "ws", "127.0.0.1", "/flood");
	rig->wanted = 5000;
	wait_until(rig, has_messages);
	assert_int_equal(rig->wrong, 0);
	assert_int_equal(rig->last, 5000);
	assert_true(rig->batches > 0 && rig->batches <= 5000);
	rig->last = 0;
	for (unsigned i = 1; i <= 5000; i++) {
		send_numbered(rig, i, 5 + i % 1400);
		if (i % 16 == 0)
			leg_client_flush(rig->client);
	}
	leg_client_flush(rig->client);
	rig->wanted = 10000;
	wait_until(rig, has_messages);
	assert_int_equal(rig->messages, 10000);
	assert_int_equal(rig->wrong, 0);
	assert_int_equal(atomic_load(&rig->relay.order_errors), 0);
	rig_free(rig);
}

static bool
nothing_flows(struct rig *rig)
{
	/* the queue is full and the socket takes no more */
	return figure(rig, "leg_dropped_total", "direction=\"out\",reason=\"full\"") > 0;
}

static bool
relay_has_newest(struct rig *rig)
{
	return atomic_load(&rig->relay.last_data) == rig->wanted;
}

static void
test_a_full_queue_drops_the_oldest_data_and_no_control(void **state)
{
	(void)state;
	enum { N = 40000, BYTES = 1000, QUEUE = 64 * 1024 };
	struct rig *rig = plain("/stall", QUEUE);
	const uint8_t control[] = { LEG_KIND_CONTROL, 0xff, 0xff, 0xff, 0xff };

	wait_until(rig, is_up);
	for (unsigned i = 1; i <= N; i++) {
		send_numbered(rig, i, BYTES);
		leg_client_flush(rig->client);
		if (i % 4000 == 0)
			assert_int_equal(
				leg_client_send(rig->client, control, sizeof control, true), 0);
	}
	leg_client_flush(rig->client);
	wait_until(rig, nothing_flows);
	atomic_store(&rig->relay.is_released, true);
	rig->wanted = N;
	wait_until(rig, relay_has_newest); /* which was not dropped */
	/* 40 MB were offered: what a loopback socket holds, the queue, and no more */
	assert_true(atomic_load(&rig->relay.messages) < N * 3 / 4);
	assert_int_equal(atomic_load(&rig->relay.control), 10);
	assert_int_equal(atomic_load(&rig->relay.order_errors), 0);
	rig_free(rig);
}

static void
test_control_that_does_not_fit_is_refused_to_the_sender(void **state)
{
	(void)state;
	struct rig *rig = plain("/stall", 64 * 1024);
	static uint8_t control[32 * 1024] = { LEG_KIND_CONTROL };
	int r = 0;

	wait_until(rig, is_up);
	for (int i = 0; i < 1000 && r == 0; i++)
		r = leg_client_send(rig->client, control, sizeof control, true);
	assert_int_equal(r, -ENOBUFS);
	rig_free(rig);
}

static void
test_a_message_in_fragments_is_put_together(void **state)
{
	(void)state;
	struct rig *rig = plain("/fragments", 0);

	rig->wanted = 1;
	wait_until(rig, has_messages);
	assert_int_equal(rig->last_n, 6);
	assert_memory_equal(rig->last_message, "\1\0\3abc", 6);
	rig_free(rig);
}

static void
test_text_and_too_large_messages_end_the_leg(void **state)
{
	(void)state;
	expect_down("/text", 1003, "binary messages only");
	expect_down("/large", 1009, "message too large");
}

static void
test_close_codes_and_reasons_of_the_relay_are_delivered(void **state)
{
	(void)state;
	expect_down("/close/1008", 1008, "told to");
	expect_down("/close/1012", 1012, "draining");
	expect_down("/close/1013", 1013, "overloaded");
	expect_down("/close/4009", 4009, "told to");
}

static bool
is_connecting(struct rig *rig)
{
	return leg_client_state(rig->client) == LEG_CONNECTING;
}

static bool
is_freed(struct rig *rig)
{
	return rig->client == NULL;
}

static void
test_it_can_be_freed_in_any_state(void **state)
{
	(void)state;
	struct rig *rig = rig_new(NULL, 0); /* nothing asked */
	rig_free(rig);
	rig = plain("/echo", 0); /* asked, not begun */
	rig_free(rig);
	rig = plain("/mute", 0); /* in the handshake */
	wait_until(rig, is_connecting);
	rig_free(rig);
	rig = plain("/status/503", 0); /* waiting to try again */
	wait_until(rig, has_gone_down);
	rig_free(rig);
	rig = plain("/stall", 0); /* with a full socket and a full queue */
	wait_until(rig, is_up);
	for (unsigned i = 1; i < 2000; i++)
		send_numbered(rig, i, 10000);
	leg_client_flush(rig->client);
	atomic_store(&rig->relay.is_released, true);
	rig_free(rig);
	rig = rig_new(NULL, 0); /* from its own callback, with messages under way */
	rig->relay.flood_n = 100;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	rig->free_in_callback = true;
	target(rig, "ws", "127.0.0.1", "/flood");
	wait_until(rig, is_freed);
	rig_free(rig);
}

/* Turns of a loop that the compiler keeps, so that the leg's thread is met at many points. */
static void
spin(unsigned turns)
{
	for (volatile unsigned i = 0; i < turns; i++)
		continue;
}

enum { RACES = 100, RACE_TURNS = 3000 };

/* The answer to the handshake may be read in the turn that was to end the attempt. */
static void
test_it_can_be_freed_in_the_moment_it_comes_up(void **state)
{
	(void)state;

	for (unsigned i = 0; i < RACES; i++) {
		struct rig *rig = plain("/echo", 0);
		spin(i * RACE_TURNS);
		rig_free(rig);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_of_every_size_come_back_whole),
		cmocka_unit_test(test_thousands_of_messages_stay_in_order_both_ways),
		cmocka_unit_test(test_a_full_queue_drops_the_oldest_data_and_no_control),
		cmocka_unit_test(test_control_that_does_not_fit_is_refused_to_the_sender),
		cmocka_unit_test(test_a_message_in_fragments_is_put_together),
		cmocka_unit_test(test_text_and_too_large_messages_end_the_leg),
		cmocka_unit_test(test_close_codes_and_reasons_of_the_relay_are_delivered),
		cmocka_unit_test(test_it_can_be_freed_in_any_state),
		cmocka_unit_test(test_it_can_be_freed_in_the_moment_it_comes_up),
	};

	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
