/*
 * Many deadlines under one timer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/bus_deadline.h"
#include "loop/clock.h"

#include <stdlib.h>

enum { MANY = 500 };

static struct loop *loop;
static struct bus_deadlines deadlines;
static struct bus_deadline items[MANY];
static size_t fired;
static int64_t last_ms;

static int
setup(void **state)
{
	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	deadlines = (struct bus_deadlines){ .loop = loop };
	fired = 0;
	last_ms = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	bus_deadlines_fini(&deadlines);
	loop_free(&loop);
	return 0;
}

static void
on_due(struct bus_deadline *deadline)
{
	assert_true(deadline->due_ms <= clock_monotonic_ms());
	assert_true(deadline->due_ms >= last_ms);
	assert_int_equal(deadline->place, 0);
	last_ms = deadline->due_ms;
	fired++;
}

/* Three more turns after the time is up: a machine that stands still for a while must not make a
 * test fail. */
static void
stop_in_three_turns(struct loop *l, void *arg)
{
	static unsigned turns;
	struct loop_timer *timer = NULL;

	if (++turns % 3 != 0)
		loop_timer_start(l, 0, 0, stop_in_three_turns, arg, &timer);
	else
		loop_stop(l);
}

static void
run_for(int64_t ms)
{
	struct loop_timer *timer = NULL;

	loop_timer_start(loop, ms, 0, stop_in_three_turns, NULL, &timer);
	assert_int_equal(loop_run(loop), 0);
}

static void
add_many(void)
{
	int64_t now_ms = clock_monotonic_ms();

	for (int i = 0; i < MANY; i++) {
		items[i] = (struct bus_deadline){ .due_ms = now_ms + (i * 53) % 40, .fn = on_due };
		assert_int_equal(bus_deadline_add(&deadlines, &items[i]), 0);
	}
}

static void
test_deadlines_fire_in_order_and_once(void **state)
{
	(void)state;
	add_many();
	run_for(60);
	assert_int_equal(fired, MANY);
	run_for(10);
	assert_int_equal(fired, MANY);
}

static void
test_removed_deadlines_do_not_fire(void **state)
{
	(void)state;
	add_many();
	for (int i = 0; i < MANY; i += 2)
		bus_deadline_remove(&deadlines, &items[i]);
	bus_deadline_remove(&deadlines, &items[0]); /* a second time does nothing */
	run_for(60);
	assert_int_equal(fired, MANY / 2);
}

static void
test_earlier_deadline_added_later_is_not_late(void **state)
{
	(void)state;
	items[0] = (struct bus_deadline){ .due_ms = clock_monotonic_ms() + 60000, .fn = on_due };
	items[1] = (struct bus_deadline){ .due_ms = clock_monotonic_ms() + 5, .fn = on_due };
	bus_deadline_add(&deadlines, &items[0]);
	bus_deadline_add(&deadlines, &items[1]);
	run_for(30);
	assert_int_equal(fired, 1);
	assert_int_equal(items[1].place, 0);
	assert_int_not_equal(items[0].place, 0);
}

static void
remove_next(struct bus_deadline *deadline)
{
	fired++;
	bus_deadline_remove(&deadlines, deadline + 1);
}

static void
test_deadline_may_remove_another_that_is_due(void **state)
{
	int64_t now_ms = clock_monotonic_ms();

	(void)state;
	items[0] = (struct bus_deadline){ .due_ms = now_ms, .fn = remove_next };
	items[1] = (struct bus_deadline){ .due_ms = now_ms + 1, .fn = remove_next };
	items[2] = (struct bus_deadline){ .due_ms = now_ms + 2, .fn = on_due };
	for (int i = 0; i < 3; i++)
		bus_deadline_add(&deadlines, &items[i]);
	run_for(20);
	assert_int_equal(fired, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_deadlines_fire_in_order_and_once),
		TEST(test_removed_deadlines_do_not_fire),
		TEST(test_earlier_deadline_added_later_is_not_late),
		TEST(test_deadline_may_remove_another_that_is_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
