/*
 * The one UDP socket between legs and WireGuard, on real sockets in a network namespace of this
 * test's own. A plain socket stands for WireGuard: it says from where a datagram came, and answers
 * there. T17: each channel has its own address; nobody but WireGuard is heard.
 */
#include "forwarder/tunnel_socket.h"

#include "own_network.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 10000, TRANSPORT_BYTES = 1312, RECEIVED_MAX = 256 };

struct fixture {
	struct loop *loop;
	struct loop_timer *deadline;
	struct metrics *metrics;
	struct tunnel_socket *socket;
	int wireguard; /* the stand-in */
	struct {
		struct in_addr to;
		size_t n;
		uint8_t mark;
	} received[RECEIVED_MAX];
	size_t count, wanted, batches, others;
};

static void
on_deadline(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
on_datagram(struct in_addr to, const uint8_t *datagram, size_t n, void *arg)
{
	struct fixture *f = arg;
	if (f->count < RECEIVED_MAX) {
		f->received[f->count].to = to;
		f->received[f->count].n = n;
		f->received[f->count].mark = datagram[n - 1];
	}
	f->count++;
}

static void
on_batch_end(void *arg)
{
	struct fixture *f = arg;
	f->batches++;
	if (f->count >= f->wanted)
		loop_stop(f->loop);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof address;
	if (!f)
		return -1;
	*state = f;
	if (!own_network())
		return 0;
	f->wireguard = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = DEADLINE_MS / 1000 };
	setsockopt(f->wireguard, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (bind(f->wireguard, (struct sockaddr *)&address, n) < 0 ||
	    getsockname(f->wireguard, (struct sockaddr *)&address, &n) < 0)
		return -1;
	const struct tunnel_socket_events events = { .on_datagram = on_datagram,
						     .on_batch_end = on_batch_end,
						     .arg = f };
	return loop_new(&f->loop) < 0 || metrics_new("test", &f->metrics) < 0 ||
			       loop_timer_start(f->loop, DEADLINE_MS, 0, on_deadline, f,
						&f->deadline) < 0 ||
			       tunnel_socket_new(f->loop, f->metrics, ntohs(address.sin_port),
						 &events, &f->socket) < 0
		       ? -1
		       : 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	if (f->loop) {
		tunnel_socket_free(&f->socket);
		loop_free(&f->loop);
		metrics_free(&f->metrics);
		close(f->wireguard);
	}
	free(f);
	return 0;
}

static struct in_addr
address_of(const char *text)
{
	struct in_addr address;
	assert_int_equal(inet_pton(AF_INET, text, &address), 1);
	return address;
}

/* A transport message of n bytes that ends in `mark`. */
static uint8_t *
transport(size_t n, uint8_t mark)
{
	uint8_t *datagram = calloc(1, n);
	assert_non_null(datagram);
	datagram[0] = 4;
	datagram[n - 1] = mark;
	return datagram;
}

static void
expect_at_wireguard(struct fixture *f, const char *from, size_t n, uint8_t mark)
{
	uint8_t datagram[2048];
	struct sockaddr_in source;
	socklen_t length = sizeof source;
	ssize_t got = recvfrom(f->wireguard, datagram, sizeof datagram, 0,
			       (struct sockaddr *)&source, &length);
	assert_int_equal(got, n);
	assert_int_equal(datagram[n - 1], mark);
	assert_int_equal(source.sin_addr.s_addr, address_of(from).s_addr);
}

static void
send_as(int fd, struct fixture *f, const char *to, size_t n, uint8_t mark)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(tunnel_socket_port(f->socket)),
				       .sin_addr = address_of(to) };
	uint8_t *datagram = transport(n, mark);
	assert_int_equal(sendto(fd, datagram, n, 0, (struct sockaddr *)&address, sizeof address),
			 n);
	free(datagram);
}

static void
test_datagram_leaves_from_its_channels_address(void **state)
{
	struct fixture *f = *state;
	if (!f->loop)
		skip();
	uint8_t *datagram = transport(TRANSPORT_BYTES, 7);
	struct iovec one = { datagram, TRANSPORT_BYTES };
	tunnel_socket_send(f->socket, address_of("127.1.2.3"), &one, 1);
	tunnel_socket_send(f->socket, address_of("127.200.100.50"), &one, 1);
	expect_at_wireguard(f, "127.1.2.3", TRANSPORT_BYTES, 7);
	expect_at_wireguard(f, "127.200.100.50", TRANSPORT_BYTES, 7);
	free(datagram);
}

/* Runs of one size, a shorter one at the end of a run, and a longer one after it: each arrives
 * alone, whole and in order, whatever GSO made of them on the way. */
static void
test_batch_arrives_datagram_by_datagram_in_order(void **state)
{
	static const size_t sizes[] = { 1312, 1312, 1312, 96, 1312, 1312, 96, 96, 64, 1312, 32 };
	enum { N = sizeof sizes / sizeof *sizes };
	struct fixture *f = *state;
	struct iovec batch[N];
	if (!f->loop)
		skip();
	for (size_t i = 0; i < N; i++)
		batch[i] = (struct iovec){ transport(sizes[i], (uint8_t)i), sizes[i] };
	tunnel_socket_send(f->socket, address_of("127.1.2.3"), batch, N);
	for (size_t i = 0; i < N; i++) {
		expect_at_wireguard(f, "127.1.2.3", sizes[i], (uint8_t)i);
		free(batch[i].iov_base);
	}
}

static void
test_full_batch_of_a_leg_arrives(void **state)
{
	enum { N = 64 };
	struct fixture *f = *state;
	struct iovec batch[N];
	if (!f->loop)
		skip();
	for (size_t i = 0; i < N; i++)
		batch[i] = (struct iovec){ transport(1008, (uint8_t)i), 1008 };
	tunnel_socket_send(f->socket, address_of("127.1.2.3"), batch, N);
	for (size_t i = 0; i < N; i++) {
		expect_at_wireguard(f, "127.1.2.3", 1008, (uint8_t)i);
		free(batch[i].iov_base);
	}
}

/* W57, W59 */
static void
test_what_has_no_wireguard_shape_is_dropped_and_counted(void **state)
{
	struct fixture *f = *state;
	if (!f->loop)
		skip();
	uint8_t *good = transport(96, 1), *odd = transport(96, 2), *type = transport(96, 3);
	type[0] = 5;
	struct iovec batch[] = { { odd, 95 }, { good, 96 }, { type, 96 }, { good, 96 } };
	tunnel_socket_send(f->socket, address_of("127.1.2.3"), batch, 4);
	expect_at_wireguard(f, "127.1.2.3", 96, 1);
	expect_at_wireguard(f, "127.1.2.3", 96, 1);
	assert_int_equal(tunnel_socket_drops(f->socket), 2);
	free(good);
	free(odd);
	free(type);
}

static void
test_answer_tells_which_channel_it_is_for(void **state)
{
	struct fixture *f = *state;
	if (!f->loop)
		skip();
	f->wanted = 3;
	send_as(f->wireguard, f, "127.1.2.3", 96, 1);
	send_as(f->wireguard, f, "127.200.100.50", 1312, 2);
	send_as(f->wireguard, f, "127.1.2.3", 32, 3);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(f->received[i].mark, i + 1);
	assert_int_equal(f->received[0].to.s_addr, address_of("127.1.2.3").s_addr);
	assert_int_equal(f->received[1].to.s_addr, address_of("127.200.100.50").s_addr);
	assert_int_equal(f->received[1].n, 1312);
	assert_true(f->batches >= 1);
}

/* What GRO joined is taken apart again. */
static void
test_answers_sent_in_one_bundle_are_told_apart(void **state)
{
	enum { N = 40 };
	struct fixture *f = *state;
	struct iovec batch[N];
	if (!f->loop)
		skip();
	for (size_t i = 0; i < N; i++)
		batch[i] = (struct iovec){ transport(i + 1 < N ? 512 : 64, (uint8_t)i),
					   i + 1 < N ? 512 : 64 };
	int bundle = f->wireguard, size = 512;
	assert_int_equal(setsockopt(bundle, SOL_UDP, UDP_SEGMENT, &size, sizeof size), 0);
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(tunnel_socket_port(f->socket)),
				  .sin_addr = address_of("127.9.9.9") };
	struct msghdr message = {
		.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = batch, .msg_iovlen = N
	};
	f->wanted = N;
	assert_true(sendmsg(bundle, &message, 0) > 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(f->received[i].mark, i);
		assert_int_equal(f->received[i].n, i + 1 < N ? 512 : 64);
		free(batch[i].iov_base);
	}
}

/* Something else of the loop that always wants a turn. */
static void
on_other(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop;
	(void)fd;
	(void)events;
	struct fixture *f = arg;
	f->others++;
}

/* What one session sends is read in bounded turns, others have theirs in between, and what another
 * session sends behind it comes. */
static void
test_a_flood_of_one_session_leaves_turns_and_room_for_others(void **state)
{
	enum { FLOOD = RECEIVED_MAX - 1, TURN_MAX = 64 };
	struct fixture *f = *state;
	struct loop_fd *other = NULL;
	if (!f->loop)
		skip();
	int always = eventfd(1, EFD_CLOEXEC);
	assert_int_equal(loop_fd_add(f->loop, always, EPOLLIN, on_other, f, &other), 0);
	for (int i = 0; i < FLOOD; i++)
		send_as(f->wireguard, f, "127.1.2.3", 1312, 1);
	send_as(f->wireguard, f, "127.200.100.50", 96, 2);
	f->wanted = FLOOD + 1;
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, FLOOD + 1);
	assert_true(f->batches >= FLOOD / TURN_MAX);
	assert_true(f->others >= f->batches - 1);
	assert_int_equal(f->received[FLOOD].to.s_addr, address_of("127.200.100.50").s_addr);
	loop_fd_remove(&other);
	close(always);
}

static void
test_nobody_but_wireguard_is_heard(void **state)
{
	struct fixture *f = *state;
	if (!f->loop)
		skip();
	int stranger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	f->wanted = 1;
	send_as(stranger, f, "127.1.2.3", 96, 66);
	send_as(f->wireguard, f, "127.1.2.3", 96, 1);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->count, 1);
	assert_int_equal(f->received[0].mark, 1);
	assert_int_equal(tunnel_socket_drops(f->socket), 1);
	close(stranger);
}

static void
test_wireguard_that_is_away_costs_packets_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	if (!f->loop)
		skip();
	uint8_t *datagram = transport(96, 1);
	struct iovec one = { datagram, 96 };
	close(f->wireguard);
	for (int i = 0; i < 10; i++)
		tunnel_socket_send(f->socket, address_of("127.1.2.3"), &one, 1);
	free(datagram);
}

#define SOCKET_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SOCKET_TEST(test_datagram_leaves_from_its_channels_address),
		SOCKET_TEST(test_batch_arrives_datagram_by_datagram_in_order),
		SOCKET_TEST(test_full_batch_of_a_leg_arrives),
		SOCKET_TEST(test_what_has_no_wireguard_shape_is_dropped_and_counted),
		SOCKET_TEST(test_answer_tells_which_channel_it_is_for),
		SOCKET_TEST(test_answers_sent_in_one_bundle_are_told_apart),
		SOCKET_TEST(test_a_flood_of_one_session_leaves_turns_and_room_for_others),
		SOCKET_TEST(test_nobody_but_wireguard_is_heard),
		SOCKET_TEST(test_wireguard_that_is_away_costs_packets_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
