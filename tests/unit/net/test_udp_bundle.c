/*
 * Which datagrams go as one, and that what goes as one is told apart where it arrives. Real sockets
 * on loopback.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/udp_bundle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { SIZE = 1000, LAST = 300, PATIENCE_MS = 10 * 1000 };

static uint8_t zeros[UDP_BUNDLE_READ_BYTES];

static size_t
run_of(const size_t *sizes, size_t n)
{
	struct iovec datagrams[100];

	for (size_t i = 0; i < n; i++)
		datagrams[i] = (struct iovec){ zeros, sizes[i] };
	return udp_bundle_run(datagrams, n);
}

static void
test_a_run_is_of_one_size_and_ends_with_a_shorter_one(void **state)
{
	size_t many[100], large[100];

	(void)state;
	assert_int_equal(run_of((const size_t[]){ 100 }, 1), 1);
	assert_int_equal(run_of((const size_t[]){ 100, 100, 100 }, 3), 3);
	assert_int_equal(run_of((const size_t[]){ 100, 100, 50, 100 }, 4), 3);
	assert_int_equal(run_of((const size_t[]){ 100, 200, 200 }, 3), 1);
	assert_int_equal(run_of((const size_t[]){ 100, 50, 50 }, 3), 2);
	for (size_t i = 0; i < 100; i++) {
		many[i] = 100;
		large[i] = 6000;
	}
	assert_int_equal(run_of(many, 100), UDP_BUNDLE_DATAGRAMS_MAX);
	assert_int_equal(run_of(large, 100), UDP_BUNDLE_BYTES_MAX / 6000);
}

static int
open_socket(struct sockaddr_in *ret)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof *ret;

	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)ret, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &n), 0);
	udp_bundle_prepare(fd, 1 << 20);
	return fd;
}

struct arrived {
	in_port_t from;
	size_t all, count; /* bytes, datagrams */
	size_t bundles;
};

static void
on_bundle(struct msghdr *header, const uint8_t *bytes, size_t n, size_t segment, void *arg)
{
	const struct sockaddr_in *from = header->msg_name;
	struct arrived *arrived = arg;

	assert_memory_equal(bytes, zeros, n);
	assert_true(segment == SIZE || (n == LAST && segment == LAST));
	arrived->from = from->sin_port;
	arrived->all += n;
	arrived->count += (n + segment - 1) / segment;
	arrived->bundles++;
}

static int
read_some(int fd, struct arrived *arrived)
{
	static struct udp_bundle_reads reads;
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
	return udp_bundle_read(fd, &reads, on_bundle, arrived);
}

static void
test_a_bundle_is_told_apart_where_it_arrives(void **state)
{
	enum { N = 10, ALL = (N - 1) * SIZE + LAST };
	_Alignas(struct cmsghdr) uint8_t control[64] = { 0 };
	struct iovec datagrams[N];
	struct sockaddr_in from, to;
	struct arrived arrived = { 0 };

	(void)state;
	int sender = open_socket(&from), receiver = open_socket(&to);
	for (size_t i = 0; i < N; i++)
		datagrams[i] = (struct iovec){ zeros, i + 1 < N ? SIZE : LAST };
	struct msghdr header = { .msg_name = &to,
				 .msg_namelen = sizeof to,
				 .msg_iov = datagrams,
				 .msg_iovlen = N,
				 .msg_control = control };
	udp_bundle_mark(&header, SIZE);
	assert_int_equal(sendmsg(sender, &header, 0), ALL);
	while (arrived.all < ALL)
		read_some(receiver, &arrived);
	assert_int_equal(arrived.all, ALL);
	assert_int_equal(arrived.count, N);
	assert_int_equal(arrived.from, from.sin_port);
	close(sender);
	close(receiver);
}

static void
test_a_read_that_took_all_it_can_says_that_there_may_be_more(void **state)
{
	enum { N = 2 * UDP_BUNDLE_READS + 1 };
	static struct udp_bundle_reads reads;
	struct arrived arrived = { 0 };
	struct sockaddr_in from, to;

	(void)state;
	int sender = open_socket(&from), receiver = open_socket(&to);
	assert_int_equal(udp_bundle_read(receiver, &reads, on_bundle, &arrived), 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(sendto(sender, zeros, LAST, 0, (struct sockaddr *)&to, sizeof to),
				 LAST);
	while (arrived.count < N) {
		arrived.bundles = 0;
		int r = read_some(receiver, &arrived);
		assert_in_range(arrived.bundles, 1, UDP_BUNDLE_READS);
		assert_int_equal(r, arrived.bundles == UDP_BUNDLE_READS);
	}
	close(sender);
	close(receiver);
	assert_int_equal(udp_bundle_read(receiver, &reads, on_bundle, &arrived), -EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_run_is_of_one_size_and_ends_with_a_shorter_one),
		cmocka_unit_test(test_a_bundle_is_told_apart_where_it_arrives),
		cmocka_unit_test(test_a_read_that_took_all_it_can_says_that_there_may_be_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
