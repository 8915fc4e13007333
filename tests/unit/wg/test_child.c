/*
 * Children: what they get, what they do not get, and that they end with us.
 */
#include "wg/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 10000 };

static void
test_output_of_a_child_comes_back(void **state)
{
	(void)state;
	char output[64];
	const char *argv[] = { "cat", NULL };
	assert_int_equal(child_run(argv, "hello", 5, output, sizeof output, DEADLINE_MS), 0);
	assert_string_equal(output, "hello");
}

static void
test_output_that_does_not_fit_is_cut(void **state)
{
	(void)state;
	char output[4];
	const char *argv[] = { "cat", NULL };
	assert_int_equal(child_run(argv, "hello", 5, output, sizeof output, DEADLINE_MS), 0);
	assert_string_equal(output, "hel");
}

static void
test_failure_of_a_child_is_an_error(void **state)
{
	(void)state;
	const char *argv[] = { "false", NULL };
	assert_int_equal(child_run(argv, NULL, 0, NULL, 0, DEADLINE_MS), -EIO);
}

static void
test_program_that_does_not_exist_is_named_so(void **state)
{
	(void)state;
	const char *by_path[] = { "no-such-program-here", NULL };
	const char *absolute[] = { "/nonexistent/program", NULL };
	assert_int_equal(child_run(by_path, NULL, 0, NULL, 0, DEADLINE_MS), -ENOENT);
	assert_int_equal(child_run(absolute, NULL, 0, NULL, 0, DEADLINE_MS), -ENOENT);
}

static void
test_child_that_is_late_is_killed(void **state)
{
	(void)state;
	const char *argv[] = { "sleep", "1000", NULL };
	assert_int_equal(child_run(argv, NULL, 0, NULL, 0, 50), -ETIME);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* T37: a child that held the rules' netlink socket would keep our rules alive after us. */
static void
test_child_inherits_no_descriptor(void **state)
{
	(void)state;
	char output[256];
	const char *argv[] = { "ls", "/proc/self/fd", NULL };
	int open_on_purpose = open("/dev/null", O_RDONLY);
	assert_true(open_on_purpose > 2);
	assert_int_equal(child_run(argv, NULL, 0, output, sizeof output, DEADLINE_MS), 0);
	close(open_on_purpose);
	/* 3 is the folder that ls reads. */
	assert_string_equal(output, "0\n1\n2\n3\n");
}

static void
test_child_has_no_signal_blocked(void **state)
{
	(void)state;
	char output[4096];
	const char *argv[] = { "grep", "SigBlk", "/proc/self/status", NULL };
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	int r = child_run(argv, NULL, 0, output, sizeof output, DEADLINE_MS);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(r, 0);
	assert_string_equal(output, "SigBlk:\t0000000000000000\n");
}

static void
test_child_dies_with_its_parent(void **state)
{
	(void)state;
	int fds[2];
	pid_t grandchild = 0;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t parent = fork();
	assert_true(parent >= 0);
	if (parent == 0) {
		struct child child;
		const char *argv[] = { "sleep", "1000", NULL };
		if (child_start(argv, -1, -1, &child) < 0)
			_exit(1);
		if (write(fds[1], &child.pid, sizeof child.pid) != sizeof child.pid)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(fds[0], &grandchild, sizeof grandchild), sizeof grandchild);
	struct pollfd end = { .fd = pidfd_open(grandchild, 0), .events = POLLIN };
	assert_true(end.fd >= 0);
	kill(parent, SIGKILL);
	assert_int_equal(poll(&end, 1, DEADLINE_MS), 1);
	waitpid(parent, NULL, 0);
	close(end.fd);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_of_a_child_comes_back),
		cmocka_unit_test(test_output_that_does_not_fit_is_cut),
		cmocka_unit_test(test_failure_of_a_child_is_an_error),
		cmocka_unit_test(test_program_that_does_not_exist_is_named_so),
		cmocka_unit_test(test_child_that_is_late_is_killed),
		cmocka_unit_test(test_child_inherits_no_descriptor),
		cmocka_unit_test(test_child_has_no_signal_blocked),
		cmocka_unit_test(test_child_dies_with_its_parent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
