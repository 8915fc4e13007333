/*
 * What a leg's window begins with, on a real socket; and legs that only their pace holds up.
 */
#include "relay/relay_window.h"

#include "queue/leg_way.h"
#include "queue/tcp_pair.h"
#include "relay/relay_shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* It would take the queue that the last ping stood in for the way, and keep as long a one. */
static void
test_a_window_begins_with_the_least_delay_not_with_the_last(void **state)
{
	struct relay_leg leg = { .state = RELAY_LEG_OPEN, .rtt_us = 5000000 };
	int ends[2];

	(void)state;
	tcp_pair_connect(ends);
	assert_true(tcp_pair_fill(ends[0]));
	leg.fd = ends[0];
	relay_window_held(&leg);
	assert_non_null(leg.window);
	assert_int_equal(leg.window->least_us, leg_way_look(ends[0]).least_us);
	free(leg.window);
	close(ends[0]);
	close(ends[1]);
}

static struct relay_leg *
paced_leg(struct relay_shard *shard)
{
	struct relay_leg *leg = calloc(1, sizeof(*leg));

	assert_non_null(leg);
	assert_non_null(leg->window = calloc(1, sizeof(*leg->window)));
	leg->window->is_paced = true;
	relay_window_pace(shard, leg);
	relay_window_pace(shard, leg);
	return leg;
}

static void
free_leg(struct relay_leg *leg)
{
	free(leg->window);
	free(leg);
}

/* No pong need come for it, so nothing else would wake it. */
static void
test_a_leg_that_its_pace_holds_up_is_looked_at_a_millisecond_later(void **state)
{
	struct relay_shard *shard = calloc(1, sizeof(*shard));

	(void)state;
	assert_non_null(shard);
	shard->now_ms = 1000;
	assert_int_equal(relay_window_paced_ms(shard), INT64_MAX);
	struct relay_leg *leg = paced_leg(shard);
	assert_int_equal(relay_window_paced_ms(shard), 1001);
	relay_window_resume(shard);
	assert_null(shard->round.dirty);
	shard->now_ms = 1001;
	relay_window_resume(shard);
	assert_ptr_equal(shard->round.dirty, leg);
	assert_int_equal(relay_window_paced_ms(shard), INT64_MAX);
	free_leg(leg);
	free(shard);
}

static void
test_a_paced_leg_that_leaves_is_forgotten(void **state)
{
	struct relay_shard *shard = calloc(1, sizeof(*shard));

	(void)state;
	assert_non_null(shard);
	struct relay_leg *stays = paced_leg(shard), *leaves = paced_leg(shard);
	struct relay_leg *last = paced_leg(shard);
	relay_window_leave(leaves);
	free_leg(leaves);
	relay_window_leave(last);
	free_leg(last);
	shard->now_ms = 1;
	relay_window_resume(shard);
	assert_ptr_equal(shard->round.dirty, stays);
	assert_null(stays->next_dirty);
	relay_window_leave(stays);
	free_leg(stays);
	free(shard);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_window_begins_with_the_least_delay_not_with_the_last),
		cmocka_unit_test(
			test_a_leg_that_its_pace_holds_up_is_looked_at_a_millisecond_later),
		cmocka_unit_test(test_a_paced_leg_that_leaves_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
