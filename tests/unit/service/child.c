/* See child.h. */
#include "child.h"

#include "loop/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

void
child_start(struct child *child, const char *const *argv)
{
	int out[2], err[2];

	*child = (struct child){ .pid = -1, .fds = { -1, -1 } };
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (child->pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	child->fds[CHILD_STDOUT] = out[0];
	child->fds[CHILD_STDERR] = err[0];
}

static void
read_stream(struct child *child, int stream)
{
	size_t room = CHILD_OUTPUT_BYTES - 1 - child->n[stream];
	ssize_t n = read(child->fds[stream], child->output[stream] + child->n[stream], room);

	if (n <= 0) {
		close(child->fds[stream]);
		child->fds[stream] = -1;
		return;
	}
	child->n[stream] += (size_t)n;
	child->output[stream][child->n[stream]] = '\0';
}

/* Waits for more output, at most until the deadline; false when there will be none. */
static int
read_more(struct child *child, int64_t deadline_ms)
{
	struct pollfd polls[2] = { { child->fds[0], POLLIN, 0 }, { child->fds[1], POLLIN, 0 } };
	int64_t left_ms = deadline_ms - clock_monotonic_ms();

	if ((child->fds[0] < 0 && child->fds[1] < 0) || left_ms <= 0)
		return 0;
	if (poll(polls, 2, (int)left_ms) <= 0)
		return 0;
	for (int stream = 0; stream < 2; stream++)
		if (child->fds[stream] >= 0 && polls[stream].revents != 0)
			read_stream(child, stream);
	return 1;
}

const char *
child_await(struct child *child, int stream, const char *text)
{
	int64_t deadline_ms = clock_monotonic_ms() + CHILD_DEADLINE_MS;

	for (;;) {
		char *from = child->output[stream] + child->looked[stream];
		char *found = strstr(from, text);

		if (found != NULL && strchr(found, '\n') != NULL) { /* the whole line */
			found += strlen(text);
			child->looked[stream] = (size_t)(found - child->output[stream]);
			return found;
		}
		if (!read_more(child, deadline_ms))
			fail_msg("it never said '%s', but:\n%s%s", text, child->output[0],
				 child->output[1]);
	}
}

void
child_signal(struct child *child, int number)
{
	assert_int_equal(kill(child->pid, number), 0);
}

int
child_wait(struct child *child)
{
	int64_t deadline_ms = clock_monotonic_ms() + CHILD_DEADLINE_MS;
	int status = 0;

	while (read_more(child, deadline_ms))
		;
	if (child->fds[0] >= 0 || child->fds[1] >= 0)
		fail_msg("it did not end:\n%s%s", child->output[0], child->output[1]);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	child->pid = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

int
child_run(struct child *child, const char *const *argv)
{
	child_start(child, argv);
	return child_wait(child);
}

void
child_end(struct child *child)
{
	if (child->pid > 0) {
		kill(child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
	}
	for (int stream = 0; stream < 2; stream++)
		if (child->fds[stream] >= 0)
			close(child->fds[stream]);
	child->pid = -1;
	child->fds[0] = child->fds[1] = -1;
}

const char *
http_request(uint16_t port, const char *method, const char *path)
{
	static char answer[512 * 1024];
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[256];
	size_t n = 0;
	ssize_t got;
	int length = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
			      method, path);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(write(fd, request, (size_t)length), length);
	while (n < sizeof(answer) - 1 && (got = read(fd, answer + n, sizeof(answer) - 1 - n)) > 0)
		n += (size_t)got;
	answer[n] = '\0';
	close(fd);
	return answer;
}
