/*
 * ZeroMQ sockets on the loop: no message is overlooked, none starves the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/loop.h"

#include <pthread.h>
#include <string.h>

static struct loop *loop;
static zsock_t *left, *right;

static int
setup(void **state)
{
	static unsigned number;
	char endpoint[64];

	(void)state;
	zsys_handler_set(NULL);
	snprintf(endpoint, sizeof(endpoint), "inproc://test-loop-%u", ++number);
	left = zsock_new(ZMQ_PAIR);
	right = zsock_new(ZMQ_PAIR);
	zsock_set_unbounded(left);
	zsock_set_unbounded(right);
	assert_int_equal(zsock_bind(left, "%s", endpoint), 0);
	assert_int_equal(zsock_connect(right, "%s", endpoint), 0);
	return loop_new(&loop);
}

static int
teardown(void **state)
{
	(void)state;
	loop_free(&loop);
	zsock_destroy(&left);
	zsock_destroy(&right);
	return 0;
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

struct counted {
	unsigned got, wanted;
};

static void
on_message(struct loop *l, zsock_t *socket, void *arg)
{
	struct counted *counted = arg;
	char *text = zstr_recv(socket);

	assert_non_null(text);
	zstr_free(&text);
	if (++counted->got == counted->wanted)
		loop_stop(l);
}

static void
test_messages_that_came_before_the_socket_was_added_are_seen(void **state)
{
	struct counted counted = { .wanted = 3 };
	struct loop_zsock *watch = NULL;

	(void)state;
	for (int i = 0; i < 3; i++)
		zstr_send(right, "x");
	/* Swallows the edge that ZMQ_FD gives. */
	assert_true(zsock_events(left) & ZMQ_POLLIN);
	assert_int_equal(loop_zsock_add(loop, left, on_message, &counted, &watch), 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(counted.got, 3);
	loop_zsock_remove(&watch);
	assert_null(watch);
}

struct sender {
	zsock_t *socket;
	unsigned n;
};

static void *
send_many(void *arg)
{
	struct sender *sender = arg;

	for (unsigned i = 0; i < sender->n; i++)
		zstr_send(sender->socket, "x");
	return NULL;
}

static void
test_every_message_of_another_thread_is_seen(void **state)
{
	struct counted counted = { .wanted = 50000 };
	struct sender sender = { right, 50000 };
	struct loop_zsock *watch = NULL;
	pthread_t thread;

	(void)state;
	assert_int_equal(loop_zsock_add(loop, left, on_message, &counted, &watch), 0);
	pthread_create(&thread, NULL, send_many, &sender);
	assert_int_equal(loop_run(loop), 0);
	pthread_join(thread, NULL);
	assert_int_equal(counted.got, 50000);
	loop_zsock_remove(&watch);
}

/* Sending looks at the socket's mailbox and may take the only sign that something came. */
struct pinger {
	struct counted counted;
	struct loop_zsock *watch;
};

static void
send_and_check(struct loop *l, void *arg)
{
	struct pinger *pinger = arg;

	(void)l;
	zstr_send(left, "ping");
	loop_zsock_check(pinger->watch);
}

static void *
answer_many(void *arg)
{
	for (unsigned i = 0; i < *(unsigned *)arg; i++) {
		char *text = zstr_recv(right);
		zstr_free(&text);
		zstr_send(right, "pong");
	}
	return NULL;
}

static void
on_pong(struct loop *l, zsock_t *socket, void *arg)
{
	struct pinger *pinger = arg;

	on_message(l, socket, &pinger->counted);
	if (pinger->counted.got < pinger->counted.wanted)
		loop_defer(l, send_and_check, pinger);
}

static void
test_answer_that_came_while_we_sent_is_seen(void **state)
{
	struct pinger pinger = { .counted.wanted = 2000 };
	unsigned n = 2000;
	pthread_t thread;

	(void)state;
	assert_int_equal(loop_zsock_add(loop, left, on_pong, &pinger, &pinger.watch), 0);
	pthread_create(&thread, NULL, answer_many, &n);
	loop_defer(loop, send_and_check, &pinger);
	assert_int_equal(loop_run(loop), 0);
	pthread_join(thread, NULL);
	assert_int_equal(pinger.counted.got, 2000);
	loop_zsock_remove(&pinger.watch);
}

static void
answer_itself(struct loop *l, zsock_t *socket, void *arg)
{
	char *text = zstr_recv(socket);

	(void)l, (void)arg;
	zstr_free(&text);
	zstr_send(right, "again"); /* so there is always one more */
}

static void
test_socket_that_is_never_empty_does_not_starve_a_timer(void **state)
{
	struct loop_zsock *watch = NULL;
	struct loop_timer *timer = NULL;

	(void)state;
	zstr_send(right, "x");
	assert_int_equal(loop_zsock_add(loop, left, answer_itself, NULL, &watch), 0);
	assert_int_equal(loop_timer_start(loop, 5, 0, stop_in_three_turns, NULL, &timer), 0);
	assert_int_equal(loop_run(loop), 0);
	loop_zsock_remove(&watch);
}

struct removing {
	struct loop_zsock *watch;
	unsigned ran;
};

static void
remove_itself(struct loop *l, zsock_t *socket, void *arg)
{
	struct removing *removing = arg;
	char *text = zstr_recv(socket);

	(void)l;
	zstr_free(&text);
	removing->ran++;
	loop_zsock_check(removing->watch);
	loop_zsock_remove(&removing->watch);
}

static void
test_callback_may_remove_its_own_socket(void **state)
{
	struct removing removing = { 0 };
	struct loop_timer *timer = NULL;

	(void)state;
	zstr_send(right, "x");
	zstr_send(right, "y");
	assert_int_equal(loop_zsock_add(loop, left, remove_itself, &removing, &removing.watch), 0);
	loop_timer_start(loop, 5, 0, stop_in_three_turns, NULL, &timer);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(removing.ran, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_messages_that_came_before_the_socket_was_added_are_seen),
		TEST(test_every_message_of_another_thread_is_seen),
		TEST(test_answer_that_came_while_we_sent_is_seen),
		TEST(test_socket_that_is_never_empty_does_not_starve_a_timer),
		TEST(test_callback_may_remove_its_own_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
