/*
 * device_buffers: another process's UDP socket gets a receive buffer that holds a burst.
 */
#include "wg/device_buffers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct other {
	pid_t pid;
	int pidfd;
	int ask, answer; /* a byte asks for the size of its buffer */
};

static void
other_run(int socket_type, int ask, int answer)
{
	int fd = socket(AF_INET, socket_type, 0);
	char byte;
	if (fd < 0 || write(answer, "r", 1) != 1 || read(ask, &byte, 1) != 1)
		_exit(1);
	int bytes = 0;
	socklen_t n = sizeof bytes;
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &n);
	_exit(write(answer, &bytes, sizeof bytes) == sizeof bytes ? 0 : 1);
}

static struct other
other_start(int socket_type)
{
	int ask[2], answer[2];
	char ready;
	assert_int_equal(pipe(ask), 0);
	assert_int_equal(pipe(answer), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		other_run(socket_type, ask[0], answer[1]);
	close(ask[0]);
	close(answer[1]);
	assert_int_equal(read(answer[0], &ready, 1), 1);
	return (struct other){ pid, pidfd_open(pid, 0), ask[1], answer[0] };
}

static int
other_end(struct other *other)
{
	int bytes = 0, status;
	assert_int_equal(write(other->ask, "?", 1), 1);
	assert_int_equal(read(other->answer, &bytes, sizeof bytes), sizeof bytes);
	assert_int_equal(waitpid(other->pid, &status, 0), other->pid);
	close(other->pidfd);
	close(other->ask);
	close(other->answer);
	return bytes;
}

static int
default_bytes(int socket_type)
{
	struct other other = other_start(socket_type);
	return other_end(&other);
}

static void
test_udp_socket_of_a_child_holds_a_burst(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: needs CAP_NET_ADMIN\n");
		skip();
	}
	struct other other = other_start(SOCK_DGRAM);
	assert_int_equal(device_buffers_widen(other.pidfd), 1);
	int bytes = other_end(&other);
	assert_true(bytes >= 2 * 1024 * 1024);
	assert_true(bytes > default_bytes(SOCK_DGRAM));
}

static void
test_other_sockets_are_left_alone(void **state)
{
	(void)state;
	struct other other = other_start(SOCK_STREAM);
	assert_int_equal(device_buffers_widen(other.pidfd), 0);
	assert_int_equal(other_end(&other), default_bytes(SOCK_STREAM));
}

static void
test_process_that_is_gone_is_an_error(void **state)
{
	(void)state;
	struct other other = other_start(SOCK_STREAM);
	int pidfd = dup(other.pidfd);
	other_end(&other);
	assert_true(device_buffers_widen(pidfd) < 0);
	close(pidfd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp_socket_of_a_child_holds_a_burst),
		cmocka_unit_test(test_other_sockets_are_left_alone),
		cmocka_unit_test(test_process_that_is_gone_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
