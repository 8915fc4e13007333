/*
 * Where a session's packets may go, with real nftables, conntrack and forwarding in a home made of
 * network namespaces (lab.h): threats T28, T30 and T31, fault F41. Packets that must not get
 * through are told from late ones by a counter or by a packet sent after them on the same way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exit_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Where a session must not get to: hosts of the home, and the node itself. */
struct targets {
	const char *home[8], *node[4];
	const char *internet; /* that it may reach */
};

static const struct targets targets4 = {
	.home = { "192.168.1.20", "192.168.1.1", "169.254.169.254" },
	.node = { "192.168.1.10", "10.90.0.1" },
	.internet = "198.51.100.80",
};

/* The ways in which IPv6 leads home: the LAN's own network, a private one, metadata, and IPv4
 * addresses in disguise. */
static const struct targets targets6 = {
	.home = { "2001:db8:2::1", "2a00:1450::1", "fd12:3456::20", "fd00:ec2::254",
		  "64:ff9b::c0a8:114", "2002:c0a8:114::1" },
	.node = { "2001:db8:2::10", "2a00:1450::10", "fd48:6967:6773::1" },
	.internet = "2001:db8:80::80",
};

static void
furnish_home(struct fixture *f)
{
	for (size_t i = 0; targets6.home[i]; i++)
		lab_run(f->lab.home, "ip address replace %s/64 dev lan0 nodad", targets6.home[i]);
	lab_run(f->lab.node, "ip address add 2a00:1450::10/64 dev up0 nodad");
}

/* Each target is sent its own name. */
static void
send_to_all(int from, const char *const *targets)
{
	for (; *targets; targets++)
		lab_send(from, *targets, LAB_PORT, *targets);
}

static void
expect_from_all(int fd, const char *const *targets)
{
	for (; *targets; targets++)
		expect(fd, *targets, NULL);
}

static void
try_to_reach_home(struct fixture *f, int from, const struct targets *targets)
{
	int home = lab_udp(f->lab.home, NULL, LAB_PORT);
	int node = lab_udp(f->lab.node, NULL, LAB_PORT);
	holder_start(&f->lab, &f->options, &f->holder);
	send_to_all(from, targets->home);
	send_to_all(from, targets->node);
	if (f->options.policy_on) {
		lab_send(from, targets->internet, LAB_PORT, "control");
		expect(f->inet, "control", NULL);
		assert_true(lab_is_silent(home));
		assert_true(lab_is_silent(node));
	} else {
		expect_from_all(home, targets->home);
		expect_from_all(node, targets->node);
	}
	holder_stop(&f->holder);
	close(home);
	close(node);
}

/* T28 */
static void
test_home_is_out_of_reach(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	try_to_reach_home(f, f->client, &targets4);
}

/* The same probes get through without it: so the test above can fail. */
static void
test_home_is_reached_once_the_policy_is_off(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	f->options.policy_on = false;
	try_to_reach_home(f, f->client, &targets4);
}

/* T28 */
static void
test_home_is_out_of_reach_by_ipv6(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	furnish_home(f);
	int client6 = lab_udp(f->lab.client, "fd48:6967:6773::2", 0);
	try_to_reach_home(f, client6, &targets6);
	close(client6);
}

static void
test_home_is_reached_by_ipv6_once_the_policy_is_off(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	furnish_home(f);
	f->options.policy_on = false;
	int client6 = lab_udp(f->lab.client, "fd48:6967:6773::2", 0);
	try_to_reach_home(f, client6, &targets6);
	close(client6);
}

/* T29: mail, what names and shares files at home, what reflects. */
static const uint16_t udp_ports[] = { 135, 136, 137, 138, 139, 445, 1900, 5353, 5355, 11211 };
static const uint16_t tcp_ports[] = { 25, 135, 136, 137, 138, 139, 445, 11211 };

enum { UDP_PORTS = 10, TCP_PORTS = 8 };

static void
test_ports_of_abuse_are_out_of_reach(void **state)
{
	struct fixture *f = *state;
	int udp[UDP_PORTS], tcp[TCP_PORTS], from[TCP_PORTS];
	NEEDS_ROOT(f);
	holder_start(&f->lab, &f->options, &f->holder);
	for (size_t i = 0; i < UDP_PORTS; i++) {
		udp[i] = lab_udp(f->lab.inet, NULL, udp_ports[i]);
		lab_send(f->client, "198.51.100.80", udp_ports[i], "probe");
	}
	for (size_t i = 0; i < TCP_PORTS; i++) {
		tcp[i] = lab_tcp_listen(f->lab.inet, tcp_ports[i]);
		from[i] = lab_tcp_connect(f->lab.client, "198.51.100.80", tcp_ports[i]);
	}
	int allowed = lab_tcp_listen(f->lab.inet, 443);
	int fd = lab_tcp_connect(f->lab.client, "198.51.100.80", 443);
	assert_true(lab_accepts(allowed));
	for (size_t i = 0; i < UDP_PORTS; i++) {
		expect_only(f, udp[i]);
		close(udp[i]);
	}
	for (size_t i = 0; i < TCP_PORTS; i++) {
		expect_only(f, tcp[i]);
		close(tcp[i]);
		close(from[i]);
	}
	close(allowed);
	close(fd);
	holder_stop(&f->holder);
}

static void
test_ports_of_abuse_are_reached_once_the_policy_is_off(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	f->options.policy_on = false;
	holder_start(&f->lab, &f->options, &f->holder);
	for (size_t i = 0; i < UDP_PORTS; i++) {
		int fd = lab_udp(f->lab.inet, NULL, udp_ports[i]);
		lab_send(f->client, "198.51.100.80", udp_ports[i], "probe");
		expect(fd, "probe", NULL);
		close(fd);
	}
	for (size_t i = 0; i < TCP_PORTS; i++) {
		int listener = lab_tcp_listen(f->lab.inet, tcp_ports[i]);
		int fd = lab_tcp_connect(f->lab.client, "198.51.100.80", tcp_ports[i]);
		assert_true(lab_accepts(listener));
		close(listener);
		close(fd);
	}
	holder_stop(&f->holder);
}

/* T29: a protocol without ports has none that could be denied: ESP, for one. */
static void
test_only_tcp_udp_and_icmp_pass(void **state)
{
	enum { ESP = 50 };
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	int from = lab_raw(f->lab.client, ESP), to = lab_raw(f->lab.inet, ESP);
	holder_start(&f->lab, &f->options, &f->holder);
	lab_send_raw(from, "198.51.100.80", "probe");
	expect_only(f, to);
	holder_stop(&f->holder);
	f->options.policy_on = false;
	holder_start(&f->lab, &f->options, &f->holder);
	lab_send_raw(from, "198.51.100.80", "probe");
	struct pollfd readable = { .fd = to, .events = POLLIN };
	assert_int_equal(poll(&readable, 1, LAB_DEADLINE_MS), 1);
	holder_stop(&f->holder);
	close(from);
	close(to);
}

/* How many of so many pings in a row are answered. */
static int
pings_answered(int ns, const char *address, int n)
{
	char command[128], *output;
	int answered = -1;

	snprintf(command, sizeof command, "ping -f -W 1 -s 1252 -c %d %s || true", n, address);
	output = lab_output(ns, command);
	const char *summary = strstr(output, "transmitted, ");
	if (summary != NULL)
		sscanf(summary, "transmitted, %d", &answered);
	free(output);
	return answered;
}

/* F28: so that a client sees which packets get through; but not for a flood's sake. */
static void
test_the_node_echoes_at_its_own_address_alone(void **state)
{
	struct fixture *f = *state;
	NEEDS_ROOT(f);
	holder_start(&f->lab, &f->options, &f->holder);
	assert_int_equal(pings_answered(f->lab.client, "192.168.1.10", 1), 0);
	assert_int_equal(pings_answered(f->lab.client, "192.168.1.20", 1), 0);
	assert_int_equal(pings_answered(f->lab.client, "fd48:6967:6773::1", 5), 5);
	assert_in_range(pings_answered(f->lab.client, "10.90.0.1", 300), 20, 299);
	holder_stop(&f->holder);
	f->options.policy_on = false;
	holder_start(&f->lab, &f->options, &f->holder);
	assert_int_equal(pings_answered(f->lab.client, "192.168.1.10", 1), 1);
	assert_int_equal(pings_answered(f->lab.client, "10.90.0.1", 300), 300);
	holder_stop(&f->holder);
}

/* F28: whatever the client's interface says, no segment is larger than the tunnel takes. */
static void
test_segments_are_held_to_what_the_tunnel_takes(void **state)
{
	struct fixture *f = *state;
	int mss = 0;
	socklen_t n = sizeof mss;
	NEEDS_ROOT(f);
	holder_start(&f->lab, &f->options, &f->holder);
	int listener = lab_tcp_listen(f->lab.inet, 443);
	int fd = lab_tcp_connect(f->lab.client, "198.51.100.80", 443);
	assert_true(lab_accepts(listener));
	int accepted = accept(listener, NULL, NULL);
	assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_MAXSEG, &mss, &n), 0);
	assert_in_range(mss, 500, 1280 - 40);
	struct pollfd connected = { .fd = fd, .events = POLLOUT };
	assert_int_equal(poll(&connected, 1, LAB_DEADLINE_MS), 1);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, &n), 0);
	assert_in_range(mss, 500, 1280 - 40);
	holder_stop(&f->holder);
	close(accepted);
	close(listener);
	close(fd);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EXIT_TEST(test_allowed_host_is_reached_from_a_rewritten_port),
		EXIT_TEST(test_home_is_out_of_reach),
		EXIT_TEST(test_home_is_reached_once_the_policy_is_off),
		EXIT_TEST(test_home_is_out_of_reach_by_ipv6),
		EXIT_TEST(test_home_is_reached_by_ipv6_once_the_policy_is_off),
		EXIT_TEST(test_ports_of_abuse_are_out_of_reach),
		EXIT_TEST(test_ports_of_abuse_are_reached_once_the_policy_is_off),
		EXIT_TEST(test_only_tcp_udp_and_icmp_pass),
		EXIT_TEST(test_the_node_echoes_at_its_own_address_alone),
		EXIT_TEST(test_segments_are_held_to_what_the_tunnel_takes),
		EXIT_TEST(test_source_of_no_session_is_dropped),
		EXIT_TEST(test_client_does_not_reach_client),
		EXIT_TEST(test_ipv6_is_translated),
		EXIT_TEST(test_ipv6_without_an_uplink_is_refused_at_once),
		EXIT_TEST(test_new_network_of_the_node_is_out_of_reach),
		EXIT_TEST(test_new_uplink_is_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
