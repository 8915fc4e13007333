/*
 * Names for the tunnel, on real sockets in a network namespace of this test's own: 127.0.0.1 stands
 * for the tunnel's address, plain sockets for client and resolvers. F42: resolvers that are dead
 * cost two seconds at most.
 */
#include "forwarder/dns_forwarder.h"

#include "forwarder/dns_message.h"
#include "own_network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 10000 };

static const uint8_t query[] = { 0x12, 0x34, 0x01, 0x00, 0, 1,	 0,   0,   0,	0, 0, 0, 5, 'b',
				 'o',  's',  'o',  'n',	 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1 };

struct fixture {
	struct loop *loop;
	struct loop_timer *deadline;
	struct metrics *metrics;
	struct dns_forwarder *dns;
	char upstreams[2][32];
	const char *upstream_list[3];
	int resolvers[2]; /* UDP */
	int client;
	bool is_client;
	struct metric *refused;
};

static int
bound_socket(int type, uint16_t *ret_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof address;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static bool
is_client(const struct in6_addr *source, void *arg)
{
	const struct fixture *f = arg;
	return IN6_IS_ADDR_V4MAPPED(source) && f->is_client;
}

static void
on_deadline(struct loop *loop, void *arg)
{
	(void)arg;
	print_error("deadline\n");
	loop_stop(loop);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	uint16_t port;
	if (!f)
		return -1;
	*state = f;
	f->is_client = true;
	if (!own_network())
		return 0;
	for (int i = 0; i < 2; i++) {
		f->resolvers[i] = bound_socket(SOCK_DGRAM, &port);
		snprintf(f->upstreams[i], sizeof f->upstreams[i], "127.0.0.1:%u", port);
		f->upstream_list[i] = f->upstreams[i];
	}
	f->client = bound_socket(SOCK_DGRAM, &port);
	return loop_new(&f->loop) < 0 || metrics_new("test", &f->metrics) < 0 ||
			       loop_timer_start(f->loop, DEADLINE_MS, 0, on_deadline, f,
						&f->deadline) < 0
		       ? -1
		       : 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	if (f->loop) {
		dns_forwarder_free(&f->dns);
		loop_free(&f->loop);
		metrics_free(&f->metrics);
		close(f->client);
		close(f->resolvers[0]);
		close(f->resolvers[1]);
	}
	free(f);
	return 0;
}

static void
start(struct fixture *f)
{
	const struct dns_forwarder_options options = {
		.address4.s_addr = htonl(INADDR_LOOPBACK),
		.address6 = IN6ADDR_LOOPBACK_INIT,
		.upstreams = f->upstream_list,
		.resolv_conf = "/nonexistent",
		.is_client = is_client,
		.arg = f,
	};
	assert_int_equal(dns_forwarder_new(f->loop, f->metrics, &options, &f->dns), 0);
}

static void
ask(struct fixture *f, uint8_t id)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(dns_forwarder_port(f->dns)),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint8_t message[sizeof query];
	memcpy(message, query, sizeof query);
	message[1] = id;
	assert_int_equal(
		sendto(f->client, message, sizeof message, 0, (struct sockaddr *)&to, sizeof to),
		sizeof message);
}

static void
on_ready(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)fd;
	(void)events;
	*(bool *)arg = true;
	loop_stop(loop);
}

/* Runs the loop until fd has something to read. */
static bool
wait_for(struct fixture *f, int fd)
{
	struct loop_fd *watch;
	bool is_there = false;
	assert_int_equal(loop_fd_add(f->loop, fd, EPOLLIN, on_ready, &is_there, &watch), 0);
	loop_run(f->loop);
	loop_fd_remove(&watch);
	return is_there;
}

/* What a resolver was asked, and by whom. */
static size_t
take(int fd, uint8_t *message, size_t capacity, struct sockaddr_in *ret_from)
{
	socklen_t n = sizeof *ret_from;
	ssize_t got = recvfrom(fd, message, capacity, 0, (struct sockaddr *)ret_from, &n);
	assert_true(got > 0);
	return (size_t)got;
}

static void
give(int fd, const uint8_t *asked, size_t n, uint16_t id, const struct sockaddr_in *to)
{
	uint8_t answer[256];
	memcpy(answer, asked, n);
	dns_id_set(answer, id);
	answer[2] |= 0x80;
	assert_int_equal(sendto(fd, answer, n, 0, (const struct sockaddr *)to, sizeof *to), n);
}

static void
test_answer_comes_back_under_the_clients_id(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in from;
	uint8_t message[512];
	if (!f->loop)
		skip();
	start(f);
	ask(f, 0x34);
	assert_true(wait_for(f, f->resolvers[0]));
	size_t n = take(f->resolvers[0], message, sizeof message, &from);
	assert_int_equal(n, sizeof query);
	assert_memory_equal(message + 2, query + 2, sizeof query - 2);
	give(f->resolvers[0], message, n, dns_id_get(message), &from);
	assert_true(wait_for(f, f->client));
	n = take(f->client, message, sizeof message, &from);
	assert_true(dns_answer_matches(message, n, query, sizeof query));
}

/* Ids and ports of what leaves here are drawn anew each time. */
static void
test_each_query_leaves_from_another_port(void **state)
{
	enum { N = 8 };
	struct fixture *f = *state;
	struct sockaddr_in from;
	uint8_t message[512];
	uint16_t ports[N];
	if (!f->loop)
		skip();
	start(f);
	for (int i = 0; i < N; i++) {
		ask(f, (uint8_t)i);
		assert_true(wait_for(f, f->resolvers[0]));
		take(f->resolvers[0], message, sizeof message, &from);
		ports[i] = from.sin_port;
		for (int j = 0; j < i; j++)
			assert_int_not_equal(ports[i], ports[j]);
	}
}

static void
test_forged_answer_is_passed_over(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in from, client;
	uint8_t message[512];
	if (!f->loop)
		skip();
	start(f);
	ask(f, 0x34);
	assert_true(wait_for(f, f->resolvers[0]));
	size_t n = take(f->resolvers[0], message, sizeof message, &from);
	uint16_t id = dns_id_get(message);
	give(f->resolvers[0], message, n, (uint16_t)(id + 1), &from); /* another id */
	give(f->resolvers[1], message, n, id, &from);		      /* another sender */
	give(f->resolvers[0], message, n, id, &from);
	assert_true(wait_for(f, f->client));
	n = take(f->client, message, sizeof message, &client);
	assert_true(dns_answer_matches(message, n, query, sizeof query));
	assert_int_equal(recv(f->client, message, sizeof message, 0), -1);
}

static void
test_silent_resolver_is_followed_by_the_next(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in from;
	uint8_t message[512];
	if (!f->loop)
		skip();
	start(f);
	ask(f, 0x34);
	assert_true(wait_for(f, f->resolvers[1]));
	size_t n = take(f->resolvers[1], message, sizeof message, &from);
	give(f->resolvers[1], message, n, dns_id_get(message), &from);
	assert_true(wait_for(f, f->client));
	n = take(f->client, message, sizeof message, &from);
	assert_true(dns_answer_matches(message, n, query, sizeof query));
	/* And it is asked first from then on. */
	ask(f, 0x35);
	assert_true(wait_for(f, f->resolvers[1]));
}

static void
expect_servfail(struct fixture *f)
{
	struct sockaddr_in from;
	uint8_t message[512];
	ask(f, 0x34);
	assert_true(wait_for(f, f->client));
	size_t n = take(f->client, message, sizeof message, &from);
	assert_true(dns_answer_matches(message, n, query, sizeof query));
	assert_int_equal(message[3] & 0x0f, 2);
}

static void
test_resolvers_that_are_silent_give_servfail(void **state)
{
	struct fixture *f = *state;
	if (!f->loop)
		skip();
	start(f);
	expect_servfail(f);
}

static void
test_resolvers_that_are_gone_give_servfail(void **state)
{
	struct fixture *f = *state;
	if (!f->loop)
		skip();
	close(f->resolvers[0]);
	close(f->resolvers[1]);
	start(f);
	expect_servfail(f);
}

static void
test_node_without_resolvers_gives_servfail(void **state)
{
	struct fixture *f = *state;
	if (!f->loop)
		skip();
	f->upstream_list[0] = NULL;
	start(f);
	expect_servfail(f);
}

static void
on_look(struct loop *loop, void *arg)
{
	struct fixture *f = arg;
	if (metric_value(f->refused) > 0)
		loop_stop(loop);
}

static void
test_stranger_gets_no_answer(void **state)
{
	struct fixture *f = *state;
	struct loop_timer *look;
	uint8_t message[512];
	if (!f->loop)
		skip();
	start(f);
	f->is_client = false;
	f->refused = metrics_counter(f->metrics, "dns_queries_total", "result=\"refused\"", "");
	ask(f, 1);
	assert_int_equal(loop_timer_start(f->loop, 0, 5, on_look, f, &look), 0);
	loop_run(f->loop);
	assert_int_equal(metric_value(f->refused), 1);
	assert_int_equal(recv(f->resolvers[0], message, sizeof message, 0), -1);
}

static void
test_tcp_goes_to_the_resolver_and_back(void **state)
{
	struct fixture *f = *state;
	char text[64];
	uint16_t port;
	if (!f->loop)
		skip();
	int listener = bound_socket(SOCK_STREAM, &port);
	assert_int_equal(listen(listener, 1), 0);
	snprintf(f->upstreams[0], sizeof f->upstreams[0], "127.0.0.1:%u", port);
	start(f);
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(dns_forwarder_port(f->dns)),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(send(client, "question", 8, 0), 8);
	assert_true(wait_for(f, listener));
	int resolver = accept(listener, NULL, NULL);
	assert_true(wait_for(f, resolver));
	assert_int_equal(recv(resolver, text, sizeof text, 0), 8);
	assert_memory_equal(text, "question", 8);
	assert_int_equal(send(resolver, "answer", 6, 0), 6);
	assert_true(wait_for(f, client));
	assert_int_equal(recv(client, text, sizeof text, 0), 6);
	assert_memory_equal(text, "answer", 6);
	/* The resolver hangs up: so do we. */
	close(resolver);
	assert_true(wait_for(f, client));
	assert_int_equal(recv(client, text, sizeof text, 0), 0);
	close(client);
	close(listener);
}

#define DNS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DNS_TEST(test_answer_comes_back_under_the_clients_id),
		DNS_TEST(test_each_query_leaves_from_another_port),
		DNS_TEST(test_forged_answer_is_passed_over),
		DNS_TEST(test_silent_resolver_is_followed_by_the_next),
		DNS_TEST(test_resolvers_that_are_silent_give_servfail),
		DNS_TEST(test_resolvers_that_are_gone_give_servfail),
		DNS_TEST(test_node_without_resolvers_gives_servfail),
		DNS_TEST(test_stranger_gets_no_answer),
		DNS_TEST(test_tcp_goes_to_the_resolver_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
