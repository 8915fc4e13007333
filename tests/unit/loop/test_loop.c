/*
 * Descriptors, timers, posts and deferred calls; and taking any of them away while they run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/clock.h"
#include "loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct loop *loop;
static char trail[256]; /* what ran, in order */

static int
setup(void **state)
{
	(void)state;
	trail[0] = '\0';
	return loop_new(&loop);
}

static int
teardown(void **state)
{
	(void)state;
	loop_free(&loop);
	assert_null(loop);
	return 0;
}

static void
note(struct loop *l, void *arg)
{
	(void)l;
	strncat(trail, arg, sizeof(trail) - strlen(trail) - 1);
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

	assert_int_equal(loop_timer_start(loop, ms, 0, stop_in_three_turns, NULL, &timer), 0);
	assert_int_equal(loop_run(loop), 0);
}

static char *
text(const char *word)
{
	return (char *)(uintptr_t)word;
}

/* ---- timers ---- */

static void
test_timers_fire_in_the_order_of_their_dues(void **state)
{
	struct loop_timer *a = NULL, *b = NULL, *c = NULL, *d = NULL;

	(void)state;
	/* Steps so wide that starting all of them takes less than one. */
	loop_timer_start(loop, 150, 0, note, text("d"), &d);
	loop_timer_start(loop, 50, 0, note, text("b"), &b);
	loop_timer_start(loop, 100, 0, note, text("c"), &c);
	loop_timer_start(loop, 0, 0, note, text("a"), &a);
	run_for(200);
	assert_string_equal(trail, "abcd");
}

static void
test_many_timers_fire_in_order_although_some_were_stopped(void **state)
{
	static struct loop_timer *timers[200];
	static char words[200][2];
	char expected[201] = "";

	(void)state;
	/* Steps as wide as above. */
	for (int i = 0; i < 200; i++) {
		int due = (i * 37) % 10;
		words[i][0] = (char)('!' + due);
		loop_timer_start(loop, due * 50, 0, note, words[i], &timers[i]);
	}
	for (int i = 0; i < 200; i += 3)
		loop_timer_stop(&timers[i]);
	for (int due = 0; due < 10; due++) {
		for (int i = 0; i < 200; i++) {
			if (i % 3 != 0 && (i * 37) % 10 == due)
				strcat(expected, words[i]);
		}
	}
	run_for(600);
	assert_string_equal(trail, expected);
}

struct counted {
	struct loop_timer *timer;
	int left;
};

static void
count_down(struct loop *l, void *arg)
{
	struct counted *counted = arg;

	if (--counted->left == 0) {
		loop_timer_stop(&counted->timer);
		loop_stop(l);
	}
}

static void
test_periodic_timer_fires_until_it_stops_itself(void **state)
{
	struct counted counted = { .left = 5 };

	(void)state;
	assert_int_equal(loop_timer_start(loop, 1, 2, count_down, &counted, &counted.timer), 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(counted.left, 0);
	run_for(10);
	assert_int_equal(counted.left, 0);
}

static void
stop_itself(struct loop *l, void *arg)
{
	(void)l;
	loop_timer_stop(arg);
	strcat(trail, "x");
}

static void
test_one_shot_timer_may_stop_itself(void **state)
{
	struct loop_timer *timer = NULL;

	(void)state;
	loop_timer_start(loop, 0, 0, stop_itself, &timer, &timer);
	run_for(5);
	assert_null(timer);
	assert_string_equal(trail, "x");
}

static void
start_again(struct loop *l, void *arg)
{
	struct counted *counted = arg;

	if (--counted->left > 0)
		loop_timer_start(l, 0, 0, start_again, arg, &counted->timer);
	else
		loop_stop(l);
}

/* A timer of no delay that starts itself anew must not keep the turn from ending. */
static void
test_timer_started_by_a_timer_waits_for_the_next_turn(void **state)
{
	struct counted counted = { .left = 50 };
	struct loop_timer *timer = NULL;

	(void)state;
	loop_timer_start(loop, 0, 0, start_again, &counted, &counted.timer);
	loop_timer_start(loop, 0, 0, note, text("other"), &timer);
	assert_int_equal(loop_run(loop), 0);
	assert_string_equal(trail, "other");
}

static void
test_timer_never_fires_early(void **state)
{
	int64_t before_ms = clock_monotonic_ms();

	(void)state;
	run_for(15);
	assert_true(clock_monotonic_ms() - before_ms >= 15);
}

static void
test_impossible_times_are_refused(void **state)
{
	struct loop_timer *timer = NULL;

	(void)state;
	assert_int_equal(loop_timer_start(loop, INT64_MAX, 0, note, text("x"), &timer), -EINVAL);
	assert_int_equal(loop_timer_start(loop, 0, -1, note, text("x"), &timer), -EINVAL);
	assert_int_equal(loop_timer_start(loop, -5, 0, note, text("x"), &timer), 0);
	run_for(1);
	assert_string_equal(trail, "x");
}

/* ---- descriptors ---- */

static void
on_readable(struct loop *l, int fd, uint32_t events, void *arg)
{
	uint64_t count = 0;

	(void)l;
	assert_true(events & EPOLLIN);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	strcat(trail, arg);
}

static int
ready_fd(void)
{
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void
test_descriptor_is_told_when_it_is_ready(void **state)
{
	int fd = ready_fd();
	struct loop_fd *watch = NULL;

	(void)state;
	assert_int_equal(loop_fd_add(loop, fd, 0, on_readable, text("r"), &watch), 0);
	run_for(2);
	assert_string_equal(trail, "");
	assert_int_equal(loop_fd_set(watch, EPOLLIN), 0);
	run_for(2);
	assert_string_equal(trail, "r");
	loop_fd_remove(&watch);
	assert_null(watch);
	close(fd);
}

struct pair {
	struct loop_fd *one, *two;
	unsigned ran;
};

static void
remove_both(struct loop *l, int fd, uint32_t events, void *arg)
{
	struct pair *pair = arg;

	(void)l, (void)fd, (void)events;
	pair->ran++;
	loop_fd_remove(&pair->one);
	loop_fd_remove(&pair->two);
}

static void
test_callback_may_remove_another_that_is_ready_in_the_same_turn(void **state)
{
	int one = ready_fd(), two = ready_fd();
	struct pair pair = { 0 };

	(void)state;
	loop_fd_add(loop, one, EPOLLIN, remove_both, &pair, &pair.one);
	loop_fd_add(loop, two, EPOLLIN, remove_both, &pair, &pair.two);
	run_for(5);
	assert_int_equal(pair.ran, 1);
	close(one);
	close(two);
}

static void
test_bad_descriptor_is_an_error(void **state)
{
	struct loop_fd *watch = NULL;

	(void)state;
	assert_int_equal(loop_fd_add(loop, -1, EPOLLIN, on_readable, NULL, &watch), -EBADF);
	assert_null(watch);
}

/* ---- posts and deferred calls ---- */

static void
count_post(struct loop *l, void *arg)
{
	(void)l;
	++*(unsigned *)arg;
}

static void *
post_counts(void *arg)
{
	for (int i = 0; i < 5000; i++)
		assert_int_equal(loop_post(loop, count_post, arg), 0);
	loop_stop(loop);
	return NULL;
}

static void
test_posts_of_another_thread_run_here_and_stop_ends_the_loop(void **state)
{
	unsigned count = 0;
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, post_counts, &count);
	assert_int_equal(loop_run(loop), 0);
	pthread_join(thread, NULL);
	run_for(0);
	assert_int_equal(count, 5000);
}

static void
test_posts_are_bounded(void **state)
{
	unsigned count = 0;
	int r = 0;

	(void)state;
	for (int i = 0; i < 65536; i++)
		assert_int_equal(loop_post(loop, count_post, &count), 0);
	r = loop_post(loop, count_post, &count);
	assert_int_equal(r, -EAGAIN);
	run_for(0);
	assert_int_equal(count, 65536);
	assert_int_equal(loop_post(loop, count_post, &count), 0);
}

static void
post_again(struct loop *l, void *arg)
{
	strcat(trail, "p");
	loop_post(l, note, arg);
}

static void
test_post_from_a_post_runs_in_a_later_turn(void **state)
{
	(void)state;
	loop_post(loop, post_again, text("q"));
	run_for(5);
	assert_string_equal(trail, "pq");
}

static void
defer_end(struct loop *l, int fd, uint32_t events, void *arg)
{
	uint64_t count;

	(void)events;
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	strcat(trail, arg);
	loop_defer(l, note, text("|"));
}

static void
test_deferred_call_runs_after_all_descriptors_of_the_turn(void **state)
{
	int one = ready_fd(), two = ready_fd();
	struct loop_fd *a = NULL, *b = NULL;

	(void)state;
	loop_fd_add(loop, one, EPOLLIN, defer_end, text("r"), &a);
	loop_fd_add(loop, two, EPOLLIN, defer_end, text("r"), &b);
	run_for(5);
	assert_string_equal(trail, "rr||");
	loop_fd_remove(&a);
	loop_fd_remove(&b);
	close(one);
	close(two);
}

static void
test_stop_before_run_ends_it_at_once(void **state)
{
	(void)state;
	loop_stop(loop);
	assert_int_equal(loop_run(loop), 0);
	run_for(1); /* and only once */
}

static void
on_signal(int number)
{
	(void)number;
	loop_stop(loop);
}

static void *
send_signal(void *arg)
{
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return NULL;
}

static void
test_stop_from_a_signal_handler_wakes_the_loop(void **state)
{
	struct sigaction action = { .sa_handler = on_signal }, before;
	pthread_t self = pthread_self(), thread;

	(void)state;
	sigaction(SIGUSR1, &action, &before);
	pthread_create(&thread, NULL, send_signal, &self);
	assert_int_equal(loop_run(loop), 0);
	pthread_join(thread, NULL);
	sigaction(SIGUSR1, &before, NULL);
}

static void
test_freeing_a_loop_frees_what_was_left_in_it(void **state)
{
	struct loop_timer *timer = NULL;
	struct loop_fd *watch = NULL;
	struct loop *other = NULL;
	int fd = ready_fd();

	(void)state;
	assert_int_equal(loop_new(&other), 0);
	loop_timer_start(other, 1000, 0, note, text("x"), &timer);
	loop_fd_add(other, fd, EPOLLIN, on_readable, text("x"), &watch);
	loop_post(other, note, text("x"));
	loop_defer(other, note, text("x"));
	loop_free(&other);
	loop_free(&other);
	assert_string_equal(trail, "");
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_timers_fire_in_the_order_of_their_dues),
		TEST(test_many_timers_fire_in_order_although_some_were_stopped),
		TEST(test_periodic_timer_fires_until_it_stops_itself),
		TEST(test_one_shot_timer_may_stop_itself),
		TEST(test_timer_started_by_a_timer_waits_for_the_next_turn),
		TEST(test_timer_never_fires_early),
		TEST(test_impossible_times_are_refused),
		TEST(test_descriptor_is_told_when_it_is_ready),
		TEST(test_callback_may_remove_another_that_is_ready_in_the_same_turn),
		TEST(test_bad_descriptor_is_an_error),
		TEST(test_posts_of_another_thread_run_here_and_stop_ends_the_loop),
		TEST(test_posts_are_bounded),
		TEST(test_post_from_a_post_runs_in_a_later_turn),
		TEST(test_deferred_call_runs_after_all_descriptors_of_the_turn),
		TEST(test_stop_before_run_ends_it_at_once),
		TEST(test_stop_from_a_signal_handler_wakes_the_loop),
		TEST(test_freeing_a_loop_frees_what_was_left_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
