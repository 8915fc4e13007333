/*
 * What a scraper of boson-relay sees of a client that does not read, or has had its share: how long
 * what it got had waited, and what it lost, by reason.
 */
#include "leg_talk.h"
#include "loop/clock.h"
#include "raw_leg.h"
#include "relay_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { PATIENCE_MS = 15 * 1000, STEP_MS = 200 };

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t session_id[UUID_BYTES] = "session-00000001";

static struct relay_process relay;

/* So much for one channel that a queue cannot hold it. */
static void
flood(struct raw_leg *node, uint32_t channel)
{
	static uint8_t message[16 * 1024];

	for (int i = 0; i < 400; i++) {
		size_t n = leg_talk_message(message, channel, 10, 1296);

		assert_true(raw_leg_send(node, 0x82, message, n));
	}
}

struct slow {
	struct raw_leg *node, *client;
	uint32_t channel;
};

/* A client that does not read, on a relay with these settings, which is the test's to stop. */
static struct slow
open_slow(void **state, const char *settings)
{
	struct slow slow;
	int small = 4096;

	*state = &relay;
	relay_process_start(&relay, settings);
	slow.node = raw_leg_open(&relay.fixture, node_id, NULL);
	slow.client = raw_leg_open(&relay.fixture, node_id, session_id);
	slow.channel = leg_talk_channel(slow.node, session_id);
	setsockopt(slow.client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	flood(slow.node, slow.channel);
	return slow;
}

/* The last frame may be here before the relay says that nothing waits any more. */
static void
read_all(struct raw_leg *leg)
{
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	struct raw_frame frame;

	while (relay_fixture_counter(&relay.fixture, "queued_bytes") > 0 && !leg->is_ended) {
		assert_true(clock_monotonic_ms() < end_ms);
		raw_leg_receive_within(leg, &frame, STEP_MS);
	}
}

static void
test_what_waits_for_a_slow_reader_is_in_queue_age_seconds(void **state)
{
	struct slow slow = open_slow(state, "queue_age = 10s\nstall = 60s");

	relay_process_await(&relay, "drops_total{reason=\"queue_full\"}", 1);
	double before = relay_process_observations(&relay, "queue_age_seconds");
	assert_true(relay_process_figure(relay_process_scrape(&relay), "queued_bytes") > 0);
	read_all(slow.client);
	relay_process_await(&relay, "queue_age_seconds_count", before + 1);
	assert_true(relay_process_observations(&relay, "queue_age_seconds") > before);
	assert_true(relay_process_figure(relay_process_scrape(&relay), "queue_age_seconds_sum") >
		    0);
	raw_leg_close(&slow.client);
	raw_leg_close(&slow.node);
}

static void
test_what_a_slow_reader_loses_is_counted_by_reason(void **state)
{
	static const char aged[] = "drops_total{reason=\"queue_age\"}";
	struct slow slow = open_slow(state, "queue_age = 1ms\nstall = 60s");

	/* What it reads next has waited for longer than a millisecond. */
	relay_fixture_await(&relay.fixture, "queued_bytes", 1);
	relay_process_settle(&relay, "legs{role=\"client\"}", 1);
	read_all(slow.client);
	relay_process_await(&relay, aged, 1);
	flood(slow.node, slow.channel);
	relay_fixture_await(&relay.fixture, "queued_bytes", 1);
	raw_leg_close(&slow.client);
	relay_process_await(&relay, "drops_total{reason=\"leg_gone\"}", 1);
	raw_leg_close(&slow.node);
}

static void
test_a_slow_reader_that_is_closed_is_counted_as_stalled(void **state)
{
	struct slow slow =
		open_slow(state, "queue_budget = 1MiB\nqueue_bytes = 16MiB\nqueue_age = 10s\n"
				 "stall = 300ms");

	relay_process_await(&relay, "drops_total{reason=\"memory\"}", 1);
	relay_process_settle(&relay, "legs_closed_total{reason=\"stalled\"}", 1);
	raw_leg_close(&slow.client);
	raw_leg_close(&slow.node);
}

static void
test_what_a_node_sends_beyond_a_sessions_rate_is_counted(void **state)
{
	struct slow slow = open_slow(state, "rate = 8000\nstall = 60s");

	relay_process_await(&relay, "drops_total{reason=\"rate\"}", 1);
	raw_leg_close(&slow.client);
	raw_leg_close(&slow.node);
}

#define WITH_ITS_OWN(test) cmocka_unit_test_teardown(test, relay_process_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ITS_OWN(test_what_waits_for_a_slow_reader_is_in_queue_age_seconds),
		WITH_ITS_OWN(test_what_a_slow_reader_loses_is_counted_by_reason),
		WITH_ITS_OWN(test_a_slow_reader_that_is_closed_is_counted_as_stalled),
		WITH_ITS_OWN(test_what_a_node_sends_beyond_a_sessions_rate_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
