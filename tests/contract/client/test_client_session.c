/*
 * `higgs` in a network namespace: that it connects, that nothing leaves beside the tunnel while it
 * is up or after it was killed (T34, T35, T36, T37), that everything is put back, and how each
 * failure of the start ends (L28 to L62).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A TCP listener of the server's namespace and whether anyone came. */
struct bait {
	int fd;
	uint16_t port;
};

static struct bait
bait_set(void)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6 };
	socklen_t n = sizeof address;
	struct bait bait = { .fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	assert_int_equal(bind(bait.fd, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(bait.fd, 8), 0);
	getsockname(bait.fd, (struct sockaddr *)&address, &n);
	bait.port = ntohs(address.sin6_port);
	return bait;
}

/* May the client's host reach this address and port, as that account? */
static bool
reaches(const char *address, uint16_t port, const char *account)
{
	char command[256];

	snprintf(command, sizeof command,
		 "setpriv --reuid %s --clear-groups timeout 2 bash -c '</dev/tcp/%s/%u'", account,
		 address, port);
	return does(command);
}

/* What a leak would be made of: other ports, both families, an account that is not the client's,
 * the name server of before, and what answers a ping. */
static void
probe(const struct bait *bait)
{
	reaches("10.0.9.1", bait->port, "0");
	reaches("fd09::1", bait->port, "0");
	reaches("10.0.9.1", bait->port, "65534");
	reaches("10.0.9.53", 53, "0");
	does("ping -c 1 -W 1 10.0.9.1");
	does("ping -c 1 -W 1 fd09::1");
}

static void
expect_no_leak(const struct bait *bait)
{
	uint64_t leaks = lab_leaks(&lab);

	probe(bait);
	assert_int_equal(lab_leaks(&lab), leaks);
}

static void
test_connect_carries_packets_and_disconnect_puts_everything_back(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	struct bait bait = bait_set();
	unsigned deletes = atomic_load(&lab.deletes);

	connect_it();
	assert_true(does("ping -c 2 -W 2 10.90.0.1"));
	assert_true(does("ping -c 2 -W 2 fd48:6967:6773::1"));
	/* beyond the node, both families: only by the tunnel */
	assert_true(does("ping -c 1 -W 2 192.0.2.80"));
	assert_true(reaches("192.0.2.80", bait.port, "65534"));
	assert_true(reaches("2001:db8::80", bait.port, "65534"));
	assert_true(does("grep -q 'nameserver 10.90.0.1' /etc/resolv.conf"));
	json_t *report = status_of_client();
	assert_string_equal(json_string_value(json_object_get(report, "state")), "connected");
	assert_string_equal(json_string_value(json_object_get(report, "address6")),
			    "fd48:6967:6773::2");
	assert_true(json_integer_value(json_object_get(report, "rxBytes")) > 0);
	assert_int_equal(json_integer_value(json_object_get(report, "legAttempts")), 1);
	/* What WireGuard said before the leg was there may be among them. */
	assert_true(json_is_integer(json_object_get(report, "lostUp")));
	assert_true(json_is_integer(json_object_get(report, "lostDown")));
	assert_true(json_integer_value(json_object_get(report, "lastHandshakeSec")) > 0);
	json_decref(report);
	disconnect_it();
	assert_int_equal(atomic_load(&lab.deletes), deletes + 1); /* the session was closed */
	const char *json[] = { "--json", NULL };
	expect_exit(lab_higgs(&lab, "status", json, output), 3);
	close(bait.fd);
}

/* Of both commands that ask for one. */
static void
test_each_route_is_asked_for_with_a_proof_of_the_key_T05(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	char server[64];
	const char *config[] = { HIGGS_PROGRAM,	 "config", "--server",	    server, "--key-file",
				 lab.access_key, "--ca",   lab.certificate, NULL };

	atomic_store(&lab.routes, 0);
	atomic_store(&lab.proven, 0);
	connect_it();
	disconnect_it();
	snprintf(server, sizeof server, "https://10.0.9.1:%u", lab.relay.port);
	expect_exit(lab_run(&lab, config, output), 0);
	assert_true(atomic_load(&lab.routes) >= 2);
	assert_int_equal(atomic_load(&lab.proven), atomic_load(&lab.routes));
}

static void
test_a_server_that_knows_no_challenges_is_asked_without_a_proof(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();

	atomic_store(&lab.proven, 0);
	atomic_store(&lab.has_no_challenges, true);
	connect_it();
	atomic_store(&lab.has_no_challenges, false);
	assert_int_equal(atomic_load(&lab.proven), 0);
	disconnect_it();
}

static void
test_status_says_node_way_bytes_handshake_and_since_when(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	char relay[64];

	connect_it();
	assert_true(does("ping -c 1 -W 2 10.90.0.1"));
	expect_exit(lab_higgs(&lab, "status", NULL, output), 0);
	snprintf(relay, sizeof relay, "relay      wss://10.0.9.1:%u/relay/", lab.relay.port);
	expect_contains(output, "connected\n");
	expect_contains(output, "node       5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002 (SE)\n");
	expect_contains(output, "address    10.90.0.2, fd48:6967:6773::2\n");
	expect_contains(output, relay);
	expect_contains(output, ", by WebSocket\n");
	expect_contains(output, "kill switch on\n");
	expect_contains(output, " s ago\n");
	expect_contains(output, "since      20");
	assert_null(strstr(output, "received   0 bytes"));
	assert_null(strstr(output, "sent       0 bytes"));
	disconnect_it();
}

/* The lab's node answers no names. */
static void
test_doctor_says_what_works_and_what_does_not(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();

	expect_exit(lab_higgs(&lab, "doctor", NULL, output), 3);
	expect_contains(output, "not connected\n");
	connect_it();
	expect_exit(lab_higgs(&lab, "doctor", NULL, output), 69);
	expect_contains(output, "BAD  names        the tunnel's name server 10.90.0.1 does not");
	expect_contains(output, "ok   IPv6         goes into the tunnel\n");
	expect_contains(output, "ok   kill switch  its rules are in place\n");
	expect_contains(output, "ok   packets      those of 1280 bytes get through, both ways\n");
	expect_contains(output, "?    exit         not asked: which server?");
	/* A node without echoes is judged by its answers to names, and this one has none. */
	assert_int_equal(system("sysctl -qw net.ipv4.icmp_echo_ignore_all=1"), 0);
	expect_exit(lab_higgs(&lab, "doctor", NULL, output), 69);
	assert_int_equal(system("sysctl -qw net.ipv4.icmp_echo_ignore_all=0"), 0);
	expect_contains(output, "BAD  packets      those of 1280 bytes do not get through\n");
	assert_true(does("nft delete table inet higgs_client"));
	expect_exit(lab_higgs(&lab, "doctor", NULL, output), 69);
	expect_contains(output, "BAD  kill switch  its rules are gone: reconnect\n");
	disconnect_it();
}

/* Of two addresses, the first of which swallows everything. */
static void
test_server_and_relay_are_found_by_their_names(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	lab.host = "boson.lab";
	note_state(LAB_NAMED_RELAY);
	int status = lab_higgs(&lab, "connect", NULL, output);
	lab.host = "10.0.9.1";
	expect_exit(status, 0);
	expect_contains(output, "exit through boson.lab\n");
	assert_true(does("ping -c 1 -W 2 10.90.0.1"));
	disconnect_it();
}

/* T33, T34, T35, T36 */
static void
test_nothing_leaves_beside_the_tunnel_while_it_is_up(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	struct bait bait = bait_set();

	uint64_t leaks = lab_leaks(&lab);
	probe(&bait); /* and they would be seen */
	assert_true(lab_leaks(&lab) >= leaks + 5);
	connect_it();
	expect_no_leak(&bait);
	disconnect_it();
	assert_true(reaches("10.0.9.1", bait.port, "0"));
	close(bait.fd);
}

static void
test_without_kill_switch_the_rules_still_send_all_into_the_tunnel(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	const char *more[] = { "--no-kill-switch", "--no-dns", NULL };

	note_state(LAB_ROUTE);
	expect_exit(lab_higgs(&lab, "connect", more, output), 0);
	assert_true(does("ping -c 1 -W 2 10.90.0.1"));
	assert_true(does("test -z \"$(nft list ruleset)\""));
	assert_true(does("grep -q 'nameserver 10.0.9.53' /etc/resolv.conf"));
	assert_true(does("ip route get 10.0.9.77 | grep -q 'dev hgc'"));
	disconnect_it();
}

/* T36, T37, L40 */
static void
test_a_killed_client_keeps_blocking_and_the_next_start_cleans_up(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	struct bait bait = bait_set();

	connect_it();
	pid_t pid = client_pid();
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(does_in_time("! ip link show | grep -q hgc")); /* wireguard-go went with it */
	expect_exit(lab_higgs(&lab, "status", NULL, output), 3);
	expect_no_leak(&bait);
	assert_false(reaches("10.0.9.1", bait.port, "0"));
	assert_false(reaches("10.0.9.1", lab.relay.port, "65534"));
	assert_true(reaches("10.0.9.1", lab.relay.port, "0")); /* what is pinned */
	expect_exit(lab_higgs(&lab, "connect", NULL, output), 0);
	expect_contains(output, "removed what a session that was killed had left");
	assert_true(does("ping -c 1 -W 2 10.90.0.1"));
	disconnect_it();
	close(bait.fd);
}

static void
test_disconnect_cleans_up_after_a_killed_client(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	connect_it();
	assert_int_equal(kill(client_pid(), SIGKILL), 0);
	assert_true(does_in_time("! ip link show | grep -q hgc"));
	expect_exit(lab_higgs(&lab, "disconnect", NULL, output), 0);
	expect_contains(output, "removed what a session that was killed had left");
	expect_as_before();
	expect_exit(lab_higgs(&lab, "disconnect", NULL, output), 0);
	expect_contains(output, "not connected");
}

static void
test_sigterm_of_the_background_process_is_a_disconnect(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	connect_it();
	pid_t pid = client_pid();
	assert_int_equal(kill(pid, SIGTERM), 0);
	char command[64];
	snprintf(command, sizeof command, "! test -d /proc/%d", (int)pid);
	assert_true(does_in_time(command));
	expect_as_before();
}

/* L34 */
static void
test_of_two_starts_at_once_one_wins_and_the_other_exits_75(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	note_state(LAB_ROUTE);
	pid_t one = lab_higgs_start(&lab, "connect", NULL, NULL);
	pid_t two = lab_higgs_start(&lab, "connect", NULL, NULL);
	int first = lab_wait(one), second = lab_wait(two);

	assert_int_equal(first < second ? first : second, 0);
	assert_int_equal(first < second ? second : first, 75);
	/* neither with another folder: the namespace has one set of rules */
	const char *more[] = { "--state", NULL, NULL };
	char folder[128];
	snprintf(folder, sizeof folder, "%s/other", lab.folder);
	more[1] = folder;
	char server[64];
	snprintf(server, sizeof server, "https://10.0.9.1:%u", lab.relay.port);
	const char *argv[] = { HIGGS_PROGRAM,  "connect", "--server", server, "--key-file",
			       lab.access_key, more[0],	  more[1],    NULL };
	expect_exit(lab_run(&lab, argv, output), 75);
	expect_contains(output, "runs here already");
	disconnect_it();
}

static void
test_the_tunnel_survives_a_restart_of_the_relay(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	connect_it();
	assert_int_equal(lab_restart_relay(&lab), 0);
	assert_true(does_in_time("ping -c 1 -W 1 10.90.0.1"));
	json_t *report = status_of_client();
	assert_string_equal(json_string_value(json_object_get(report, "state")), "connected");
	json_decref(report);
	disconnect_it();
}

static void
expect_refused(enum lab_answer answer, int status, const char *text)
{
	atomic_store(&lab.answer, answer);
	expect_exit(lab_higgs(&lab, "connect", NULL, output), status);
	expect_contains(output, text);
	expect_as_before();
}

/* L54 to L62 */
static void
test_each_refusal_of_the_server_has_its_status_and_leaves_nothing(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	note_state(LAB_ROUTE);
	expect_refused(LAB_401, 77, "does not accept this access key");
	expect_refused(LAB_403, 77, "may not do that");
	expect_refused(LAB_404, 69, "no node fits");
	expect_refused(LAB_409, 77, "the key does not match");
	expect_refused(LAB_429, 75, "try again in 7 s");
	expect_refused(LAB_503, 75, "try again in 7 s");
	expect_refused(LAB_REDIRECT, 76, "wants to send us elsewhere");
	expect_refused(LAB_GARBAGE, 76, "makes no sense");
	expect_refused(LAB_WRONG_ROUTE, 76, "not a wss URL");
}

/* L54, T43 */
static void
test_a_server_that_is_away_or_has_the_wrong_certificate_is_not_connected_to(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	char server[64];
	note_state(LAB_ROUTE);
	unsigned routes = atomic_load(&lab.routes);
	const char *away[] = { HIGGS_PROGRAM, "connect",      "--server", "https://10.0.9.1:1",
			       "--key-file",  lab.access_key, "--state",  lab.state,
			       NULL };
	expect_exit(lab_run(&lab, away, output), 75);
	expect_contains(output, "try again in");
	snprintf(server, sizeof server, "https://10.0.9.1:%u", lab.relay.port);
	const char *unknown_ca[] = { HIGGS_PROGRAM,  "connect", "--server", server, "--key-file",
				     lab.access_key, "--state", lab.state,  NULL };
	expect_exit(lab_run(&lab, unknown_ca, output), 75);
	assert_int_equal(atomic_load(&lab.routes), routes);
	expect_as_before();
}

/* L28 */
static void
test_without_the_capability_it_says_which_is_missing(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	char command[512];

	snprintf(command, sizeof command,
		 "exec setpriv --bounding-set -net_admin --inh-caps -net_admin %s connect --server "
		 "https://10.0.9.1:1 --key-file %s --state %s",
		 HIGGS_PROGRAM, lab.access_key, lab.state);
	const char *argv[] = { "sh", "-c", command, NULL };
	expect_exit(lab_run(&lab, argv, output), 77);
	expect_contains(output, "CAP_NET_ADMIN");
}

/* T38 */
static void
test_another_account_may_neither_ask_nor_disconnect(void **state)
{
	(void)state;
	SKIP_WITHOUT_LAB();
	char command[512];

	connect_it();
	snprintf(command, sizeof command,
		 "chmod 755 %s %s; exec setpriv --reuid 65534 --clear-groups %s disconnect --state "
		 "%s",
		 lab.folder, lab.state, HIGGS_PROGRAM, lab.state);
	const char *argv[] = { "sh", "-c", command, NULL };
	expect_exit(lab_run(&lab, argv, output), 77);
	assert_true(does("ping -c 1 -W 2 10.90.0.1"));
	disconnect_it();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_connect_carries_packets_and_disconnect_puts_everything_back),
		RIG_TEST(test_each_route_is_asked_for_with_a_proof_of_the_key_T05),
		RIG_TEST(test_a_server_that_knows_no_challenges_is_asked_without_a_proof),
		RIG_TEST(test_status_says_node_way_bytes_handshake_and_since_when),
		RIG_TEST(test_doctor_says_what_works_and_what_does_not),
		RIG_TEST(test_server_and_relay_are_found_by_their_names),
		RIG_TEST(test_nothing_leaves_beside_the_tunnel_while_it_is_up),
		RIG_TEST(test_without_kill_switch_the_rules_still_send_all_into_the_tunnel),
		RIG_TEST(test_a_killed_client_keeps_blocking_and_the_next_start_cleans_up),
		RIG_TEST(test_disconnect_cleans_up_after_a_killed_client),
		RIG_TEST(test_sigterm_of_the_background_process_is_a_disconnect),
		RIG_TEST(test_of_two_starts_at_once_one_wins_and_the_other_exits_75),
		RIG_TEST(test_the_tunnel_survives_a_restart_of_the_relay),
		RIG_TEST(test_each_refusal_of_the_server_has_its_status_and_leaves_nothing),
		RIG_TEST(
			test_a_server_that_is_away_or_has_the_wrong_certificate_is_not_connected_to),
		RIG_TEST(test_without_the_capability_it_says_which_is_missing),
		RIG_TEST(test_another_account_may_neither_ask_nor_disconnect),
	};
	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
