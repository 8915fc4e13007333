/*
 * The admin address against bad guests: real sockets, the server on this thread's loop, the guest
 * beside it on the same loop.
 */
#include "service/service_admin.h"

#include "loop/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

enum { GUESTS = 100, GIVE_UP_MS = 20 * 1000, DEADLINE_MS = 200 };

struct guest {
	int fd;
	struct loop_fd *watch;
	struct loop_timer *trickle;
	char answer[4096];
	size_t n;
	bool is_closed;
};

static struct loop *loop;
static struct service_admin *admin;
static struct guest guests[GUESTS];
static size_t guests_n, closed_n;
static int answers;
static char error[512];

static int
answer_hello(void *arg, char **ret_body, size_t *ret_bytes)
{
	(void)arg;
	answers++;
	*ret_body = strdup("hello\n");
	*ret_bytes = 6;
	return 200;
}

static const struct service_admin_route routes[] = { { "/hello", "text/plain", answer_hello },
						     { 0 } };

static int
setup(void **state)
{
	(void)state;
	guests_n = closed_n = 0;
	answers = 0;
	if (loop_new(&loop) < 0)
		return -1;
	return service_admin_new(loop, "127.0.0.1", 0, routes, DEADLINE_MS, NULL, &admin, error,
				 sizeof(error));
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < guests_n; i++) {
		loop_timer_stop(&guests[i].trickle);
		loop_fd_remove(&guests[i].watch);
		if (guests[i].fd >= 0)
			close(guests[i].fd);
	}
	service_admin_free(&admin);
	loop_free(&loop);
	return 0;
}

static void
on_guest(struct loop *self, int fd, uint32_t events, void *arg)
{
	struct guest *guest = arg;
	ssize_t n = read(fd, guest->answer + guest->n, sizeof(guest->answer) - 1 - guest->n);

	(void)events;
	if (n > 0) {
		guest->n += (size_t)n;
		return;
	}
	if (n < 0 && errno == EAGAIN)
		return;
	guest->is_closed = true;
	loop_timer_stop(&guest->trickle);
	loop_fd_remove(&guest->watch);
	if (++closed_n == guests_n)
		loop_stop(self);
}

static struct guest *
connect_guest(const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(service_admin_port(admin)),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct guest *guest = &guests[guests_n++];

	*guest = (struct guest){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	assert_true(guest->fd >= 0);
	assert_int_equal(connect(guest->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (*text != '\0')
		assert_int_equal(write(guest->fd, text, strlen(text)), strlen(text));
	assert_int_equal(loop_fd_add(loop, guest->fd, EPOLLIN, on_guest, guest, &guest->watch), 0);
	return guest;
}

static void
give_up(struct loop *self, void *arg)
{
	bool *is_over = arg;

	*is_over = true;
	loop_stop(self);
}

/* Until the server has closed every guest. */
static void
run_until_closed(void)
{
	struct loop_timer *timer = NULL;
	bool is_over = false;

	assert_int_equal(loop_timer_start(loop, GIVE_UP_MS, 0, give_up, &is_over, &timer), 0);
	assert_int_equal(loop_run(loop), 0);
	if (is_over)
		fail_msg("%zu of %zu guests were never closed", guests_n - closed_n, guests_n);
	loop_timer_stop(&timer);
}

static void
assert_starts(const struct guest *guest, const char *text)
{
	if (strncmp(guest->answer, text, strlen(text)) != 0)
		fail_msg("not '%s' but '%s'", text, guest->answer);
}

static void
test_answer_comes_and_the_connection_is_closed(void **state)
{
	const struct guest *guest = connect_guest("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	run_until_closed();
	assert_starts(guest, "HTTP/1.1 200");
	assert_non_null(strstr(guest->answer, "\r\n\r\nhello\n"));
}

static void
test_head_has_no_body(void **state)
{
	const struct guest *guest = connect_guest("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	run_until_closed();
	assert_starts(guest, "HTTP/1.1 200");
	assert_null(strstr(guest->answer, "hello"));
}

static void
test_second_request_on_a_connection_is_not_run(void **state)
{
	(void)state;
	connect_guest(
		"GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	run_until_closed();
	assert_int_equal(answers, 1);
}

static void
test_other_methods_are_405_body_or_not(void **state)
{
	const struct guest *a = connect_guest("DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	const struct guest *b =
		connect_guest("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345");

	(void)state;
	run_until_closed();
	assert_starts(a, "HTTP/1.1 405");
	assert_starts(b, "HTTP/1.1 405");
	assert_int_equal(answers, 0);
}

static void
test_huge_header_is_refused(void **state)
{
	static char request[32 * 1024];
	const struct guest *guest;
	int n = snprintf(request, sizeof(request), "GET /hello HTTP/1.1\r\nHost: a\r\nX: ");

	(void)state;
	memset(request + n, 'x', sizeof(request) - 8 - (size_t)n);
	strcpy(request + sizeof(request) - 8, "\r\n\r\n");
	guest = connect_guest("");
	assert_true(write(guest->fd, request, strlen(request)) > 0);
	run_until_closed();
	assert_int_equal(answers, 0);
}

static void
trickle(struct loop *self, void *arg)
{
	struct guest *guest = arg;

	(void)self;
	send(guest->fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
test_R25_header_byte_by_byte_is_cut_at_the_deadline(void **state)
{
	struct guest *guest = connect_guest("GET /hello HTTP/1.1\r\nX: ");

	(void)state;
	assert_int_equal(loop_timer_start(loop, 1, 20, trickle, guest, &guest->trickle), 0);
	run_until_closed();
	assert_int_equal(answers, 0);
}

static void
test_silent_guests_are_cut_and_do_not_keep_others_out(void **state)
{
	const struct guest *guest;

	(void)state;
	for (int i = 0; i < GUESTS - 1; i++)
		connect_guest("");
	guest = connect_guest("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	run_until_closed();
	assert_starts(guest, "HTTP/1.1 200");
}

static void
test_address_in_use_is_named(void **state)
{
	struct service_admin *other = NULL;
	uint16_t port = service_admin_port(admin);
	char text[64];

	(void)state;
	assert_int_equal(service_admin_new(loop, "127.0.0.1", port, routes, DEADLINE_MS, NULL,
					   &other, error, sizeof(error)),
			 EX_OSERR);
	snprintf(text, sizeof(text), "127.0.0.1:%u: Address already in use", port);
	assert_non_null(strstr(error, text));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_answer_comes_and_the_connection_is_closed),
		TEST(test_head_has_no_body),
		TEST(test_second_request_on_a_connection_is_not_run),
		TEST(test_other_methods_are_405_body_or_not),
		TEST(test_huge_header_is_refused),
		TEST(test_R25_header_byte_by_byte_is_cut_at_the_deadline),
		TEST(test_silent_guests_are_cut_and_do_not_keep_others_out),
		TEST(test_address_in_use_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
