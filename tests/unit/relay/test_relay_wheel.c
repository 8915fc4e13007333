/*
 * The wheel of deadlines, at times that are passed in.
 */
#include "relay/relay_wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
note_fired(struct relay_timer *timer, void *arg)
{
	int64_t *fired = arg;

	fired[timer->kind]++;
}

static void
test_deadlines_fire_once_and_never_early(void **state)
{
	static struct relay_wheel wheel;
	struct relay_timer timers[3] = { { .kind = 0 }, { .kind = 1 }, { .kind = 2 } };
	int64_t fired[3] = { 0 }, fired_at[3] = { 0 };
	static const int64_t deadlines[3] = { 1000 + 10, 1000 + 2000, 1000 + 300 * 1000 };

	(void)state;
	relay_wheel_init(&wheel, 1000);
	assert_int_equal(relay_wheel_timeout_ms(&wheel, 1000), -1);
	for (int i = 0; i < 3; i++)
		relay_timer_set(&wheel, &timers[i], deadlines[i]);
	for (int64_t now = 1000; now < 1000 + 400 * 1000; now += 37) {
		int64_t before[3];

		memcpy(before, fired, sizeof(before));
		relay_wheel_advance(&wheel, now, note_fired, fired);
		for (int i = 0; i < 3; i++)
			if (fired[i] != before[i])
				fired_at[i] = now;
		assert_true(wheel.count == 0 || relay_wheel_timeout_ms(&wheel, now) <= 250);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fired[i], 1);
		assert_in_range(fired_at[i], deadlines[i], deadlines[i] + 250 + 37);
	}
	assert_int_equal(wheel.count, 0);
}

static void
test_a_deadline_moves_and_stops(void **state)
{
	static struct relay_wheel wheel;
	struct relay_timer timer = { .kind = 0 };
	int64_t fired[1] = { 0 };

	(void)state;
	relay_wheel_init(&wheel, 0);
	relay_timer_set(&wheel, &timer, 1000);
	relay_timer_set(&wheel, &timer, 5000);
	relay_wheel_advance(&wheel, 4000, note_fired, fired);
	assert_int_equal(fired[0], 0);
	relay_timer_stop(&wheel, &timer);
	relay_timer_stop(&wheel, &timer);
	relay_wheel_advance(&wheel, 9000, note_fired, fired);
	assert_int_equal(fired[0], 0);
	/* After a sleep much longer than the wheel is wide. */
	relay_timer_set(&wheel, &timer, 10000);
	relay_wheel_advance(&wheel, 10 * 3600 * 1000, note_fired, fired);
	assert_int_equal(fired[0], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deadlines_fire_once_and_never_early),
		cmocka_unit_test(test_a_deadline_moves_and_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
