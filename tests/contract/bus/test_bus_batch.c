/*
 * Group commit: replies and events leave after the commit, or say that it failed.
 */
#include "echo_stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
setup(void **state)
{
	struct fixture *f = stage_open(state);

	echo.batched = true;
	stage_start(f);
	ask_until_answered(*state, peer);
	return 0;
}

enum { CALLS = 300 };

static void
ask_many(struct asked *asked, void **state)
{
	echo_block(&echo);

	for (int i = 0; i < CALLS; i++)
		ask(&asked[i], *state, peer, boson__test__echo__say, "x");
	echo_unblock(&echo);
	for (int i = 0; i < CALLS; i++)
		wait_end(&asked[i]);
}

static void
test_requests_that_wait_are_committed_together(void **state)
{
	static struct asked asked[CALLS];
	unsigned before = atomic_load(&echo.commits);

	ask_many(asked, state);
	for (int i = 0; i < CALLS; i++)
		assert_true(asked[i].answered);
	assert_true(atomic_load(&echo.commits) - before < CALLS / 2);
	assert_true(atomic_load(&echo.largest_batch) > 1);
	assert_true(atomic_load(&echo.largest_batch) <= 256);
	assert_int_equal(atomic_load(&echo.begins), atomic_load(&echo.commits));
}

static void
test_failing_commit_makes_every_reply_of_the_batch_unavailable(void **state)
{
	static struct asked asked[CALLS];
	struct asked refused;

	echo.commit_result = -EIO;
	ask_many(asked, state);
	for (int i = 0; i < CALLS; i++)
		assert_failed(&asked[i], BUS_UNAVAILABLE, "store_failed");
	/* An answer "no" was also read from what was not committed. */
	ask_and_wait(&refused, *state, peer, boson__test__echo__refuse, "x");
	assert_failed(&refused, BUS_UNAVAILABLE, "store_failed");
}

static void
test_failing_begin_runs_no_handler(void **state)
{
	unsigned said = atomic_load(&echo.said), commits = atomic_load(&echo.commits);
	struct asked asked;

	echo.begin_result = -EIO;
	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "x");
	assert_failed(&asked, BUS_UNAVAILABLE, "store_failed");
	assert_int_equal(atomic_load(&echo.said), said);
	assert_int_equal(atomic_load(&echo.commits), commits);
}

static void
test_answer_outside_a_batch_needs_no_commit(void **state)
{
	struct asked kept, said;

	ask(&kept, *state, peer, boson__test__echo__keep, "x");
	ask_and_wait(&said, *state, peer, boson__test__echo__say, "x");
	unsigned commits = atomic_load(&echo.commits);
	echo_release(&echo);
	wait_end(&kept);
	assert_true(kept.answered);
	assert_int_equal(atomic_load(&echo.commits), commits);
}

static void
test_ping_opens_no_batch(void **state)
{
	unsigned begins = atomic_load(&echo.begins);

	assert_true(fixture_ping(*state, peer, 5000));
	assert_int_equal(atomic_load(&echo.begins), begins);
}

/* ---- events ---- */

static void
test_events_of_a_failed_commit_are_never_heard(void **state)
{
	struct fixture *f = *state;
	struct heard heard;
	struct asked asked;

	hear(&heard, f, &boson__test__shout__descriptor);
	fixture_run_until(f, has_heard_a_gap, &heard);
	echo.commit_result = -EIO;
	ask_and_wait(&asked, f, peer, boson__test__echo__publish, "lost");
	assert_failed(&asked, BUS_UNAVAILABLE, "store_failed");
	echo.commit_result = 0;
	ask_and_wait(&asked, f, peer, boson__test__echo__publish, "kept");
	assert_true(asked.answered);
	fixture_run_until(f, has_heard_an_event, &heard);
	assert_string_equal(heard.last, "kept");
	assert_int_equal(heard.events, 1);
	assert_int_equal(heard.gaps, 1); /* and it left no hole in the numbers */
	assert_int_equal(
		fixture_metric(echo.actor.metrics, "bus_drops_total{reason=\"uncommitted\"}"), 2);
	bus_unsubscribe(&heard.subscription);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, stage_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_requests_that_wait_are_committed_together),
		TEST(test_failing_commit_makes_every_reply_of_the_batch_unavailable),
		TEST(test_failing_begin_runs_no_handler),
		TEST(test_answer_outside_a_batch_needs_no_commit),
		TEST(test_ping_opens_no_batch),
		TEST(test_events_of_a_failed_commit_are_never_heard),
	};

	return fixture_run(FIXTURE_INPROC, FIXTURE_TCP, tests);
}
