/*
 * rig: see the header.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/clock.h"
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct lab lab;
bool is_lab_up;
char *output;

static char before[LAB_TEXT_BYTES], after[LAB_TEXT_BYTES];

void
expect_contains(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

void
expect_exit(int got, int wanted)
{
	if (got != wanted)
		fail_msg("exit status %d instead of %d; output:\n%s", got, wanted, output);
}

/* Rules, routes, links and resolv.conf are what they were before. */
void
expect_as_before(void)
{
	int64_t until_ms = clock_monotonic_ms() + DEADLINE_MS;

	/* The process in the background ends a little after it has answered. */
	while (lab_has_processes(&lab))
		if (clock_monotonic_ms() > until_ms)
			fail_msg("a process is left");
	lab_kernel_state(&lab, after);
	if (strcmp(before, after) == 0)
		return;
	const char *argv[] = {
		"sh",	"-c",  "printf %s \"$0\" >$2.a; printf %s \"$1\" | diff $2.a -",
		before, after, lab.state,
		NULL
	};
	lab_run(&lab, argv, output);
	fail_msg("not as before:\n%s", output);
}

void
note_state(enum lab_answer answer)
{
	atomic_store(&lab.answer, answer);
	lab_kernel_state(&lab, before);
}

void
connect_it(void)
{
	note_state(LAB_ROUTE);
	expect_exit(lab_higgs(&lab, "connect", NULL, output), 0);
	expect_contains(output, "connected: node 5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002 (SE), "
				"address 10.90.0.2, exit through 10.0.9.1");
}

void
disconnect_it(void)
{
	expect_exit(lab_higgs(&lab, "disconnect", NULL, output), 0);
	expect_as_before();
}

/* Does this command of the client's namespace succeed? */
bool
does(const char *command)
{
	const char *argv[] = { "sh", "-c", command, NULL };

	return lab_run(&lab, argv, output) == 0;
}

/* Tries until it does, or the deadline. */
bool
does_in_time(const char *command)
{
	int64_t until_ms = clock_monotonic_ms() + DEADLINE_MS;

	while (!does(command))
		if (clock_monotonic_ms() > until_ms)
			return false;
	return true;
}

void
read_until(int fd, const char *part)
{
	size_t n = 0;

	output[0] = '\0';
	while (strstr(output, part) == NULL) {
		struct pollfd readable = { .fd = fd, .events = POLLIN };
		ssize_t got = 0;
		if (poll(&readable, 1, DEADLINE_MS) == 1)
			got = read(fd, output + n, LAB_TEXT_BYTES - 1 - n);
		if (got <= 0)
			fail_msg("\"%s\" does not come:\n%s", part, output);
		n += (size_t)got;
		output[n] = '\0';
	}
}

pid_t
connect_until(const char *const *more, const char *part, int *ret_fd)
{
	pid_t pid = lab_higgs_start(&lab, "connect", more, ret_fd);

	assert_true(pid > 0);
	read_until(*ret_fd, part);
	return pid;
}

void
fail_first_node(void)
{
	atomic_store(&lab.relay.deaf_port, device_listen_port(lab.nodes[0].device));
}

pid_t
ping_first_node(void)
{
	const char *argv[] = { "ping", "-q", "10.90.0.1", NULL };
	pid_t pid = lab_start(&lab, argv, NULL);

	assert_true(pid > 0);
	return pid;
}

void
end_ping(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	lab_wait(pid);
}

json_t *
status_of_client(void)
{
	const char *json[] = { "--json", NULL };

	expect_exit(lab_higgs(&lab, "status", json, output), 0);
	json_t *report = json_loads(output, 0, NULL);
	assert_non_null(report);
	return report;
}

pid_t
client_pid(void)
{
	json_t *report = status_of_client();
	pid_t pid = (pid_t)json_integer_value(json_object_get(report, "pid"));

	json_decref(report);
	assert_true(pid > 1);
	return pid;
}

int
rig_set_up(void **state)
{
	(void)state;
	output = mmap(NULL, LAB_TEXT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (output == MAP_FAILED)
		return -1;
	int r = lab_up(&lab);
	is_lab_up = r == 0;
	if (r == -EPERM || r == -ENOTSUP) {
		print_message("SKIPPED: needs root, network namespaces, WireGuard: %s\n",
			      strerror(-r));
		r = 0;
	}
	return r;
}

int
rig_tear_down(void **state)
{
	(void)state;
	if (is_lab_up)
		lab_down(&lab);
	munmap(output, LAB_TEXT_BYTES);
	return 0;
}

int
rig_end_client(void **state)
{
	(void)state;
	if (!is_lab_up)
		return 0;
	atomic_store(&lab.answer, LAB_ROUTE);
	atomic_store(&lab.relay.deaf_port, 0);
	return lab_higgs(&lab, "disconnect", NULL, output);
}
