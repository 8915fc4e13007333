/*
 * The deadlines of a leg: its timer stands at the earliest of them, and not before; pings of legs
 * that came together are spread. A shard without its thread.
 */
#include "shard_alone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LEGS = 20 };

static struct shard_alone rig;
static struct relay_shard *shard;
static struct relay_leg *legs[LEGS];
static int fds[LEGS];

static int
set_up(void **state)
{
	struct relay_settings settings = shard_alone_settings;

	(void)state;
	settings.stall_ms = 2000;
	settings.handshake_ms = 10000;
	settings.half_frame_ms = 30000;
	settings.ping_ms = 15000;
	shard_alone_start(&rig, &settings);
	shard = rig.shard;
	for (unsigned i = 0; i < LEGS; i++)
		fds[i] = shard_alone_attach(&rig, TICKET_ROLE_SESSION, i, &legs[i]);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LEGS; i++)
		close(fds[i]);
	shard_alone_stop(&rig);
	return 0;
}

static int64_t
deadline_of(struct relay_leg *leg)
{
	relay_leg_arm(shard, leg);
	return leg->timer.deadline_ms;
}

static void
test_a_legs_timer_stands_at_the_earliest_of_its_deadlines(void **state)
{
	struct relay_leg *leg = legs[0];
	int64_t now_ms = shard->now_ms;

	(void)state;
	leg->heard_ms = now_ms;
	leg->ping_ms = now_ms + 100000;
	assert_int_equal(deadline_of(leg), now_ms + rig.settings.silence_ms);
	leg->half_ms = now_ms - 1;
	assert_int_equal(deadline_of(leg), now_ms - 1 + rig.settings.half_frame_ms);
	leg->ping_ms = now_ms + 5000;
	assert_int_equal(deadline_of(leg), now_ms + 5000);
	leg->expires_ms = now_ms + 4000;
	assert_int_equal(deadline_of(leg), now_ms + 4000);
	leg->stall.since_ms = now_ms;
	leg->stall.look_ms = now_ms + 100000;
	assert_int_equal(deadline_of(leg), now_ms + rig.settings.stall_ms);
	leg->stall.since_ms = 0;
}

/* W19: a leg that is not admitted has one deadline, whatever comes. */
static void
test_w19_before_it_is_admitted_a_leg_has_its_handshakes_deadline(void **state)
{
	struct relay_leg *leg = relay_leg_new(shard, dup(STDERR_FILENO));

	(void)state;
	assert_non_null(leg);
	leg->heard_ms = shard->now_ms + 5000;
	assert_int_equal(deadline_of(leg), shard->now_ms + rig.settings.handshake_ms);
	relay_timer_stop(&shard->wheel, &leg->timer);
	relay_leg_free(&leg);
}

/* T45: they came back together after a relay's death. */
static void
test_pings_of_legs_that_came_together_are_spread_over_a_third(void **state)
{
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (unsigned i = 0; i < LEGS; i++) {
		legs[i]->heard_ms = legs[i]->ping_ms = shard->now_ms;
		relay_leg_on_timer(shard, legs[i]);
		int64_t after_ms = legs[i]->ping_ms - shard->now_ms;
		least = after_ms < least ? after_ms : least;
		most = after_ms > most ? after_ms : most;
	}
	assert_in_range(least, rig.settings.ping_ms, rig.settings.ping_ms * 4 / 3);
	assert_in_range(most, least + 1, rig.settings.ping_ms * 4 / 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_legs_timer_stands_at_the_earliest_of_its_deadlines, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_w19_before_it_is_admitted_a_leg_has_its_handshakes_deadline, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_pings_of_legs_that_came_together_are_spread_over_a_third, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
