/*
 * Events: each once and in order, and whoever missed some is told so.
 */
#include "echo_stage.h"

#include <stdio.h>
#include <string.h>

static struct heard heard;

static bool
has_heard_three(void *arg)
{
	return ((struct heard *)arg)->events >= 3;
}

static void
publish(void **state, const char *text)
{
	struct asked asked;

	ask_and_wait(&asked, *state, peer, boson__test__echo__publish, text);
	assert_true(asked.answered);
}

static int
setup(void **state)
{
	stage_setup(state);
	ask_until_answered(*state, peer);
	return 0;
}

static int
teardown(void **state)
{
	bus_unsubscribe(&heard.subscription);
	return stage_teardown(state);
}

static void
test_new_subscriber_is_told_to_ask_for_a_snapshot(void **state)
{
	hear(&heard, *state, &boson__test__shout__descriptor);
	fixture_run_until(*state, has_heard_a_gap, &heard);
	assert_int_equal(heard.events, 0);
	assert_int_equal(heard.empty_gaps, 1);
}

/* Also: ShoutLoud, whose name begins with Shout's, is published too and not heard. */
static void
test_events_come_in_order_and_without_gap(void **state)
{
	hear(&heard, *state, &boson__test__shout__descriptor);
	fixture_run_until(*state, has_heard_a_gap, &heard);
	publish(state, "one");
	publish(state, "two");
	publish(state, "three");
	fixture_run_until(*state, has_heard_three, &heard);
	assert_int_equal(heard.events, 3);
	assert_string_equal(heard.last, "three");
	assert_int_equal(heard.gaps, 1);
	assert_false(heard.last_had_gap);
}

static void
test_publisher_that_restarts_is_a_gap(void **state)
{
	hear(&heard, *state, &boson__test__shout__descriptor);
	fixture_run_until(*state, has_heard_a_gap, &heard);
	publish(state, "before");
	fixture_run_until(*state, has_heard_an_event, &heard);
	heard.gaps = heard.events = 0;
	echo_stop(&echo);
	echo_start(&echo, *state);
	fixture_run_until(*state, has_heard_a_gap, &heard);
	assert_int_equal(heard.events, 0);
	ask_until_answered(*state, peer);
	publish(state, "after");
	fixture_run_until(*state, has_heard_an_event, &heard);
	assert_string_equal(heard.last, "after");
	assert_int_equal(heard.gaps, 1);
}

/* B52: the subscriber is stuck while more is published than its queue holds. */
static void
test_subscriber_that_was_too_slow_learns_of_it(void **state)
{
	enum { MANY = 12000, AT_ONCE = 500 };
	static struct asked asked[AT_ONCE];
	struct fixture *f = *state;
	/* A subscriber on a loop of its own, which does not run meanwhile. */
	struct loop *loop = NULL;
	struct bus *bus = NULL;
	struct bus_subscription *subscription = NULL;
	struct fixture slow = { 0 };
	static char text[4096];

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(bus_new(loop, f->metrics, "slow", &f->client_security, &bus), 0);
	slow.loop = loop;
	heard = (struct heard){ .fixture = &slow };
	assert_int_equal(bus_subscribe(bus, f->events_endpoint, fixture_server_key(f),
				       &boson__test__shout__descriptor, on_heard, &heard,
				       &subscription),
			 0);
	fixture_run_until(&slow, has_heard_a_gap, &heard);
	assert_int_equal(heard.gaps, 1);
	memset(text, 'x', sizeof(text) - 1);
	for (int done = 0; done < MANY; done += AT_ONCE) {
		for (int i = 0; i < AT_ONCE; i++)
			ask(&asked[i], f, peer, boson__test__echo__publish, text);
		for (int i = 0; i < AT_ONCE; i++) {
			wait_end(&asked[i]);
			assert_true(asked[i].answered);
		}
	}
	heard.gaps = 0;
	fixture_run_until(&slow, has_heard_a_gap, &heard);
	assert_true(heard.events < MANY);
	bus_unsubscribe(&subscription);
	bus_free(&bus);
	loop_free(&loop);
}

static void
test_subscriber_may_unsubscribe_from_its_own_event(void **state)
{
	hear(&heard, *state, &boson__test__shout__descriptor);
	heard.unsubscribe = true;
	fixture_run_until(*state, has_heard_a_gap, &heard);
	assert_null(heard.subscription);
	publish(state, "unheard");
	assert_int_equal(heard.events, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_new_subscriber_is_told_to_ask_for_a_snapshot),
		TEST(test_events_come_in_order_and_without_gap),
		TEST(test_publisher_that_restarts_is_a_gap),
		TEST(test_subscriber_that_was_too_slow_learns_of_it),
		TEST(test_subscriber_may_unsubscribe_from_its_own_event),
	};

	return fixture_run(FIXTURE_INPROC, FIXTURE_TCP, tests);
}
