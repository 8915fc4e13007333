/*
 * The exit policy's life in the kernel: what stays when its process is killed, what a stop and the
 * next start leave, what it does when somebody else flushes it. T37, F07 and F40.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exit_rig.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void
expect_guarded(struct fixture *f)
{
	int home = lab_udp(f->lab.home, NULL, LAB_PORT);
	int node = lab_udp(f->lab.node, NULL, LAB_PORT);
	lab_send(f->client, "198.51.100.80", LAB_PORT, "probe");
	lab_send(f->client, "192.168.1.20", LAB_PORT, "probe");
	assert_true(wait_for_output(f->lab.node, "nft list ruleset", "counter packets 2"));
	lab_send(f->client, "10.90.0.1", LAB_PORT, "probe");
	assert_true(wait_for_output(f->lab.node, "nft list ruleset", "counter packets 1"));
	lab_run(f->lab.home, "ip route replace 10.90.0.0/16 via 192.168.1.10");
	lab_send(home, "10.90.0.2", 40000, "probe");
	assert_true(wait_for_output(f->lab.node, "nft list ruleset | grep oifname",
				    "counter packets 1"));
	assert_true(lab_is_silent(f->inet));
	assert_true(lab_is_silent(home));
	assert_true(lab_is_silent(node));
	assert_true(lab_is_silent(f->client));
	close(home);
	close(node);
}

/* T37, F07: killed with a child of a child left alive. The kernel takes the exit table, the guard
 * stays, forwarding is still on, and not one packet passes. */
static void
test_nothing_passes_after_a_kill(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	f->options.with_survivor = true;
	holder_start(&f->lab, &f->options, &f->holder);
	lab_send(f->client, "198.51.100.80", LAB_PORT, "alive");
	expect(f->inet, "alive", NULL);
	holder_kill(&f->holder);
	assert_int_equal(kill(f->holder.survivor, 0), 0);
	assert_true(wait_for_output(f->lab.node, "nft list tables | grep -c .", "1"));
	assert_true(has_output(f->lab.node, "nft list tables", "higgs_guard_"));
	assert_true(has_output(f->lab.node, "cat /proc/sys/net/ipv4/conf/up0/forwarding", "1"));
	expect_guarded(f);
}

/* The tunnel's own settings go with the tunnel, which its stand-in here does not. */
static char *
kernel_state(struct fixture *f)
{
	return lab_output(
		f->lab.node,
		"nft list ruleset; ip rule; ip -6 rule; ip -o link; "
		"ip route show table all | sort; "
		"grep -rs . /proc/sys/net/ipv4 /proc/sys/net/ipv6 /proc/sys/net/netfilter | "
		"grep -v -e nf_conntrack_count -e hgx");
}

/* F07 */
static void
test_clean_stop_leaves_the_kernel_as_it_was(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	char *before = kernel_state(f);
	holder_start(&f->lab, &f->options, &f->holder);
	char *during = kernel_state(f);
	holder_stop(&f->holder);
	char *after = kernel_state(f);
	assert_string_not_equal(before, during);
	lab_assert_same(before, after);
	free(before);
	free(during);
	free(after);
}

/* T37, F07 */
static void
test_start_after_a_kill_doubles_nothing_and_restores_everything(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	char *before = kernel_state(f);
	holder_start(&f->lab, &f->options, &f->holder);
	char *first = lab_output(f->lab.node, "nft -s list ruleset");
	holder_kill(&f->holder);
	holder_start(&f->lab, &f->options, &f->holder);
	char *second = lab_output(f->lab.node, "nft -s list ruleset");
	lab_send(f->client, "198.51.100.80", LAB_PORT, "back");
	expect(f->inet, "back", NULL);
	holder_stop(&f->holder);
	char *after = kernel_state(f);
	lab_assert_same(first, second);
	lab_assert_same(before, after);
	free(before);
	free(first);
	free(second);
	free(after);
}

/* F40 */
static void
test_guard_that_an_administrator_flushed_comes_back(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	int home = lab_udp(f->lab.home, NULL, LAB_PORT);
	holder_start(&f->lab, &f->options, &f->holder);
	lab_run(f->lab.node, "nft flush ruleset");
	lab_send(f->client, "192.168.1.20", LAB_PORT, "probe");
	assert_true(wait_for_output(f->lab.node, "nft list tables", "higgs_guard_"));
	assert_true(has_output(f->lab.node, "nft list tables", "higgs_exit_"));
	expect_only(f, home);
	close(home);
	holder_kill(&f->holder);
	assert_true(wait_for_output(f->lab.node, "nft list tables | grep -c .", "1"));
	expect_guarded(f);
}

static void
test_guard_whose_rules_alone_were_flushed_comes_back(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	holder_start(&f->lab, &f->options, &f->holder);
	lab_run(f->lab.node, "nft flush table inet higgs_guard_%s", f->lab.tunnel);
	assert_true(wait_for_output(f->lab.node, "nft list ruleset | grep -A3 guard",
				    "counter packets"));
	holder_stop(&f->holder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EXIT_TEST(test_nothing_passes_after_a_kill),
		EXIT_TEST(test_clean_stop_leaves_the_kernel_as_it_was),
		EXIT_TEST(test_start_after_a_kill_doubles_nothing_and_restores_everything),
		EXIT_TEST(test_guard_that_an_administrator_flushed_comes_back),
		EXIT_TEST(test_guard_whose_rules_alone_were_flushed_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
