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
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

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
	struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof *ret;

	*ret = (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)ret, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &n), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	udp_bundle_prepare(fd, 1 << 20);
	return fd;
}

/* What one read brings, and how long its datagrams are. */
static size_t
read_bundle(int fd, size_t *ret_segment)
{
	static uint8_t bytes[UDP_BUNDLE_READ_BYTES];
	_Alignas(struct cmsghdr) uint8_t control[64];
	struct iovec vector = { bytes, sizeof bytes };
	struct msghdr header = { .msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof control };
	ssize_t n = recvmsg(fd, &header, 0);

	assert_true(n > 0);
	*ret_segment = udp_bundle_segment(&header, (size_t)n);
	return (size_t)n;
}

static void
test_a_bundle_is_told_apart_where_it_arrives(void **state)
{
	enum { N = 10, SIZE = 1000, LAST = 300 };
	_Alignas(struct cmsghdr) uint8_t control[64] = { 0 };
	struct iovec datagrams[N];
	struct sockaddr_in from, to;
	size_t all = 0, count = 0, segment;

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
	assert_int_equal(sendmsg(sender, &header, 0), (N - 1) * SIZE + LAST);
	while (all < (N - 1) * SIZE + LAST) {
		size_t n = read_bundle(receiver, &segment);
		assert_true(segment == SIZE || (n == LAST && segment == LAST));
		count += (n + segment - 1) / segment;
		all += n;
	}
	assert_int_equal(all, (N - 1) * SIZE + LAST);
	assert_int_equal(count, N);
	close(sender);
	close(receiver);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_run_is_of_one_size_and_ends_with_a_shorter_one),
		cmocka_unit_test(test_a_bundle_is_told_apart_where_it_arrives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
