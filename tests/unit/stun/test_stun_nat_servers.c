/*
 * stun_nat: servers that answer in ways that count for nothing: the next one is asked. Two servers
 * of the test's own on loopback, and a third place that nobody may be sent to.
 */
#include "stun/stun_message.h"
#include "stun/stun_nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20 * 1000, BAD, GOOD, FORBIDDEN, SERVERS };

static struct loop *loop;
static struct metrics *metrics;
static struct stun_nat *nat;
static int fds[SERVERS];
static struct loop_fd *watches[SERVERS];
static struct sockaddr_in6 addresses[SERVERS];
static unsigned requests[SERVERS];
static bool has_credentials, is_done;
static struct stun_nat_result found;

/* What the bad one says. */
static void (*say)(struct stun_writer *reply);
static enum stun_class class;

static struct sockaddr_in6
mapped_form(const char *text, in_port_t port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = port };

	assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
	return address;
}

static void
put_mapped(struct stun_writer *reply, const char *text)
{
	struct sockaddr_in6 address = mapped_form(text, htons(40000));

	stun_put_address(reply, STUN_XOR_MAPPED_ADDRESS, &address);
}

static void
on_request(struct loop *l, int fd, uint32_t events, void *arg)
{
	size_t which = (size_t)(uintptr_t)arg;
	struct stun_message request;
	struct stun_writer reply;
	struct sockaddr_in from;
	socklen_t n = sizeof(from);
	uint8_t bytes[2048];
	ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &n);

	(void)l;
	(void)events;
	assert_true(got > 0);
	assert_int_equal(stun_message_parse(bytes, (size_t)got, &request), 0);
	requests[which]++;
	has_credentials = has_credentials || stun_find(&request, STUN_USERNAME) != NULL;
	stun_begin(&reply, which == BAD ? class : STUN_SUCCESS, STUN_BINDING, request.transaction);
	if (which == BAD)
		say(&reply);
	else
		put_mapped(&reply, "::ffff:5.5.5.5");
	assert_int_equal(stun_finish(&reply, NULL, 0), 0);
	assert_true(sendto(fd, reply.bytes, reply.n, 0, (struct sockaddr *)&from, n) > 0);
}

static void
open_server(size_t i)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(address);

	fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fds[i], (struct sockaddr *)&address, n), 0);
	assert_int_equal(getsockname(fds[i], (struct sockaddr *)&address, &n), 0);
	addresses[i] = mapped_form("::ffff:127.0.0.1", address.sin_port);
	requests[i] = 0;
	assert_int_equal(
		loop_fd_add(loop, fds[i], EPOLLIN, on_request, (void *)(uintptr_t)i, &watches[i]),
		0);
}

static int
setup(void **state)
{
	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(metrics_new("test", &metrics), 0);
	for (size_t i = BAD; i < SERVERS; i++)
		open_server(i);
	has_credentials = false;
	class = STUN_SUCCESS;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	stun_nat_stop(&nat);
	for (size_t i = BAD; i < SERVERS; i++) {
		loop_fd_remove(&watches[i]);
		(void)close(fds[i]);
	}
	loop_free(&loop);
	metrics_free(&metrics);
	return 0;
}

static void
on_found(const struct stun_nat_result *result, void *arg)
{
	(void)arg;
	found = *result;
	is_done = true;
	loop_stop(loop);
}

static void
on_deadline(struct loop *l, void *arg)
{
	*(struct loop_timer **)arg = NULL;
	loop_stop(l);
}

static void
discover(void)
{
	struct sockaddr_in6 asked[] = { addresses[BAD], addresses[GOOD] };
	struct loop_timer *deadline = NULL;

	is_done = false;
	assert_int_equal(loop_timer_start(loop, DEADLINE_MS, 0, on_deadline, &deadline, &deadline),
			 0);
	assert_int_equal(stun_nat_start(loop, metrics, asked, 2, true, on_found, NULL, &nat), 0);
	assert_int_equal(loop_run(loop), 0);
	loop_timer_stop(&deadline);
	assert_true(is_done);
}

static void
assert_passed_over(void)
{
	char text[INET6_ADDRSTRLEN];

	discover();
	assert_true(found.is_found);
	assert_memory_equal(&found.server, &addresses[GOOD], sizeof(found.server));
	assert_non_null(inet_ntop(AF_INET6, &found.mapped.sin6_addr, text, sizeof(text)));
	assert_string_equal(text, "::ffff:5.5.5.5");
	assert_int_equal(requests[FORBIDDEN], 0);
	assert_false(has_credentials);
}

static void
say_redirect(struct stun_writer *reply)
{
	stun_put(reply, STUN_ERROR_CODE, "\0\0\3\0Try Alternate", 17);
	stun_put_address(reply, STUN_ALTERNATE_SERVER, &addresses[FORBIDDEN]);
}

static void
test_S13_a_redirection_is_not_followed(void **state)
{
	(void)state;
	class = STUN_ERROR;
	say = say_redirect;
	assert_passed_over();
}

static void
say_unauthorized(struct stun_writer *reply)
{
	stun_put(reply, STUN_ERROR_CODE, "\0\0\4\1Unauthorized", 16);
	stun_put(reply, STUN_REALM, "higgs", 5);
	stun_put(reply, STUN_NONCE, "0123456789", 10);
}

static void
test_S15_no_credential_is_sent(void **state)
{
	(void)state;
	class = STUN_ERROR;
	say = say_unauthorized;
	assert_passed_over();
	assert_int_equal(requests[BAD], 1);
}

static void
say_stale(struct stun_writer *reply)
{
	stun_put(reply, STUN_ERROR_CODE, "\0\0\4\046Stale Nonce", 15);
}

static void
test_S15_nor_after_a_stale_nonce(void **state)
{
	(void)state;
	class = STUN_ERROR;
	say = say_stale;
	assert_passed_over();
}

static void
say_failure(struct stun_writer *reply)
{
	stun_put(reply, STUN_ERROR_CODE, "\0\0\5\0Server Error", 16);
}

static void
test_S17_a_failing_server_is_left_alone(void **state)
{
	(void)state;
	class = STUN_ERROR;
	say = say_failure;
	assert_passed_over();
	assert_int_equal(requests[BAD], 1);
}

static void
say_loopback(struct stun_writer *reply)
{
	put_mapped(reply, "::ffff:127.0.0.1");
}

static void
say_link_local(struct stun_writer *reply)
{
	put_mapped(reply, "::ffff:169.254.169.254");
}

static void
say_multicast(struct stun_writer *reply)
{
	put_mapped(reply, "::ffff:224.0.0.1");
}

static void
say_ipv6(struct stun_writer *reply)
{
	put_mapped(reply, "2600::1");
}

static void
say_nothing(struct stun_writer *reply)
{
	(void)reply;
}

static void
test_S23_S25_S27_S29_S33_an_address_that_cannot_be_ours_is_passed_over(void **state)
{
	static void (*const answers[])(struct stun_writer *) = {
		say_loopback, say_link_local, say_multicast, say_ipv6, say_nothing,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		say = answers[i];
		assert_passed_over();
	}
}

static void
say_cgnat(struct stun_writer *reply)
{
	put_mapped(reply, "::ffff:100.64.3.4");
}

static void
test_S31_a_carriers_nat_is_flagged(void **state)
{
	(void)state;
	say = say_cgnat;
	discover();
	assert_true(found.is_found);
	assert_true(found.is_cgnat);
}

/* OTHER-ADDRESS as a lure: nothing is sent there. With allow_private it would have to be another
 * address as well as another port, which loopback's is not. */
static void
say_lure(struct stun_writer *reply)
{
	put_mapped(reply, "::ffff:5.5.5.5");
	stun_put_address(reply, STUN_OTHER_ADDRESS, &addresses[FORBIDDEN]);
}

static void
test_S59_another_address_at_loopback_is_not_probed(void **state)
{
	(void)state;
	say = say_lure;
	discover();
	assert_true(found.is_found);
	assert_int_equal(requests[FORBIDDEN], 0);
}

static void
say_other_port(struct stun_writer *reply)
{
	struct sockaddr_in6 address = mapped_form("::ffff:5.5.5.5", htons(41000));

	stun_put_address(reply, STUN_XOR_MAPPED_ADDRESS, &address);
}

static void
test_S57_two_servers_that_see_different_ports_make_it_symmetric(void **state)
{
	(void)state;
	say = say_other_port;
	discover();
	assert_true(found.is_found);
	assert_int_equal(found.type, STUN_NAT_SYMMETRIC);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_S13_a_redirection_is_not_followed),
		TEST(test_S15_no_credential_is_sent),
		TEST(test_S15_nor_after_a_stale_nonce),
		TEST(test_S17_a_failing_server_is_left_alone),
		TEST(test_S23_S25_S27_S29_S33_an_address_that_cannot_be_ours_is_passed_over),
		TEST(test_S31_a_carriers_nat_is_flagged),
		TEST(test_S59_another_address_at_loopback_is_not_probed),
		TEST(test_S57_two_servers_that_see_different_ports_make_it_symmetric),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
