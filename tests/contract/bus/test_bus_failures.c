/*
 * What a caller is told when there is no good answer, over each transport: late, too large,
 * unknown, malformed, twice, and a server that goes and comes back.
 */
#include "echo_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
drops(struct metrics *metrics, const char *reason)
{
	char line[96];

	snprintf(line, sizeof(line), "bus_drops_total{reason=\"%s\"}", reason);
	return fixture_metric(metrics, line);
}

static void
test_call_without_an_answer_ends_at_its_deadline(void **state)
{
	struct asked asked;

	bus_peer_next(peer, 50, NULL);
	ask_and_wait(&asked, *state, peer, boson__test__echo__keep, "x");
	assert_failed(&asked, BUS_DEADLINE, "deadline");
}

static uint64_t
keeps_expired(void)
{
	return fixture_metric(echo.actor.metrics,
			      "bus_requests_total{method=\"Echo.Keep\",result=\"deadline\"}");
}

static void
test_answer_of_a_handler_after_the_deadline_is_dropped_and_counted(void **state)
{
	struct asked kept, said;
	uint64_t before = 0;

	/* Until one is there in time: the connection may take longer, or the actor's turn. */
	for (uint32_t timeout_ms = 50; atomic_load(&echo.kept_count) == 0; timeout_ms *= 2) {
		before = keeps_expired();
		bus_peer_next(peer, timeout_ms, NULL);
		ask_and_wait(&kept, *state, peer, boson__test__echo__keep, "x");
		ask_and_wait(&said, *state, peer, boson__test__echo__say, "x");
		assert_true(said.answered);
	}
	while (keeps_expired() == before) {
		ask_and_wait(&said, *state, peer, boson__test__echo__say, "x");
		assert_true(said.answered);
	}
	echo_release(&echo);
	ask_and_wait(&said, *state, peer, boson__test__echo__say, "x");
	assert_true(said.answered);
	assert_int_equal(kept.times, 1);
	assert_int_equal(drops(echo.actor.metrics, "late_answer"), 1);
}

static bool
late_reply_was_counted(void *arg)
{
	struct fixture *f = arg;

	return drops(f->metrics, "late_reply") > 0;
}

/* The server answers while it still has time by its own clock, but the caller has given up: here
 * because the actor was stuck while the request had been taken from its queue. */
static void
test_reply_to_a_call_that_is_over_is_dropped_and_counted(void **state)
{
	struct asked asked, said;

	ask_and_wait(&said, *state, peer, boson__test__echo__say, "x");
	echo_block(&echo);
	bus_peer_next(peer, 50, NULL);
	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "x");
	assert_failed(&asked, BUS_DEADLINE, "deadline");
	echo_unblock(&echo);
	while (!late_reply_was_counted(*state))
		ask_and_wait(&said, *state, peer, boson__test__echo__say, "x");
	assert_int_equal(asked.times, 1);
}

/* Same host, same clock: what waited too long in the queue has no effect. Over tcp the server
 * cannot know how long that was. */
static void
test_request_that_expired_in_the_queue_is_not_run(void **state)
{
	const struct fixture *f = *state;
	struct asked asked, said;

	if (f->transport == FIXTURE_TCP)
		return;
	ask_and_wait(&said, *state, peer, boson__test__echo__say, "x");
	echo_block(&echo);
	bus_peer_next(peer, 30, NULL);
	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "x");
	assert_failed(&asked, BUS_DEADLINE, "deadline");
	echo_unblock(&echo);
	ask_and_wait(&said, *state, peer, boson__test__echo__say, "x");
	assert_true(said.answered);
	assert_int_equal(atomic_load(&echo.said), 2);
}

/* The generated stubs insist on their own descriptor. */
static void
invoke_first(ProtobufCService *service, const Boson__Test__Words *input,
	     Boson__Test__Words_Closure closure, void *closure_data)
{
	service->invoke(service, 0, &input->base, (ProtobufCClosure)closure, closure_data);
}

/* F22: the next version's mailbox, then quite another one. */
static void
test_unknown_method_is_answered(void **state)
{
	static ProtobufCMethodDescriptor methods[8];
	ProtobufCServiceDescriptor newer = boson__test__echo__descriptor;
	struct fixture *f = *state;
	struct bus_peer *other = NULL;
	struct asked asked;

	memcpy(methods, newer.methods, newer.n_methods * sizeof(methods[0]));
	methods[0].name = "Sing"; /* the first is Say */
	newer.methods = methods;
	assert_int_equal(bus_peer_new(f->bus, f->endpoint, fixture_server_key(f), &newer, &other),
			 0);
	ask(&asked, f, other, invoke_first, "x");
	wait_end(&asked);
	assert_failed(&asked, BUS_INTERNAL, "unknown_method");
	newer.methods = boson__test__echo__descriptor.methods;
	newer.name = "boson.test.Other";
	ask(&asked, f, other, invoke_first, "x");
	wait_end(&asked);
	assert_failed(&asked, BUS_INTERNAL, "unknown_method");
	bus_peer_free(&other);
	assert_int_equal(atomic_load(&echo.said), 0);
}

static void
ask_with_payload(struct asked *asked, struct fixture *f, size_t n)
{
	Boson__Test__Words words = BOSON__TEST__WORDS__INIT;
	uint8_t *bytes = calloc(1, n);

	assert_non_null(bytes);
	words.has_payload = true;
	words.payload.data = bytes;
	words.payload.len = n;
	ask_words(asked, f, peer, boson__test__echo__say, &words);
	free(bytes);
	wait_end(asked);
}

static void
test_request_over_64_kib_fails_without_being_sent(void **state)
{
	struct asked asked;

	ask_with_payload(&asked, *state, BUS_MESSAGE_MAX_BYTES);
	assert_failed(&asked, BUS_TOO_LARGE, "message_too_large");
	ask_with_payload(&asked, *state, BUS_MESSAGE_MAX_BYTES - 4);
	assert_true(asked.answered);
	assert_int_equal(atomic_load(&echo.said), 1);
}

/* B62 */
static void
test_reply_over_64_kib_is_told_to_the_caller(void **state)
{
	Boson__Test__Words words = BOSON__TEST__WORDS__INIT;
	struct asked asked;

	words.has_size = true;
	words.size = BUS_MESSAGE_MAX_BYTES;
	ask_words(&asked, *state, peer, boson__test__echo__swell, &words);
	wait_end(&asked);
	assert_failed(&asked, BUS_TOO_LARGE, "reply_too_large");
}

/* B32 */
static void
test_request_with_too_many_elements_is_refused(void **state)
{
	Boson__Test__Words words = BOSON__TEST__WORDS__INIT;
	static uint32_t numbers[BUS_ELEMENTS_MAX + 1];
	struct asked asked;

	words.numbers = numbers;
	words.n_numbers = BUS_ELEMENTS_MAX + 1;
	ask_words(&asked, *state, peer, boson__test__echo__say, &words);
	wait_end(&asked);
	assert_failed(&asked, BUS_INVALID, "too_many_elements");
	words.n_numbers = BUS_ELEMENTS_MAX;
	ask_words(&asked, *state, peer, boson__test__echo__say, &words);
	wait_end(&asked);
	assert_true(asked.answered);
}

/* B36 */
static void
test_request_with_bad_utf8_is_refused(void **state)
{
	struct asked asked;

	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "caf\xe9");
	assert_failed(&asked, BUS_INVALID, "malformed");
	assert_int_equal(atomic_load(&echo.said), 0);
}

static void
test_server_that_goes_and_returns_is_used_again(void **state)
{
	const struct fixture *f = *state;
	struct asked asked, kept;

	ask_until_answered(*state, peer);
	bus_peer_next(peer, 20000, NULL);
	ask(&kept, *state, peer, boson__test__echo__keep, "x");
	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "x");
	echo_stop(&echo); /* tells what it still has: */
	wait_end(&kept);
	assert_false(kept.answered);
	assert_int_equal(kept.result.status, BUS_UNAVAILABLE);
	bus_peer_next(peer, f->transport == FIXTURE_INPROC ? 50 : 20000, NULL);
	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "x");
	assert_false(asked.answered);
	assert_int_equal(asked.result.status,
			 f->transport == FIXTURE_INPROC ? BUS_DEADLINE : BUS_UNAVAILABLE);
	echo_start(&echo, *state);
	ask_until_answered(*state, peer);
}

static void
test_client_may_connect_before_the_server_is_there(void **state)
{
	struct asked asked;

	echo_stop(&echo);
	bus_peer_free(&peer);
	peer = echo_peer(*state);
	bus_peer_next(peer, 50, NULL);
	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "x");
	assert_false(asked.answered);
	echo_start(&echo, *state);
	ask_until_answered(*state, peer);
}

static void
test_calls_to_a_server_that_is_down_fail_without_waiting(void **state)
{
	const struct fixture *f = *state;
	struct asked asked;

	if (f->transport == FIXTURE_INPROC)
		return; /* one process: it is not down without us */
	ask_until_answered(*state, peer);
	echo_stop(&echo);
	do {
		bus_peer_next(peer, 30000, NULL);
		ask_and_wait(&asked, *state, peer, boson__test__echo__say, "x");
	} while (asked.answered);
	assert_failed(&asked, BUS_UNAVAILABLE, "peer_down");
	echo_start(&echo, *state);
}

static void
test_freeing_a_peer_ends_its_calls(void **state)
{
	struct asked kept, waiting;

	ask_until_answered(*state, peer);
	ask(&kept, *state, peer, boson__test__echo__keep, "x");
	ask(&waiting, *state, peer, boson__test__echo__say, "x");
	bus_peer_free(&peer);
	assert_failed(&kept, BUS_UNAVAILABLE, "peer_closed");
	assert_failed(&waiting, BUS_UNAVAILABLE, "peer_closed");
	assert_int_equal(kept.times, 1);
}

struct freeing {
	struct asked asked; /* first: on_answer's */
	struct bus_peer **peer;
};

static void
free_the_peer(const Boson__Test__Words *reply, void *arg)
{
	struct freeing *freeing = arg;

	freeing->asked.ended = true;
	freeing->asked.times++;
	freeing->asked.answered = reply != NULL;
	bus_peer_free(freeing->peer);
	loop_stop(freeing->asked.fixture->loop);
}

static void
test_closure_may_free_its_peer(void **state)
{
	struct freeing freeing = { .asked = { .fixture = *state }, .peer = &peer };
	Boson__Test__Words words = BOSON__TEST__WORDS__INIT;
	struct asked other;

	ask_until_answered(*state, peer);
	boson__test__echo__say(bus_peer_service(peer), &words, free_the_peer, &freeing);
	ask(&other, *state, peer, boson__test__echo__keep, "x");
	wait_end(&freeing.asked);
	assert_true(freeing.asked.answered);
	assert_failed(&other, BUS_UNAVAILABLE, "peer_closed");
	assert_null(peer);
}

static void
test_calls_beyond_the_high_water_mark_fail_and_are_not_queued(void **state)
{
	enum { CALLS = 20000 };
	struct asked *asked = calloc(CALLS, sizeof(*asked));
	unsigned full = 0, answered = 0;

	assert_non_null(asked);
	ask_until_answered(*state, peer);
	echo_block(&echo);
	for (int i = 0; i < CALLS; i++) {
		bus_peer_next(peer, 30000, NULL);
		ask(&asked[i], *state, peer, boson__test__echo__say,
		    "a word of some length, so that the sockets' own buffers fill up as well: "
		    "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789");
	}
	echo_unblock(&echo);
	for (int i = 0; i < CALLS; i++) {
		wait_end(&asked[i]);
		full += !asked[i].answered && strcmp(asked[i].result.code, "peer_full") == 0;
		answered += asked[i].answered;
	}
	assert_int_equal(full + answered, CALLS);
	assert_true(full > 0);
	assert_true(answered >= BUS_MESSAGE_MAX_BYTES / 1024);
	free(asked);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_call_without_an_answer_ends_at_its_deadline),
		TEST(test_answer_of_a_handler_after_the_deadline_is_dropped_and_counted),
		TEST(test_reply_to_a_call_that_is_over_is_dropped_and_counted),
		TEST(test_request_that_expired_in_the_queue_is_not_run),
		TEST(test_unknown_method_is_answered),
		TEST(test_request_over_64_kib_fails_without_being_sent),
		TEST(test_reply_over_64_kib_is_told_to_the_caller),
		TEST(test_request_with_too_many_elements_is_refused),
		TEST(test_request_with_bad_utf8_is_refused),
		TEST(test_server_that_goes_and_returns_is_used_again),
		TEST(test_client_may_connect_before_the_server_is_there),
		TEST(test_calls_to_a_server_that_is_down_fail_without_waiting),
		TEST(test_freeing_a_peer_ends_its_calls),
		TEST(test_closure_may_free_its_peer),
		TEST(test_calls_beyond_the_high_water_mark_fail_and_are_not_queued),
	};

	return fixture_run(FIXTURE_INPROC, FIXTURE_TCP, tests);
}
