/*
 * Ctrl-C at each stage of `higgs connect`, at a terminal and in the background: it ends at once,
 * says so by its status, and leaves no interface, route, rule, table, name server or process (L38).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const foreground[] = { "--foreground", NULL };

static void
interrupt(pid_t pid, int fd, int status)
{
	assert_int_equal(kill(pid, SIGINT), 0);
	expect_exit(lab_wait(pid), status);
	close(fd);
	expect_as_before();
}

/* Both ways to run it, once it has said this. */
static void
interrupt_after(enum lab_answer answer, const char *part)
{
	const char *const *const ways[] = { NULL, foreground };

	for (size_t i = 0; i < 2; i++) {
		int fd;
		note_state(answer);
		pid_t pid = connect_until(ways[i], part, &fd);
		interrupt(pid, fd, 130);
	}
}

static void
test_while_the_servers_name_is_looked_up(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	/* The namespace's name server is nobody. */
	const char *argv[] = {
		HIGGS_PROGRAM,	"connect", "--server", "https://boson.example", "--key-file",
		lab.access_key, "--state", lab.state,  "--foreground",		NULL
	};
	char command[128];
	int fd;

	note_state(LAB_ROUTE);
	pid_t pid = lab_start(&lab, argv, &fd);
	assert_true(pid > 0);
	/* It takes signals by then. */
	snprintf(command, sizeof command, "test -S %s/control.sock", lab.state);
	assert_true(does_in_time(command));
	interrupt(pid, fd, 130);
}

static void
test_while_a_route_is_asked_for(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	interrupt_after(LAB_SILENT, "for a route\n");
}

static void
test_while_the_leg_is_attached(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	interrupt_after(LAB_MUTE_RELAY, "is there\n");
}

static void
test_while_the_handshake_is_waited_for(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	fail_first_node();
	interrupt_after(LAB_ROUTE, "waiting for the node's handshake\n");
}

static void
test_while_another_node_is_asked_for(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	fail_first_node();
	interrupt_after(LAB_NO_OTHER, "no other node yet");
}

static void
test_at_a_terminal_once_connected_it_is_a_disconnect(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	int fd;

	note_state(LAB_ROUTE);
	pid_t pid = connect_until(foreground, "connected: node", &fd);
	interrupt(pid, fd, 0);
}

static void
test_at_a_terminal_while_the_node_is_left_it_is_a_disconnect(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	int fd;

	note_state(LAB_NO_OTHER);
	pid_t pid = connect_until(foreground, "connected: node", &fd);
	fail_first_node();
	pid_t ping = ping_first_node();
	read_until(fd, "no other node yet");
	end_ping(ping);
	interrupt(pid, fd, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_while_the_servers_name_is_looked_up),
		RIG_TEST(test_while_a_route_is_asked_for),
		RIG_TEST(test_while_the_leg_is_attached),
		RIG_TEST(test_while_the_handshake_is_waited_for),
		RIG_TEST(test_while_another_node_is_asked_for),
		RIG_TEST(test_at_a_terminal_once_connected_it_is_a_disconnect),
		RIG_TEST(test_at_a_terminal_while_the_node_is_left_it_is_a_disconnect),
	};
	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
