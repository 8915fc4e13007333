/*
 * F47: counters of 16 and 32 bits that come round: the same story told from just below the wrap
 * must end as it does elsewhere.
 */
#include "leg_path.h"
#include "metrics/metrics.h"
#include "relay/relay_drops.h"
#include "relay/relay_rate.h"
#include "relay/relay_shard.h"
#include "relay/relay_wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WRAP INT64_C(0x100000000)

enum { SEC_US = 1000 * 1000, SEC_MS = 1000, LOOKS = 10 };

/* ---- a leg's window: bytes and microseconds in marks ---- */

/* Of one second. */
struct look {
	uint64_t read, delay_sum_us;
};

/* Ten seconds, when the clock began there and so many bytes had been sent. */
static void
tell_of_window(int64_t began_us, uint64_t sent, struct look ret_looks[LOOKS])
{
	struct leg_path path;

	leg_path_init(&path, 2500 * 1000, 20000); /* 20 Mbit/s */
	path.now_us = began_us;
	path.flows[0].window.sent = path.flows[0].window.acked = sent;
	path.flows[0].window.marked = path.flows[0].window.round_from = sent;
	for (int i = 0; i < LOOKS; i++) {
		leg_path_run(&path, SEC_US);
		ret_looks[i] = (struct look){ path.flows[0].read, path.flows[0].delay_sum_us };
	}
	assert_true(path.flows[0].window.is_started);
	leg_path_fini(&path);
}

static void
test_a_legs_window_does_not_notice_that_its_clock_comes_round(void **state)
{
	struct look plain[LOOKS], wrapped[LOOKS];

	(void)state;
	tell_of_window(SEC_US, 0, plain);
	tell_of_window(WRAP - 5 * SEC_US, 0, wrapped);
	assert_memory_equal(plain, wrapped, sizeof(plain));
}

static void
test_a_legs_window_does_not_notice_that_its_bytes_come_round(void **state)
{
	struct look plain[LOOKS], wrapped[LOOKS];

	(void)state;
	tell_of_window(SEC_US, 0, plain);
	tell_of_window(SEC_US, (uint64_t)WRAP - 12 * 1000 * 1000, wrapped);
	assert_memory_equal(plain, wrapped, sizeof(plain));
}

/* ---- the relay ---- */

static void
drop_at(struct relay_shard *shard, struct relay_channel *channel, int64_t now_ms)
{
	shard->now_ms = now_ms;
	relay_drops_note(shard, &channel->to_node, BOSON__LINK__LIMITED__REASON__QUEUE, 1, 0);
}

/* A sender is told once a second of what was dropped, also when 2^32 ms come round. */
static void
tell_of_drops(int64_t began_ms)
{
	struct relay_shard *shard = calloc(1, sizeof(*shard));
	struct relay_node node = { 0 };
	struct relay_channel channel = { .node = &node };

	assert_non_null(shard);
	channel.to_node.form = RELAY_LANE_TO_NODE;
	channel.to_client.form = RELAY_LANE_TO_CLIENT;
	drop_at(shard, &channel, began_ms);
	assert_ptr_equal(shard->limited, &channel);
	relay_drops_tell(shard);
	assert_int_equal(channel.to_node.dropped, 0);
	drop_at(shard, &channel, began_ms + RELAY_TELL_EVERY_MS - 1);
	assert_null(shard->limited);
	drop_at(shard, &channel, began_ms + RELAY_TELL_EVERY_MS);
	assert_ptr_equal(shard->limited, &channel);
	relay_drops_tell(shard);
	assert_int_equal(channel.to_node.dropped, 0);
	free(shard);
}

static void
test_who_is_dropped_is_told_once_a_second_across_the_wrap(void **state)
{
	(void)state;
	tell_of_drops(5000);
	for (int64_t began_ms = WRAP - 2 * RELAY_TELL_EVERY_MS; began_ms <= WRAP + 1;
	     began_ms += 250)
		tell_of_drops(began_ms);
}

static void
test_channel_numbers_come_round_without_0_and_without_one_that_is_taken(void **state)
{
	enum { KEPT = 5, MADE = 70000 };
	struct relay_directory directory;
	uint8_t id[UUID_BYTES] = "a node", session[UUID_BYTES] = "a session";
	struct relay_channel *kept[KEPT], *channel = NULL;
	uint32_t before = 0;

	(void)state;
	assert_int_equal(relay_directory_init(&directory), 0);
	struct relay_node *node = relay_node_get(&directory, id);
	relay_node_attach(node, (struct relay_leg *)(uintptr_t)64, 1);
	for (uint8_t i = 0; i < KEPT; i++) {
		session[15] = i;
		assert_int_equal(relay_channel_new(&directory, node, session, NULL, 10, &kept[i]),
				 0);
	}
	session[15] = KEPT;
	for (int i = 0; i < MADE; i++) {
		assert_int_equal(relay_channel_new(&directory, node, session, NULL, 10, &channel),
				 0);
		assert_int_not_equal(channel->number, 0);
		assert_int_not_equal(channel->number, before);
		for (int k = 0; k < KEPT; k++)
			assert_int_not_equal(channel->number, kept[k]->number);
		before = channel->number;
		relay_channel_free(&directory, &channel);
	}
	for (int i = 0; i < KEPT; i++) {
		assert_ptr_equal(relay_node_channel(node, kept[i]->number), kept[i]);
		relay_channel_free(&directory, &kept[i]);
	}
	node->leg = NULL;
	assert_true(relay_node_put(&directory, node));
	relay_directory_fini(&directory);
}

static uint64_t
sent_by_rate(int64_t began_ms)
{
	struct relay_rate rate;
	uint64_t sent = 0;
	int64_t now_ms = began_ms;

	relay_rate_init(&rate, 1000, now_ms);
	while (now_ms < began_ms + 10 * SEC_MS) {
		now_ms += relay_rate_take(&rate, 20000, now_ms);
		sent += 20000;
	}
	return sent;
}

static void
test_a_rate_is_the_same_across_the_wrap(void **state)
{
	(void)state;
	assert_int_equal(sent_by_rate(WRAP - 5 * SEC_MS), sent_by_rate(0));
}

static void
note_timer(struct relay_timer *timer, void *arg)
{
	(void)timer;
	++*(int *)arg;
}

static void
test_a_timer_fires_once_and_in_time_across_the_wrap(void **state)
{
	struct relay_wheel wheel;
	struct relay_timer timer = { 0 };
	int fired = 0;

	(void)state;
	relay_wheel_init(&wheel, WRAP - 1000);
	relay_timer_set(&wheel, &timer, WRAP + 1000);
	relay_wheel_advance(&wheel, WRAP + 999, note_timer, &fired);
	assert_int_equal(fired, 0);
	relay_wheel_advance(&wheel, WRAP + 1000 + RELAY_WHEEL_SLOT_MS, note_timer, &fired);
	assert_int_equal(fired, 1);
	relay_wheel_advance(&wheel, WRAP + 100 * 1000, note_timer, &fired);
	assert_int_equal(fired, 1);
}

/* ---- figures ---- */

static void
test_a_counter_comes_round_at_64_bits_and_is_printed_whole(void **state)
{
	struct metrics *metrics = NULL;
	char *text = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(metrics_new("wrap", &metrics), 0);
	struct metric *counter = metrics_counter(metrics, "bytes_total", NULL, "Bytes.");
	metric_add(counter, UINT64_MAX);
	assert_int_equal(metrics_write(&metrics, 1, &text, &n), 0);
	assert_non_null(strstr(text, "wrap_bytes_total 18446744073709551615\n"));
	free(text);
	metric_add(counter, 3); /* what Prometheus takes for a start anew */
	assert_int_equal(metric_value(counter), 2);
	metrics_free(&metrics);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_legs_window_does_not_notice_that_its_clock_comes_round),
		cmocka_unit_test(test_a_legs_window_does_not_notice_that_its_bytes_come_round),
		cmocka_unit_test(test_who_is_dropped_is_told_once_a_second_across_the_wrap),
		cmocka_unit_test(
			test_channel_numbers_come_round_without_0_and_without_one_that_is_taken),
		cmocka_unit_test(test_a_rate_is_the_same_across_the_wrap),
		cmocka_unit_test(test_a_timer_fires_once_and_in_time_across_the_wrap),
		cmocka_unit_test(test_a_counter_comes_round_at_64_bits_and_is_printed_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
