/*
 * The exit policy with real nftables, conntrack and forwarding in a home made of network namespaces
 * (lab.h): threats T28 to T32 and T37, faults F07, F38, F40 and F41. Packets that must not get
 * through are told from late ones by a counter or by a packet sent after them on the same way.
 */
#include "holder.h"
#include "lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_BYTES = 64, TRIES_MAX = 2000, TRY_US = 5000 };

static const char *const allow[] = { "198.51.100.0/24", "2001:db8:80::/64", NULL };

struct fixture {
	struct lab lab;
	struct holder holder;
	struct holder_options options;
	char state_dir[64];
	int client, inet; /* sockets */
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	*state = f;
	if (!f || !lab_can_run())
		return f ? 0 : -1;
	snprintf(f->state_dir, sizeof f->state_dir, "/tmp/higgs-test-XXXXXX");
	assert_non_null(mkdtemp(f->state_dir));
	lab_up(&f->lab, true);
	f->client = lab_udp(f->lab.client, "10.90.0.2", 40000);
	f->inet = lab_udp(f->lab.inet, NULL, LAB_PORT);
	f->options = (struct holder_options){
		.policy_on = true, .allow = allow, .flows_max = 2000, .state_dir = f->state_dir
	};
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char path[128];
	if (f->state_dir[0]) {
		close(f->client);
		close(f->inet);
		holder_bury(&f->holder);
		lab_down(&f->lab);
		snprintf(path, sizeof path, "%s/sysctl.journal", f->state_dir);
		unlink(path);
		rmdir(f->state_dir);
	}
	free(f);
	return 0;
}

#define NEEDS_ROOT(f)                   \
	do {                            \
		if (!(f)->state_dir[0]) \
			skip();         \
	} while (0)

static void
expect(int fd, const char *text, struct sockaddr_in6 *ret_from)
{
	char got[TEXT_BYTES];
	assert_true(lab_receive(fd, got, sizeof got, ret_from));
	assert_string_equal(got, text);
}

/* A packet that does pass, after which everything sent before it has had its chance. */
static void
expect_only(struct fixture *f, int silent_fd)
{
	lab_send(f->client, "198.51.100.80", LAB_PORT, "control");
	expect(f->inet, "control", NULL);
	assert_true(lab_is_silent(silent_fd));
}

static bool
wait_for_output(int ns, const char *command, const char *wanted)
{
	for (int tries = 0; tries < TRIES_MAX; tries++) {
		char *output = lab_output(ns, command);
		bool found = strstr(output, wanted) != NULL;
		free(output);
		if (found)
			return true;
		usleep(TRY_US);
	}
	return false;
}

static bool
has_output(int ns, const char *command, const char *wanted)
{
	char *output = lab_output(ns, command);
	bool found = strstr(output, wanted) != NULL;
	free(output);
	return found;
}

/* T30: another source port than the client's, outside the range of listeners. */
static void
test_allowed_host_is_reached_from_a_rewritten_port(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in6 from;
	char text[INET6_ADDRSTRLEN];
	NEEDS_ROOT(f);
	holder_start(&f->lab, &f->options, &f->holder);
	lab_send(f->client, "198.51.100.80", LAB_PORT, "hello");
	expect(f->inet, "hello", &from);
	inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof text);
	assert_string_equal(text, "::ffff:192.168.1.10");
	assert_in_range(ntohs(from.sin6_port), 32768, 60999);
	assert_int_not_equal(ntohs(from.sin6_port), 40000);
	lab_send(f->inet, "192.168.1.10", ntohs(from.sin6_port), "answer");
	expect(f->client, "answer", NULL);
	holder_stop(&f->holder);
}

static const char *const private_targets[] = { "192.168.1.20", "192.168.1.1", "169.254.169.254" };
static const char *const own_targets[] = { "192.168.1.10", "10.90.0.1" };

enum { PRIVATE_TARGETS = 3, OWN_TARGETS = 2 };

/* T28 */
static void
test_home_is_out_of_reach(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	int home = lab_udp(f->lab.home, NULL, LAB_PORT);
	int node = lab_udp(f->lab.node, NULL, LAB_PORT);
	holder_start(&f->lab, &f->options, &f->holder);
	for (size_t i = 0; i < PRIVATE_TARGETS; i++)
		lab_send(f->client, private_targets[i], LAB_PORT, "probe");
	for (size_t i = 0; i < OWN_TARGETS; i++)
		lab_send(f->client, own_targets[i], LAB_PORT, "probe");
	expect_only(f, home);
	assert_true(lab_is_silent(node));
	holder_stop(&f->holder);
	close(home);
	close(node);
}

/* The same probes get through without it: so the test above can fail. */
static void
test_home_is_reached_once_the_policy_is_off(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	int home = lab_udp(f->lab.home, NULL, LAB_PORT);
	int node = lab_udp(f->lab.node, NULL, LAB_PORT);
	f->options.policy_on = false;
	holder_start(&f->lab, &f->options, &f->holder);
	for (size_t i = 0; i < PRIVATE_TARGETS; i++) {
		lab_send(f->client, private_targets[i], LAB_PORT, private_targets[i]);
		expect(home, private_targets[i], NULL);
	}
	for (size_t i = 0; i < OWN_TARGETS; i++) {
		lab_send(f->client, own_targets[i], LAB_PORT, own_targets[i]);
		expect(node, own_targets[i], NULL);
	}
	holder_stop(&f->holder);
	close(home);
	close(node);
}

/* T29 */
static void
test_port_of_abuse_is_out_of_reach(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	int ssdp = lab_udp(f->lab.inet, NULL, 1900);
	holder_start(&f->lab, &f->options, &f->holder);
	lab_send(f->client, "198.51.100.80", 1900, "probe");
	expect_only(f, ssdp);
	holder_stop(&f->holder);
	close(ssdp);
}

/* T31 */
static void
test_source_of_no_session_is_dropped(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	int spoofed = lab_udp(f->lab.client, "10.90.0.99", 0);
	holder_start(&f->lab, &f->options, &f->holder);
	lab_send(spoofed, "198.51.100.80", LAB_PORT, "spoofed");
	lab_send(f->client, "198.51.100.80", LAB_PORT, "honest");
	expect(f->inet, "honest", NULL);
	assert_true(lab_is_silent(f->inet));
	holder_stop(&f->holder);
	close(spoofed);
}

/* T31 */
static void
test_client_does_not_reach_client(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	holder_start(&f->lab, &f->options, &f->holder);
	lab_run(f->lab.client, "ip route add 10.90.0.98 via 10.90.0.1");
	lab_send(f->client, "10.90.0.98", LAB_PORT, "probe");
	assert_true(wait_for_output(f->lab.node, "nft list ruleset | grep 'iifname.*oifname'",
				    "counter packets 1 bytes 33 drop"));
	holder_stop(&f->holder);
}

/* T32, F38: the flows of a client above its number are refused, its earlier ones go on. */
static void
test_flows_of_a_client_are_limited(void **state)
{
	enum { FLOWS_MAX = 20, FLOWS = 30 };
	struct fixture *f = *state;
	int flows[FLOWS];
	char text[TEXT_BYTES];
	NEEDS_ROOT(f);
	f->options.flows_max = FLOWS_MAX;
	holder_start(&f->lab, &f->options, &f->holder);
	for (int i = 0; i < FLOWS; i++) {
		flows[i] = lab_udp(f->lab.client, "10.90.0.2", 0);
		lab_send(flows[i], "198.51.100.80", LAB_PORT, "flow");
	}
	for (int i = 0; i < FLOWS_MAX; i++)
		assert_true(lab_receive(f->inet, text, sizeof text, NULL));
	lab_send(flows[0], "198.51.100.80", LAB_PORT, "control");
	expect(f->inet, "control", NULL);
	assert_true(lab_is_silent(f->inet));
	for (int i = 0; i < FLOWS; i++)
		close(flows[i]);
	holder_stop(&f->holder);
}

static void
test_ipv6_is_translated(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in6 from;
	char text[INET6_ADDRSTRLEN];
	NEEDS_ROOT(f);
	int client6 = lab_udp(f->lab.client, "fd48:6967:6773::2", 0);
	holder_start(&f->lab, &f->options, &f->holder);
	lab_send(client6, "2001:db8:80::80", LAB_PORT, "six");
	expect(f->inet, "six", &from);
	inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof text);
	assert_string_equal(text, "2001:db8:2::10");
	lab_send(f->inet, text, ntohs(from.sin6_port), "answer");
	expect(client6, "answer", NULL);
	holder_stop(&f->holder);
	close(client6);
}

static void
test_ipv6_without_an_uplink_is_refused_at_once(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(LAB_PORT) };
	NEEDS_ROOT(f);
	int client6 = lab_udp(f->lab.client, "fd48:6967:6773::2", 0);
	lab_run(f->lab.node, "ip -6 route del default");
	holder_start(&f->lab, &f->options, &f->holder);
	inet_pton(AF_INET6, "2001:db8:80::80", &to.sin6_addr);
	int on = 1;
	assert_int_equal(setsockopt(client6, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on), 0);
	assert_int_equal(connect(client6, (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(send(client6, "six", 3, 0), 3);
	struct pollfd refused = { .fd = client6, .events = POLLIN };
	assert_int_equal(poll(&refused, 1, LAB_DEADLINE_MS), 1);
	assert_int_equal(recv(client6, &to, sizeof to, 0), -1);
	assert_int_equal(errno, ENETUNREACH);
	holder_stop(&f->holder);
	close(client6);
}

/* F41: a network that the node joins is closed to the tunnel from then on. */
static void
test_new_network_of_the_node_is_out_of_reach(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	int home = lab_udp(f->lab.home, NULL, LAB_PORT);
	lab_run(f->lab.home, "ip address add 9.9.9.9/32 dev lan0");
	holder_start(&f->lab, &f->options, &f->holder);
	lab_send(f->client, "9.9.9.9", LAB_PORT, "before");
	expect(home, "before", NULL);
	lab_run(f->lab.node, "ip address add 9.9.9.1/24 dev up0");
	assert_true(wait_for_output(f->lab.node, "nft list ruleset", "9.9.9.0/24"));
	lab_send(f->client, "9.9.9.9", LAB_PORT, "after");
	expect_only(f, home);
	holder_stop(&f->holder);
	close(home);
}

/* F41: another way out is found. */
static void
test_new_uplink_is_used(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	lab_run(f->lab.node, "ip route del default");
	holder_start(&f->lab, &f->options, &f->holder);
	lab_run(f->lab.node, "ip route add default via 192.168.1.1");
	assert_true(wait_for_output(f->lab.node, "nft list ruleset", "\"up0\""));
	lab_send(f->client, "198.51.100.80", LAB_PORT, "hello");
	expect(f->inet, "hello", NULL);
	holder_stop(&f->holder);
}

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
		"nft list ruleset; ip rule; ip -6 rule; ip -o link; ip route show table all; "
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

#define LAB_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(test_allowed_host_is_reached_from_a_rewritten_port),
		LAB_TEST(test_home_is_out_of_reach),
		LAB_TEST(test_home_is_reached_once_the_policy_is_off),
		LAB_TEST(test_port_of_abuse_is_out_of_reach),
		LAB_TEST(test_source_of_no_session_is_dropped),
		LAB_TEST(test_client_does_not_reach_client),
		LAB_TEST(test_flows_of_a_client_are_limited),
		LAB_TEST(test_ipv6_is_translated),
		LAB_TEST(test_ipv6_without_an_uplink_is_refused_at_once),
		LAB_TEST(test_new_network_of_the_node_is_out_of_reach),
		LAB_TEST(test_new_uplink_is_used),
		LAB_TEST(test_nothing_passes_after_a_kill),
		LAB_TEST(test_clean_stop_leaves_the_kernel_as_it_was),
		LAB_TEST(test_start_after_a_kill_doubles_nothing_and_restores_everything),
		LAB_TEST(test_guard_that_an_administrator_flushed_comes_back),
		LAB_TEST(test_guard_whose_rules_alone_were_flushed_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
