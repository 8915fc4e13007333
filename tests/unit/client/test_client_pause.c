/*
 * How long a client waits after a relay refused it or let it go: a relay that is mad costs the
 * server no storm of questions (T20).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/client_pause.h"

enum { START_MS = 1000 * 1000, HALF = INT32_MAX };

static void
test_t20_a_relay_that_keeps_nobody_is_met_by_growing_pauses(void **state)
{
	struct client_pause pause = { 0 };
	int64_t now_ms = START_MS, wanted_ms = PAUSE_REFUSED_MS;

	(void)state;
	for (int i = 0; i < 20; i++) {
		client_pause_up(&pause, now_ms);
		now_ms += PAUSE_STAYED_MS - 1;
		int64_t waited_ms = client_pause_refused_ms(&pause, now_ms, (uint32_t)HALF + 1);
		assert_int_equal(waited_ms, wanted_ms);
		now_ms += waited_ms;
		if (wanted_ms < PAUSE_REFUSED_MAX_MS)
			wanted_ms *= 2;
	}
}

static void
test_a_leg_that_never_came_up_was_not_let_in(void **state)
{
	struct client_pause pause = { 0 };

	(void)state;
	assert_int_equal(client_pause_refused_ms(&pause, START_MS, 0), PAUSE_REFUSED_MS / 2);
	assert_int_equal(client_pause_refused_ms(&pause, 2 * START_MS, 0), PAUSE_REFUSED_MS);
	/* Nor one that had stayed, but went for another reason since. */
	client_pause_up(&pause, 2 * START_MS);
	client_pause_down(&pause);
	assert_int_equal(client_pause_refused_ms(&pause, 3 * START_MS, 0), 2 * PAUSE_REFUSED_MS);
}

static void
test_a_leg_that_stayed_begins_anew(void **state)
{
	struct client_pause pause = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++)
		client_pause_refused_ms(&pause, START_MS, 0);
	client_pause_up(&pause, START_MS);
	assert_int_equal(client_pause_refused_ms(&pause, START_MS + PAUSE_STAYED_MS, 0),
			 PAUSE_REFUSED_MS / 2);
}

static void
test_those_whom_one_relay_lets_go_do_not_ask_at_one_moment(void **state)
{
	struct client_pause one = { 0 }, other = { 0 };

	(void)state;
	assert_int_equal(client_pause_refused_ms(&one, START_MS, 0), PAUSE_REFUSED_MS / 2);
	assert_int_equal(client_pause_refused_ms(&other, START_MS, UINT32_MAX),
			 PAUSE_REFUSED_MS / 2 + PAUSE_REFUSED_MS - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_t20_a_relay_that_keeps_nobody_is_met_by_growing_pauses),
		cmocka_unit_test(test_a_leg_that_never_came_up_was_not_let_in),
		cmocka_unit_test(test_a_leg_that_stayed_begins_anew),
		cmocka_unit_test(test_those_whom_one_relay_lets_go_do_not_ask_at_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
