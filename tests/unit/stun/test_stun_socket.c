/* stun_socket: who may answer, and how long is waited. A server of the test's own, on loopback. */
#include "stun/stun_socket.h"

#include "loop/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 10 * 1000 };

static const uint8_t key[STUN_KEY_BYTES] = "sixteen bytes ..";

static struct loop *loop;
static struct metrics *metrics;
static struct stun_socket *socket_;
static int server, stranger;
static struct loop_fd *server_watch;
static struct loop_timer *deadline;
static struct sockaddr_in6 server_address;

/* What the server does with the n-th request it gets. */
static void (*behave)(unsigned n, const struct stun_message *request,
		      const struct sockaddr_in *from);
static unsigned requests;

static struct {
	unsigned calls;
	bool has_message;
	enum stun_class class;
} answer;

static void
on_answer(const struct stun_message *message, uint32_t round_trip_us, void *arg)
{
	(void)round_trip_us;
	(void)arg;
	answer.calls++;
	answer.has_message = message != NULL;
	if (message != NULL)
		answer.class = message->class;
	loop_stop(loop);
}

static void
on_deadline(struct loop *l, void *arg)
{
	(void)arg;
	deadline = NULL;
	loop_stop(l);
}

static void
on_request(struct loop *l, int fd, uint32_t events, void *arg)
{
	uint8_t bytes[2048];
	struct sockaddr_in from;
	socklen_t from_n = sizeof(from);
	struct stun_message message;
	ssize_t n = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &from_n);

	(void)l;
	(void)events;
	(void)arg;
	assert_true(n > 0);
	assert_int_equal(stun_message_parse(bytes, (size_t)n, &message), 0);
	behave(++requests, &message, &from);
}

static int
open_loopback(struct sockaddr_in *ret)
{
	socklen_t n = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(ret, 0, sizeof(*ret));
	ret->sin_family = AF_INET;
	ret->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)ret, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &n), 0);
	return fd;
}

static int
setup(void **state)
{
	struct sockaddr_in address;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(metrics_new("test", &metrics), 0);
	stranger = open_loopback(&address);
	server = open_loopback(&address);
	memset(&server_address, 0, sizeof(server_address));
	server_address.sin6_family = AF_INET6;
	server_address.sin6_port = address.sin_port;
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &server_address.sin6_addr), 1);
	assert_int_equal(loop_fd_add(loop, server, EPOLLIN, on_request, NULL, &server_watch), 0);
	assert_int_equal(stun_socket_open(loop, metrics, AF_INET, NULL, &socket_), 0);
	assert_int_equal(loop_timer_start(loop, DEADLINE_MS, 0, on_deadline, NULL, &deadline), 0);
	memset(&answer, 0, sizeof(answer));
	requests = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	loop_timer_stop(&deadline);
	stun_socket_close(&socket_);
	loop_fd_remove(&server_watch);
	(void)close(server);
	(void)close(stranger);
	loop_free(&loop);
	metrics_free(&metrics);
	return 0;
}

static void
ask(const uint8_t *signing_key, int64_t timeout_ms)
{
	struct stun_question question = { .to = server_address,
					  .key = signing_key,
					  .timeout_ms = timeout_ms };
	uint8_t transaction[STUN_TRANSACTION_BYTES];
	struct stun_writer request;

	assert_int_equal(stun_transaction_make(transaction), 0);
	stun_begin(&request, STUN_REQUEST, STUN_BINDING, transaction);
	assert_int_equal(stun_finish(&request, signing_key, STUN_KEY_BYTES), 0);
	question.request = &request;
	assert_int_equal(stun_socket_ask(socket_, &question, on_answer, NULL), 0);
	assert_int_equal(loop_run(loop), 0);
}

static void
reply_as(int fd, enum stun_class class, enum stun_method method, const uint8_t *transaction,
	 const uint8_t *signing_key, const struct sockaddr_in *to)
{
	struct stun_writer writer;

	stun_begin(&writer, class, method, transaction);
	assert_int_equal(stun_finish(&writer, signing_key, STUN_KEY_BYTES), 0);
	assert_int_equal(
		sendto(fd, writer.bytes, writer.n, 0, (const struct sockaddr *)to, sizeof(*to)),
		(ssize_t)writer.n);
}

static void
answer_strangely_first(unsigned n, const struct stun_message *request,
		       const struct sockaddr_in *from)
{
	uint8_t other[STUN_TRANSACTION_BYTES];

	(void)n;
	memcpy(other, request->transaction, sizeof(other));
	other[0] ^= 1;
	(void)sendto(server, "junk", 4, 0, (const struct sockaddr *)from, sizeof(*from));
	(void)sendto(server, "", 0, 0, (const struct sockaddr *)from, sizeof(*from));	  /* S01 */
	reply_as(stranger, STUN_SUCCESS, STUN_BINDING, request->transaction, NULL, from); /* S09 */
	reply_as(server, STUN_SUCCESS, STUN_BINDING, other, NULL, from);
	reply_as(server, STUN_INDICATION, STUN_BINDING, request->transaction, NULL, from); /* S11 */
	reply_as(server, STUN_REQUEST, STUN_BINDING, request->transaction, NULL, from);
	reply_as(server, STUN_SUCCESS, STUN_ALLOCATE, request->transaction, NULL, from);
	reply_as(server, STUN_ERROR, STUN_BINDING, request->transaction, NULL, from);
	reply_as(server, STUN_SUCCESS, STUN_BINDING, request->transaction, NULL, from);
}

static uint64_t
ignored(const char *labels)
{
	return metric_value(metrics_counter(metrics, "stun_ignored_total", labels, ""));
}

static void
test_S01_S07_S09_S11_only_the_answer_counts_and_the_rest_is_counted_P22(void **state)
{
	(void)state;
	behave = answer_strangely_first;
	ask(NULL, 0);
	assert_int_equal(answer.calls, 1);
	assert_true(answer.has_message);
	assert_int_equal(answer.class, STUN_ERROR); /* the first that was one */
	assert_int_equal(ignored("reason=\"malformed\""), 2);
	assert_int_equal(ignored("reason=\"spoof\""), 5);
}

static void
answer_third(unsigned n, const struct stun_message *request, const struct sockaddr_in *from)
{
	if (n == 3)
		reply_as(server, STUN_SUCCESS, STUN_BINDING, request->transaction, NULL, from);
}

static void
test_S55_S63_a_question_is_repeated_until_it_is_answered(void **state)
{
	(void)state;
	behave = answer_third;
	ask(NULL, 0);
	assert_int_equal(answer.calls, 1);
	assert_true(answer.has_message);
	assert_int_equal(requests, 3);
}

/* S63: the wall clock, in every call an hour further. */
int64_t __wrap_clock_wall_ms(void);
int64_t
__wrap_clock_wall_ms(void)
{
	static int64_t now_ms;

	return now_ms += 3600 * 1000;
}

static void
answer_never(unsigned n, const struct stun_message *request, const struct sockaddr_in *from)
{
	(void)n;
	(void)request;
	(void)from;
}

static void
test_S55_and_given_up_in_the_end(void **state)
{
	(void)state;
	behave = answer_never;
	ask(NULL, 700);
	assert_int_equal(answer.calls, 1);
	assert_false(answer.has_message);
	assert_int_equal(requests, 2);
}

static struct sockaddr_in late_from;
static uint8_t late_transaction[STUN_TRANSACTION_BYTES];

static void
remember(unsigned n, const struct stun_message *request, const struct sockaddr_in *from)
{
	(void)n;
	memcpy(late_transaction, request->transaction, sizeof(late_transaction));
	late_from = *from;
}

static void
answer_both(unsigned n, const struct stun_message *request, const struct sockaddr_in *from)
{
	(void)n;
	reply_as(server, STUN_SUCCESS, STUN_BINDING, late_transaction, NULL, &late_from);
	reply_as(server, STUN_ERROR, STUN_BINDING, request->transaction, NULL, from);
}

static void
test_S49_an_answer_after_the_end_is_ignored(void **state)
{
	(void)state;
	behave = remember;
	ask(NULL, 100);
	assert_false(answer.has_message);
	behave = answer_both;
	ask(NULL, 0);
	assert_int_equal(answer.calls, 2);
	assert_int_equal(answer.class, STUN_ERROR);
	assert_int_equal(ignored("reason=\"spoof\""), 1);
}

static void
answer_unsigned_first(unsigned n, const struct stun_message *request,
		      const struct sockaddr_in *from)
{
	static const uint8_t other_key[STUN_KEY_BYTES];

	(void)n;
	reply_as(server, STUN_SUCCESS, STUN_BINDING, request->transaction, NULL, from);
	reply_as(server, STUN_SUCCESS, STUN_BINDING, request->transaction, other_key, from);
	reply_as(server, STUN_ERROR, STUN_BINDING, request->transaction, other_key, from);
	reply_as(server, STUN_SUCCESS, STUN_BINDING, request->transaction, key, from);
}

static void
test_a_signed_question_takes_a_signed_answer(void **state)
{
	(void)state;
	behave = answer_unsigned_first;
	ask(key, 0);
	assert_int_equal(answer.calls, 1);
	assert_true(answer.has_message);
	assert_int_equal(answer.class, STUN_SUCCESS);
	assert_int_equal(ignored("reason=\"unsigned\""), 3);
}

static void
answer_unsigned_error(unsigned n, const struct stun_message *request,
		      const struct sockaddr_in *from)
{
	(void)n;
	reply_as(server, STUN_ERROR, STUN_BINDING, request->transaction, NULL, from);
}

static void
test_an_error_may_be_unsigned(void **state)
{
	(void)state;
	behave = answer_unsigned_error;
	ask(key, 0);
	assert_true(answer.has_message);
	assert_int_equal(answer.class, STUN_ERROR);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_S01_S07_S09_S11_only_the_answer_counts_and_the_rest_is_counted_P22),
		TEST(test_S55_S63_a_question_is_repeated_until_it_is_answered),
		TEST(test_S55_and_given_up_in_the_end),
		TEST(test_S49_an_answer_after_the_end_is_ignored),
		TEST(test_a_signed_question_takes_a_signed_answer),
		TEST(test_an_error_may_be_unsigned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
