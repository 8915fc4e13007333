/*
 * The socket to a relay's UDP ingress: whom it hears, and from where it speaks. Relay and stranger
 * are sockets of the test's on loopback.
 */
#include "client/client_udp_socket.h"
#include "wg/datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { DATAGRAM_BYTES = 128, PATIENCE_SEC = 10 };

static const uint8_t datagram[3 * DATAGRAM_BYTES] = { DATAGRAM_TRANSPORT };

static struct {
	struct loop *loop;
	struct client_udp_socket *socket;
	int relay_fd, stranger_fd;
	uint16_t relay_port, stranger_port;
	size_t heard, heard_n; /* times; bytes of the last */
	bool is_out_of_patience;
} rig;

static void
on_heard(const uint8_t *bytes, size_t n, size_t segment, void *arg)
{
	(void)arg;
	assert_int_equal(segment, n);
	assert_int_equal(bytes[0], DATAGRAM_TRANSPORT);
	rig.heard++;
	rig.heard_n = n;
	loop_stop(rig.loop);
}

static int
open_socket(uint16_t *ret_port)
{
	const struct timeval patience = { .tv_sec = PATIENCE_SEC };
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof address;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int
set_up(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof rig);
	rig.relay_fd = open_socket(&rig.relay_port);
	rig.stranger_fd = open_socket(&rig.stranger_port);
	assert_int_equal(loop_new(&rig.loop), 0);
	assert_int_equal(client_udp_socket_new(rig.loop, on_heard, NULL, &rig.socket), 0);
	assert_int_equal(client_udp_socket_aim(rig.socket, "127.0.0.1", rig.relay_port), 1);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	client_udp_socket_free(&rig.socket);
	loop_free(&rig.loop);
	close(rig.relay_fd);
	close(rig.stranger_fd);
	return 0;
}

static void
out_of_patience(struct loop *loop, void *arg)
{
	(void)arg;
	rig.is_out_of_patience = true;
	loop_stop(loop);
}

/* Until something is heard. */
static void
run(void)
{
	struct loop_timer *guard = NULL;

	assert_int_equal(
		loop_timer_start(rig.loop, PATIENCE_SEC * 1000, 0, out_of_patience, NULL, &guard),
		0);
	assert_int_equal(loop_run(rig.loop), 0);
	assert_false(rig.is_out_of_patience);
	loop_timer_stop(&guard);
}

/* Where it came from. */
static struct sockaddr_in
hear(int fd)
{
	uint8_t bytes[sizeof datagram];
	struct sockaddr_in from;
	socklen_t n = sizeof from;

	assert_int_equal(recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &n),
			 DATAGRAM_BYTES);
	return from;
}

/* What this one hears of us. */
static struct sockaddr_in
speak_to(int fd)
{
	assert_int_equal(
		client_udp_socket_send(rig.socket, datagram, DATAGRAM_BYTES, DATAGRAM_BYTES), 1);
	return hear(fd);
}

static void
say(int fd, const struct sockaddr_in *to, size_t n)
{
	assert_int_equal(sendto(fd, datagram, n, 0, (const struct sockaddr *)to, sizeof *to), n);
}

static void
test_nobody_but_the_relay_is_heard(void **state)
{
	const struct sockaddr_in us = speak_to(rig.relay_fd);

	(void)state;
	say(rig.stranger_fd, &us, DATAGRAM_BYTES);
	say(rig.relay_fd, &us, DATAGRAM_BYTES + 16);
	run();
	assert_int_equal(rig.heard, 1);
	assert_int_equal(rig.heard_n, DATAGRAM_BYTES + 16);
}

static void
test_what_is_not_wireguards_is_not_heard(void **state)
{
	const struct sockaddr_in us = speak_to(rig.relay_fd);

	(void)state;
	say(rig.relay_fd, &us, 0);
	say(rig.relay_fd, &us, 3);
	say(rig.relay_fd, &us, DATAGRAM_BYTES);
	run();
	assert_int_equal(rig.heard, 1);
	assert_int_equal(rig.heard_n, DATAGRAM_BYTES);
}

static void
test_a_bundle_arrives_as_its_datagrams(void **state)
{
	(void)state;
	assert_int_equal(
		client_udp_socket_send(rig.socket, datagram, sizeof datagram, DATAGRAM_BYTES), 3);
	for (int i = 0; i < 3; i++)
		hear(rig.relay_fd);
}

static void
test_another_relay_hears_us_from_the_same_port_and_is_the_one_heard(void **state)
{
	const struct sockaddr_in us = speak_to(rig.relay_fd);

	(void)state;
	assert_int_equal(client_udp_socket_aim(rig.socket, "127.0.0.1", rig.relay_port), 0);
	assert_int_equal(client_udp_socket_aim(rig.socket, "127.0.0.1", rig.stranger_port), 1);
	assert_int_equal(speak_to(rig.stranger_fd).sin_port, us.sin_port);
	say(rig.relay_fd, &us, DATAGRAM_BYTES);
	say(rig.stranger_fd, &us, DATAGRAM_BYTES + 16);
	run();
	assert_int_equal(rig.heard, 1);
	assert_int_equal(rig.heard_n, DATAGRAM_BYTES + 16);
}

static void
test_what_is_no_address_closes_it(void **state)
{
	(void)state;
	assert_int_equal(client_udp_socket_aim(rig.socket, "relay.example.org", 1), -EINVAL);
	assert_int_equal(
		client_udp_socket_send(rig.socket, datagram, DATAGRAM_BYTES, DATAGRAM_BYTES), 0);
	assert_int_equal(client_udp_socket_aim(rig.socket, "127.0.0.1", rig.relay_port), 1);
	speak_to(rig.relay_fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nobody_but_the_relay_is_heard),
		TEST(test_what_is_not_wireguards_is_not_heard),
		TEST(test_a_bundle_arrives_as_its_datagrams),
		TEST(test_another_relay_hears_us_from_the_same_port_and_is_the_one_heard),
		TEST(test_what_is_no_address_closes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
