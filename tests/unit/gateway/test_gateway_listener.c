/*
 * gateway_listener: how many connections one address may have (T09). In a network namespace of its
 * own, where this machine has two IPv6 networks.
 */
#include "gateway/gateway_limits.h"
#include "gateway/gateway_listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIMIT = 2, DEADLINE_MS = 10 * 1000 };

static struct loop *loop;
static struct metrics *metrics;
static struct gateway_limits limits;
static struct gateway_listener *listener;

static bool
serve(struct gateway_connection *connection, int socket, void *arg)
{
	(void)connection;
	(void)socket;
	(void)arg;
	fail_msg("nobody has sent a head");
	return false;
}

static int
setup(void **state)
{
	(void)state;
	/* Root's alone; without it the tests are skipped. */
	if (unshare(CLONE_NEWNET) < 0)
		return 0;
	if (system("ip link set lo up && ip -6 addr add 2001:db8:1::1/64 dev lo nodad && "
		   "ip -6 addr add 2001:db8:1::2/64 dev lo nodad && "
		   "ip -6 addr add 2001:db8:2::1/64 dev lo nodad") != 0)
		return -1;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(metrics_new("gateway", &metrics), 0);
	struct gateway_listener_options options = {
		.host = "::",
		.connections_max = 100,
		.connections_per_address = LIMIT,
		.head_ms = 2 * DEADLINE_MS,
		.limits = &limits,
		.metrics = metrics,
		.serve = serve,
	};
	assert_int_equal(gateway_listener_open(loop, &options, &listener), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	gateway_listener_close(&listener);
	metrics_free(&metrics);
	loop_free(&loop);
	return 0;
}

static int
connect_from(const char *text)
{
	struct sockaddr_in6 from = { .sin6_family = AF_INET6 };
	struct sockaddr_in6 to = { .sin6_family = AF_INET6,
				   .sin6_port = htons(gateway_listener_port(listener)) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(inet_pton(AF_INET6, text, &from.sin6_addr), 1);
	assert_int_equal(inet_pton(AF_INET6, "2001:db8:1::1", &to.sin6_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

struct wish {
	int fd; /* whose end is waited for */
	int64_t deadline_ms;
	bool is_closed;
};

static void
look(struct loop *in, void *arg)
{
	struct wish *wish = arg;
	struct pollfd ready = { .fd = wish->fd, .events = POLLIN };
	wish->is_closed = poll(&ready, 1, 0) == 1;
	if (wish->is_closed || loop_now_ms(in) >= wish->deadline_ms)
		loop_stop(in);
}

static bool
is_closed(int fd)
{
	struct wish wish = { .fd = fd, .deadline_ms = loop_now_ms(loop) + DEADLINE_MS };
	struct loop_timer *often = NULL;
	assert_int_equal(loop_timer_start(loop, 5, 5, look, &wish, &often), 0);
	assert_int_equal(loop_run(loop), 0);
	loop_timer_stop(&often);
	return wish.is_closed;
}

/* Who has one IPv6 address has 2^64 of them. */
static void
test_T09_an_ipv6_network_counts_as_one_address(void **state)
{
	(void)state;
	if (listener == NULL) {
		print_message("skipped: needs a network namespace, and root for it\n");
		skip();
	}
	int one = connect_from("2001:db8:1::1"), two = connect_from("2001:db8:1::2");
	int other = connect_from("2001:db8:2::1"), over = connect_from("2001:db8:1::2");
	assert_true(is_closed(over));
	/* The others were accepted before it, and are there. */
	const int kept[] = { one, two, other };
	for (size_t i = 0; i < 3; i++) {
		struct pollfd ready = { .fd = kept[i], .events = POLLIN };
		assert_int_equal(poll(&ready, 1, 0), 0);
		close(kept[i]);
	}
	close(over);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_T09_an_ipv6_network_counts_as_one_address),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
