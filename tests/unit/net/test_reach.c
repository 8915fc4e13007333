/*
 * Which address of several is taken: one that swallows everything, as a family without a way to the
 * internet does, one that refuses, and none. Real sockets: an address that swallows is a listener
 * whose queue is full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/reach.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { FILLERS_MAX = 8, FULL_MS = 300, DEADLINE_MS = 20 * 1000 };

static struct loop *loop;
static struct reach *reach;
static bool is_over, is_none;
static struct sockaddr_in found;
static int open_fds[FILLERS_MAX + 4];
static size_t open_n;

static struct sockaddr_in
address_of(uint32_t last, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(0x7f000000 | last) };
}

static int
tcp_socket(int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	assert_true(fd >= 0);
	open_fds[open_n++] = fd;
	return fd;
}

/* Listens at 127.0.0.last; its port. */
static uint16_t
listen_at(uint32_t last, uint16_t port, int backlog)
{
	struct sockaddr_in address = address_of(last, port);
	socklen_t n = sizeof address;
	int fd = tcp_socket(0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	return ntohs(address.sin_port);
}

/* Until one more gets no answer. */
static void
fill(uint32_t last, uint16_t port)
{
	struct sockaddr_in address = address_of(last, port);
	struct pollfd one = { .events = POLLOUT };

	for (int i = 0; i < FILLERS_MAX; i++) {
		one.fd = tcp_socket(SOCK_NONBLOCK);
		(void)connect(one.fd, (struct sockaddr *)&address, sizeof address);
		if (poll(&one, 1, FULL_MS) == 0)
			return;
	}
	fail_msg("the queue is never full");
}

static void
on_reached(const struct sockaddr_storage *address, bool is_reached, void *arg)
{
	(void)arg;
	is_over = true;
	is_none = !is_reached;
	memcpy(&found, address, sizeof found);
	loop_stop(loop);
}

static void
on_deadline(struct loop *l, void *arg)
{
	(void)arg;
	loop_stop(l);
}

static void
start(const uint32_t *lasts, size_t n, uint16_t port)
{
	struct sockaddr_storage addresses[4] = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct sockaddr_in address = address_of(lasts[i], 0);
		memcpy(&addresses[i], &address, sizeof address);
	}
	assert_int_equal(reach_start(loop, addresses, n, port, on_reached, NULL, &reach), 0);
	assert_false(is_over);
}

static void
run(void)
{
	struct loop_timer *deadline;

	assert_int_equal(loop_timer_start(loop, DEADLINE_MS, 0, on_deadline, NULL, &deadline), 0);
	assert_int_equal(loop_run(loop), 0);
	assert_true(is_over);
	assert_null(reach);
	loop_timer_stop(&deadline);
}

static int
begin(void **state)
{
	(void)state;
	is_over = is_none = false;
	open_n = 0;
	return loop_new(&loop);
}

static int
end(void **state)
{
	(void)state;
	reach_stop(&reach);
	while (open_n > 0)
		close(open_fds[--open_n]);
	loop_free(&loop);
	return 0;
}

static void
test_an_address_that_swallows_everything_is_passed_over(void **state)
{
	uint16_t port = listen_at(1, 0, 8);

	(void)state;
	listen_at(2, port, 0);
	fill(2, port);
	start((const uint32_t[]){ 2, 1 }, 2, port);
	run();
	assert_false(is_none);
	assert_int_equal(ntohl(found.sin_addr.s_addr), 0x7f000001);
}

static void
test_an_address_that_refuses_is_passed_over(void **state)
{
	uint16_t port = listen_at(1, 0, 8);

	(void)state;
	start((const uint32_t[]){ 3, 4, 1 }, 3, port);
	run();
	assert_false(is_none);
	assert_int_equal(ntohl(found.sin_addr.s_addr), 0x7f000001);
}

static void
test_the_first_of_two_that_answer_is_taken(void **state)
{
	uint16_t port = listen_at(1, 0, 8);

	(void)state;
	listen_at(2, port, 8);
	start((const uint32_t[]){ 2, 1 }, 2, port);
	run();
	assert_int_equal(ntohl(found.sin_addr.s_addr), 0x7f000002);
}

static void
test_nobody_who_answers_is_said(void **state)
{
	uint16_t port = listen_at(1, 0, 0);

	(void)state;
	fill(1, port);
	start((const uint32_t[]){ 1 }, 1, port);
	run();
	assert_true(is_none);
	is_over = false;
	start((const uint32_t[]){ 3, 4 }, 2, port);
	run();
	assert_true(is_none);
	assert_int_equal(ntohl(found.sin_addr.s_addr), 0x7f000003);
}

static void
test_it_can_be_stopped_while_it_tries(void **state)
{
	struct sockaddr_storage none = { 0 };
	uint16_t port = listen_at(1, 0, 0);

	(void)state;
	fill(1, port);
	start((const uint32_t[]){ 1, 3 }, 2, port);
	reach_stop(&reach);
	assert_null(reach);
	reach_stop(&reach);
	assert_int_equal(reach_start(loop, &none, 0, port, on_reached, NULL, &reach), -EINVAL);
}

#define REACH_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		REACH_TEST(test_an_address_that_swallows_everything_is_passed_over),
		REACH_TEST(test_an_address_that_refuses_is_passed_over),
		REACH_TEST(test_the_first_of_two_that_answer_is_taken),
		REACH_TEST(test_nobody_who_answers_is_said),
		REACH_TEST(test_it_can_be_stopped_while_it_tries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
