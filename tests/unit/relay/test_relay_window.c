/*
 * What a leg's window begins with, on a real socket.
 */
#include "relay/relay_window.h"

#include "queue/leg_way.h"
#include "queue/tcp_pair.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_window_begins_with_the_least_delay_not_with_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
