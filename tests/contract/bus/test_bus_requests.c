/*
 * What a request and its reply carry, over each transport.
 */
#include "echo_stage.h"

#include <stdio.h>
#include <string.h>

static void
test_reply_comes_back_to_the_closure(void **state)
{
	struct asked asked;

	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "hello");
	assert_true(asked.answered);
	assert_int_equal(asked.result.status, BUS_OK);
	assert_string_equal(asked.text, "hello");
	assert_int_equal(fixture_metric(((struct fixture *)*state)->metrics,
					"bus_calls_total{method=\"Echo.Say\",result=\"ok\"}"),
			 1);
	assert_int_equal(fixture_metric(echo.actor.metrics,
					"bus_requests_total{method=\"Echo.Say\",result=\"ok\"}"),
			 1);
}

static bool
all_ended(void *arg)
{
	struct asked *asked = arg;

	for (int i = 0; i < 500; i++) {
		if (!asked[i].ended)
			return false;
	}
	return true;
}

static void
test_many_calls_in_flight_each_get_their_own_reply(void **state)
{
	static struct asked asked[500];
	char text[24];

	for (int i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "word %d", i);
		ask(&asked[i], *state, peer, boson__test__echo__say, text);
	}
	fixture_run_until(*state, all_ended, asked);
	for (int i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "word %d", i);
		assert_int_equal(asked[i].times, 1);
		assert_string_equal(asked[i].text, text);
	}
}

static void
test_failure_carries_status_code_and_field(void **state)
{
	struct asked asked;

	ask_and_wait(&asked, *state, peer, boson__test__echo__refuse, "x");
	assert_failed(&asked, BUS_CONFLICT, "said_before");
	assert_string_equal(asked.result.field, "text");
	ask_and_wait(&asked, *state, peer, boson__test__echo__refuse, "limit");
	assert_failed(&asked, BUS_LIMITED, "too_many");
	assert_int_equal(asked.result.retry_after_sec, 7);
}

static void
test_call_may_be_answered_after_its_handler_returned(void **state)
{
	struct asked kept, said;

	ask(&kept, *state, peer, boson__test__echo__keep, "x");
	ask_and_wait(&said, *state, peer, boson__test__echo__say, "meanwhile");
	assert_true(said.answered);
	assert_false(kept.ended);
	echo_release(&echo);
	wait_end(&kept);
	assert_string_equal(kept.text, "kept");
}

static void
test_handler_learns_trace_peer_and_deadline(void **state)
{
	const struct fixture *f = *state;
	const char *trace = "00112233445566778899aabbccddeeff";
	struct asked asked;

	bus_peer_next(peer, 20000, trace);
	ask_and_wait(&asked, *state, peer, boson__test__echo__whoami, NULL);
	assert_string_equal(asked.trace, trace);
	assert_string_equal(asked.text, f->transport == FIXTURE_TCP ? "gateway" : "local");
	assert_in_range(asked.left_ms, 1, 20000);
	ask_and_wait(&asked, *state, peer, boson__test__echo__whoami, NULL);
	assert_int_equal(strlen(asked.trace), 32);
	assert_string_not_equal(asked.trace, trace);
	assert_in_range(asked.left_ms, 1, BUS_DEADLINE_DEFAULT_MS);
}

/* B44 */
static void
test_deadline_of_a_month_is_clamped_to_thirty_seconds(void **state)
{
	struct asked asked;

	bus_peer_next(peer, 30u * 24 * 3600 * 1000, NULL);
	ask_and_wait(&asked, *state, peer, boson__test__echo__whoami, NULL);
	assert_true(asked.answered);
	assert_in_range(asked.left_ms, 1, BUS_DEADLINE_MAX_MS);
}

static void
test_ping_is_answered_without_a_handler(void **state)
{
	assert_true(fixture_ping(*state, peer, 5000));
	assert_int_equal(atomic_load(&echo.said), 0);
}

static void
test_ping_of_a_stuck_actor_fails(void **state)
{

	assert_true(fixture_ping(*state, peer, 5000));
	echo_block(&echo);
	assert_false(fixture_ping(*state, peer, 100));
	echo_unblock(&echo);
	assert_true(fixture_ping(*state, peer, 5000));
}

static void
test_largest_reply_passes(void **state)
{
	Boson__Test__Words words = BOSON__TEST__WORDS__INIT;
	struct asked asked;

	words.has_size = true;
	words.size = BUS_MESSAGE_MAX_BYTES - 4; /* tag and length of the field */
	ask_words(&asked, *state, peer, boson__test__echo__swell, &words);
	wait_end(&asked);
	assert_true(asked.answered);
	assert_int_equal(asked.payload_bytes, words.size);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reply_comes_back_to_the_closure),
		TEST(test_many_calls_in_flight_each_get_their_own_reply),
		TEST(test_failure_carries_status_code_and_field),
		TEST(test_call_may_be_answered_after_its_handler_returned),
		TEST(test_handler_learns_trace_peer_and_deadline),
		TEST(test_deadline_of_a_month_is_clamped_to_thirty_seconds),
		TEST(test_ping_is_answered_without_a_handler),
		TEST(test_ping_of_a_stuck_actor_fails),
		TEST(test_largest_reply_passes),
	};

	return fixture_run(FIXTURE_INPROC, FIXTURE_TCP, tests);
}
