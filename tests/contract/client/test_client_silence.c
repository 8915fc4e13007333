/*
 * A node that opens sessions and then drops what comes for it (T04, F36): `higgs` notices, says so,
 * asks for another node by naming this one, and goes on there; nothing leaves beside the tunnel
 * meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/clock.h"
#include "rig.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define FIRST_NODE "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002"
#define OTHER_NODE "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a004"

static const char *const foreground[] = { "--foreground", NULL };

static void
end(pid_t pid, int fd)
{
	assert_int_equal(kill(pid, SIGINT), 0);
	expect_exit(lab_wait(pid), 0);
	close(fd);
	expect_as_before();
}

static void
expect_state(const char *node, const char *word)
{
	json_t *report = status_of_client();

	assert_string_equal(json_string_value(json_object_get(report, "nodeId")), node);
	assert_string_equal(json_string_value(json_object_get(report, "state")), word);
	json_decref(report);
}

static void
test_a_node_that_does_not_shake_hands_is_left_for_another(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	note_state(LAB_ROUTE);
	fail_first_node();
	expect_exit(lab_higgs(&lab, "connect", NULL, output), 0);
	expect_contains(output, "node " FIRST_NODE " does not answer; asking for another\n");
	expect_contains(output, "connected: node " OTHER_NODE " (SE), address 10.91.0.2");
	assert_true(does("ping -c 1 -W 2 10.91.0.1"));
	assert_true(does("ping -c 1 -W 2 fd48:6967:6774::1"));
	assert_true(does("ping -c 1 -W 2 192.0.2.80"));
	assert_true(does("grep -q 'nameserver 10.91.0.1' /etc/resolv.conf"));
	expect_state(OTHER_NODE, "connected");
	disconnect_it();
}

static void
test_a_node_that_falls_silent_is_left_for_another(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	int fd;

	note_state(LAB_ROUTE);
	pid_t pid = connect_until(foreground, "connected: node " FIRST_NODE, &fd);
	assert_true(does("ping -c 1 -W 2 10.90.0.1"));
	uint64_t leaks = lab_leaks(&lab);
	fail_first_node();
	pid_t ping = ping_first_node(); /* data that nobody answers */
	read_until(fd, "node " FIRST_NODE " does not answer; asking for another\n");
	int64_t noticed_ms = clock_monotonic_ms();
	read_until(fd, "connected again: node " OTHER_NODE " (SE), address 10.91.0.2");
	print_message("connected again %" PRId64 " ms after the noticing\n",
		      clock_monotonic_ms() - noticed_ms);
	end_ping(ping);
	assert_true(does("ping -c 1 -W 2 10.91.0.1"));
	assert_true(does("ping -c 1 -W 2 192.0.2.80"));
	expect_state(OTHER_NODE, "connected");
	assert_int_equal(lab_leaks(&lab), leaks);
	end(pid, fd);
}

static void
test_after_three_silences_the_start_ends_and_says_what_it_tried(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	note_state(LAB_NO_OTHER);
	fail_first_node();
	expect_exit(lab_higgs(&lab, "connect", NULL, output), 75);
	expect_contains(output, "no other node yet: ");
	expect_contains(output, "no answer to 3 handshakes in a row, by the relay 10.0.9.1; tried "
				"node " FIRST_NODE "; try again");
	expect_as_before();
}

static void
test_the_node_that_was_chosen_by_name_is_not_left(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	const char *more[] = { "--node", FIRST_NODE, NULL };
	unsigned resumes = atomic_load(&lab.resumes);

	note_state(LAB_ROUTE);
	fail_first_node();
	expect_exit(lab_higgs(&lab, "connect", more, output), 75);
	expect_contains(output, "node " FIRST_NODE " does not answer; asking for it anew\n");
	expect_contains(output, "try again, or without --node");
	assert_int_equal(atomic_load(&lab.at), 0);
	assert_true(atomic_load(&lab.resumes) > resumes);
	expect_as_before();
}

static void
test_a_node_that_answers_again_is_said_to(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	int fd;

	note_state(LAB_NO_OTHER);
	pid_t pid = connect_until(foreground, "connected: node " FIRST_NODE, &fd);
	fail_first_node();
	pid_t ping = ping_first_node();
	read_until(fd, "no other node yet");
	end_ping(ping);
	expect_state(FIRST_NODE, "reconnecting");
	atomic_store(&lab.relay.deaf_port, 0);
	read_until(fd, "connected again: node " FIRST_NODE);
	assert_true(does("ping -c 1 -W 2 10.90.0.1"));
	expect_state(FIRST_NODE, "connected");
	end(pid, fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_a_node_that_does_not_shake_hands_is_left_for_another),
		RIG_TEST(test_a_node_that_falls_silent_is_left_for_another),
		RIG_TEST(test_after_three_silences_the_start_ends_and_says_what_it_tried),
		RIG_TEST(test_the_node_that_was_chosen_by_name_is_not_left),
		RIG_TEST(test_a_node_that_answers_again_is_said_to),
	};
	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
