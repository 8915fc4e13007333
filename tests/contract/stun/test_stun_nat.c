/*
 * stun_nat against a real coturn with two addresses (RFC 5780), from behind NATs of several kinds:
 *
 *	this process	192.168.50.2 -- 192.168.50.1  nat  5.5.6.1 -- 5.5.6.10, 5.5.6.11  server
 *
 * each a network namespace of the test's own. And, without them, what cannot be true of us.
 */
#include "stun/stun_nat.h"

#include "stun/stun_lookup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SERVER "5.5.6.10"

enum { COMMAND_BYTES = 512, DEADLINE_MS = 60 * 1000 };

static char nat_space[32], server_space[32], folder[] = "/tmp/stun-nat-XXXXXX";
static pid_t coturn;
static struct loop *loop;
static struct metrics *metrics;
static struct stun_nat *nat;
static struct stun_nat_result found;
static bool is_done;

/* ---- the network ---- */

static bool __attribute__((format(printf, 1, 2))) run(const char *format, ...)
{
	char command[COMMAND_BYTES];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	return system(command) == 0;
}

static void
remove_network(void)
{
	if (coturn > 0) {
		(void)kill(coturn, SIGKILL);
		(void)waitpid(coturn, NULL, 0);
	}
	(void)run("ip netns delete %s 2>/dev/null", nat_space);
	(void)run("ip netns delete %s 2>/dev/null", server_space);
	(void)run("rm -rf %s", folder);
}

static bool
make_network(void)
{
	const char *n = nat_space, *s = server_space;

	return run("ip netns add %s", n) && run("ip netns add %s", s) && run("ip link set lo up") &&
	       run("ip link add in0 type veth peer name in1 netns %s", n) &&
	       run("ip -n %s link add out0 type veth peer name out1 netns %s", n, s) &&
	       run("ip address add 192.168.50.2/24 dev in0 && ip link set in0 up") &&
	       run("ip -n %s address add 192.168.50.1/24 dev in1 && ip -n %s link set in1 up", n,
		   n) &&
	       run("ip -n %s address add 5.5.6.1/24 dev out0 && ip -n %s link set out0 up", n, n) &&
	       run("ip -n %s address add 5.5.6.10/24 dev out1 && ip -n %s address add 5.5.6.11/24"
		   " dev out1 && ip -n %s link set out1 up && ip -n %s link set lo up",
		   s, s, s, s) &&
	       run("ip -n %s route add 192.168.50.0/24 via 5.5.6.1", s) &&
	       run("ip route add default via 192.168.50.1") &&
	       run("ip netns exec %s sysctl -q net.ipv4.ip_forward=1", n);
}

static void
start_coturn(void)
{
	char command[COMMAND_BYTES];

	(void)snprintf(command, sizeof(command),
		       "exec ip netns exec %s turnserver -n --listening-ip=5.5.6.10"
		       " --listening-ip=5.5.6.11 --stun-only --no-cli --no-tcp --no-tls --no-dtls"
		       " --userdb=%s/db --pidfile=%s/pid --log-file=stdout >/dev/null 2>&1",
		       server_space, folder, folder);
	coturn = fork();
	if (coturn == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
}

/* Before any thread is made. */
static bool
prepare(void)
{
	(void)snprintf(nat_space, sizeof(nat_space), "stun-nat-%d", getpid());
	(void)snprintf(server_space, sizeof(server_space), "stun-server-%d", getpid());
	if (access("/usr/bin/turnserver", X_OK) != 0) {
		print_message("skipped: coturn is not installed\n");
		return false;
	}
	if (mkdtemp(folder) == NULL || unshare(CLONE_NEWNET) != 0 || !make_network()) {
		print_message("skipped: cannot make network namespaces (root needed)\n");
		remove_network();
		return false;
	}
	start_coturn();
	return true;
}

/* Rules of the NAT, in nft's words; "" for none. */
static void
translate(const char *rules)
{
	assert_true(run("ip netns exec %s nft flush ruleset", nat_space));
	if (rules[0] != '\0')
		assert_true(run("ip netns exec %s nft 'table ip nat { %s }'", nat_space, rules));
	(void)run("ip netns exec %s conntrack -F >/dev/null 2>&1", nat_space);
}

/* ---- asking ---- */

static void
on_found(const struct stun_nat_result *result, void *arg)
{
	(void)arg;
	found = *result;
	is_done = true;
	loop_stop(loop);
}

static void
on_deadline(struct loop *l, void *arg)
{
	*(struct loop_timer **)arg = NULL;
	loop_stop(l);
}

static void
discover(const char *const *servers, size_t n)
{
	struct sockaddr_in6 addresses[STUN_NAT_SERVERS_MAX];
	struct loop_timer *deadline = NULL;

	for (size_t i = 0; i < n; i++)
		assert_true(stun_lookup_literal(servers[i], 3478, &addresses[i]));
	is_done = false;
	assert_int_equal(loop_timer_start(loop, DEADLINE_MS, 0, on_deadline, &deadline, &deadline),
			 0);
	assert_int_equal(stun_nat_start(loop, metrics, addresses, n, false, on_found, NULL, &nat),
			 0);
	assert_int_equal(loop_run(loop), 0);
	loop_timer_stop(&deadline);
	assert_true(is_done);
	assert_null(nat);
}

static void
assert_mapped(const char *expected)
{
	char text[INET6_ADDRSTRLEN];

	assert_true(found.is_found);
	assert_non_null(inet_ntop(AF_INET6, &found.mapped.sin6_addr, text, sizeof(text)));
	assert_string_equal(text, expected);
}

/* A coturn that has just started may not answer yet. */
static int
setup(void **state)
{
	static const char *const server[] = { SERVER };

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(metrics_new("test", &metrics), 0);
	translate("");
	for (int i = 0; i < 5; i++) {
		discover(server, 1);
		if (found.is_found)
			return 0;
	}
	return -1;
}

static int
teardown(void **state)
{
	(void)state;
	stun_nat_stop(&nat);
	loop_free(&loop);
	metrics_free(&metrics);
	return 0;
}

static void
test_without_a_nat_it_is_open_P22(void **state)
{
	static const char *const server[] = { SERVER };

	(void)state;
	discover(server, 1);
	assert_int_equal(found.type, STUN_NAT_OPEN);
	assert_mapped("::ffff:192.168.50.2");
}

/* What a home router does. */
static void
test_masquerading_is_port_restricted_P22(void **state)
{
	static const char *const server[] = { SERVER };

	(void)state;
	translate(
		"chain post { type nat hook postrouting priority 100; oifname out0 masquerade; };");
	discover(server, 1);
	assert_mapped("::ffff:5.5.6.1");
	assert_int_equal(found.type, STUN_NAT_PORT_RESTRICTED);
}

static void
test_random_ports_are_symmetric_P22(void **state)
{
	static const char *const server[] = { SERVER };

	(void)state;
	translate("chain post { type nat hook postrouting priority 100;"
		  " oifname out0 masquerade fully-random; };");
	discover(server, 1);
	assert_int_equal(found.type, STUN_NAT_SYMMETRIC);
}

static void
test_a_forwarded_host_is_a_full_cone_P22(void **state)
{
	static const char *const server[] = { SERVER };

	(void)state;
	translate("chain pre { type nat hook prerouting priority -100;"
		  " iifname out0 meta l4proto udp dnat to 192.168.50.2; };"
		  " chain post { type nat hook postrouting priority 100;"
		  " oifname out0 masquerade; };");
	discover(server, 1);
	assert_int_equal(found.type, STUN_NAT_FULL_CONE);
}

/* A filter that lets in whom we spoke to, whatever the port: there is no such NAT in Linux, so one
 * is made of a forwarded host and a rule. */
static void
test_a_host_that_only_known_addresses_reach_is_a_restricted_cone_P22(void **state)
{
	static const char *const server[] = { SERVER };

	(void)state;
	translate("chain pre { type nat hook prerouting priority -100;"
		  " iifname out0 meta l4proto udp dnat to 192.168.50.2; };"
		  " chain post { type nat hook postrouting priority 100;"
		  " oifname out0 masquerade; };"
		  " chain filter { type filter hook forward priority 0;"
		  " iifname out0 ip saddr 5.5.6.11 ct state new drop; };");
	discover(server, 1);
	assert_int_equal(found.type, STUN_NAT_RESTRICTED_CONE);
}

static void
test_F43_S55_a_dead_server_is_passed_over(void **state)
{
	static const char *const servers[] = { "5.5.6.99", SERVER };
	static const char *const dead[] = { "5.5.6.99" };

	(void)state;
	translate(
		"chain post { type nat hook postrouting priority 100; oifname out0 masquerade; };");
	discover(servers, 2);
	assert_mapped("::ffff:5.5.6.1");
	discover(dead, 1);
	assert_false(found.is_found);
}

/* ---- the model ---- */

static void
test_S25_S27_S29_S31_S33_what_cannot_be_ours_is_not_believed(void **state)
{
	static const struct {
		const char *text;
		int family;
		bool is_plausible;
	} rows[] = {
		{ "0.0.0.0", AF_INET, false },	   { "::", AF_INET6, false },	   /* S25 */
		{ "224.0.0.1", AF_INET, false },   { "ff02::1", AF_INET6, false }, /* S27 */
		{ "169.254.1.1", AF_INET, false }, { "fe80::1", AF_INET6, false }, /* S29 */
		{ "127.0.0.1", AF_INET, false },   { "::1", AF_INET6, false },
		{ "2600::1", AF_INET, false },	   { "5.5.5.5", AF_INET6, false }, /* S33 */
		{ "5.5.5.5", AF_INET, true },	   { "2600::1", AF_INET6, true },
		{ "100.64.1.1", AF_INET, true }, /* S31: flagged, not refused */
		{ "192.168.1.1", AF_INET, true },
	};
	struct sockaddr_in6 address;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(stun_lookup_literal(rows[i].text, 40000, &address));
		if (stun_nat_is_plausible(&address, rows[i].family) != rows[i].is_plausible)
			fail_msg("%s", rows[i].text);
	}
	assert_true(stun_lookup_literal("5.5.5.5", 0, &address));
	assert_false(stun_nat_is_plausible(&address, AF_INET));
}

static void
test_S57_what_was_not_found_out_is_unknown_P22(void **state)
{
	struct sockaddr_in6 local, mapped, other_port;

	(void)state;
	assert_true(stun_lookup_literal("192.168.50.2", 40000, &local));
	assert_true(stun_lookup_literal("5.5.6.1", 40000, &mapped));
	assert_true(stun_lookup_literal("5.5.6.1", 40001, &other_port));
	assert_int_equal(stun_nat_judge(&mapped, &mapped, NULL, -1, -1), STUN_NAT_OPEN);
	assert_int_equal(stun_nat_judge(&local, &mapped, &other_port, -1, -1),
			 STUN_NAT_SYMMETRIC); /* S57 */
	assert_int_equal(stun_nat_judge(&local, &mapped, NULL, -1, -1), STUN_NAT_UNKNOWN);
	assert_int_equal(stun_nat_judge(&local, &mapped, &mapped, -1, -1), STUN_NAT_UNKNOWN);
	assert_int_equal(stun_nat_judge(&local, &mapped, &mapped, 0, -1), STUN_NAT_UNKNOWN);
	assert_int_equal(stun_nat_judge(&local, &mapped, &mapped, 0, 1), STUN_NAT_RESTRICTED_CONE);
	assert_int_equal(stun_nat_judge(&local, &mapped, &mapped, 0, 0), STUN_NAT_PORT_RESTRICTED);
	assert_int_equal(stun_nat_judge(&local, &mapped, &mapped, 1, -1), STUN_NAT_FULL_CONE);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest models[] = {
		cmocka_unit_test(test_S25_S27_S29_S31_S33_what_cannot_be_ours_is_not_believed),
		cmocka_unit_test(test_S57_what_was_not_found_out_is_unknown_P22),
	};
	const struct CMUnitTest tests[] = {
		TEST(test_without_a_nat_it_is_open_P22),
		TEST(test_masquerading_is_port_restricted_P22),
		TEST(test_random_ports_are_symmetric_P22),
		TEST(test_a_forwarded_host_is_a_full_cone_P22),
		TEST(test_a_host_that_only_known_addresses_reach_is_a_restricted_cone_P22),
		TEST(test_F43_S55_a_dead_server_is_passed_over),
	};
	int failed = cmocka_run_group_tests(models, NULL, NULL);

	if (failed != 0 || !prepare())
		return failed != 0 ? failed : 77;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	remove_network();
	return failed;
}
