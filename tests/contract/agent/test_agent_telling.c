/*
 * What the agent tells of itself (figures, its mapped address) and does when it is asked to,
 * towards a server over real TLS and a STUN server of the test's own on loopback.
 */
#include "agent_run.h"
#include "fleet_server.h"
#include "loop/clock.h"
#include "stun/stun_message.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAPPED "5.5.5.5"
#define KEY    "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="

static struct fleet_server server;
static struct agent_run run;
static int stun;
static struct loop_fd *stun_watch;
static unsigned stun_port, stun_requests;
static char stun_servers[128];

/* ---- a STUN server: of everybody it says MAPPED, of itself what it likes ---- */

static const char software[] = "\033[2J\nerror agent forged";

static void
on_stun(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(40000) };
	struct sockaddr_in from;
	socklen_t n = sizeof(from);
	struct stun_message request;
	struct stun_writer reply;
	uint8_t bytes[2048];
	ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &n);

	(void)loop;
	(void)events;
	(void)arg;
	assert_true(got > 0);
	assert_int_equal(stun_message_parse(bytes, (size_t)got, &request), 0);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:" MAPPED, &mapped.sin6_addr), 1);
	stun_begin(&reply, STUN_SUCCESS, STUN_BINDING, request.transaction);
	stun_put_address(&reply, STUN_XOR_MAPPED_ADDRESS, &mapped);
	stun_put(&reply, STUN_SOFTWARE, software, sizeof(software) - 1);
	assert_int_equal(stun_finish(&reply, NULL, 0), 0);
	assert_true(sendto(fd, reply.bytes, reply.n, 0, (struct sockaddr *)&from, n) > 0);
	stun_requests++;
}

static void
open_stun(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(address);

	stun = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(stun, (struct sockaddr *)&address, n), 0);
	assert_int_equal(getsockname(stun, (struct sockaddr *)&address, &n), 0);
	stun_port = ntohs(address.sin_port);
	stun_requests = 0;
	assert_int_equal(loop_fd_add(run.loop, stun, EPOLLIN, on_stun, NULL, &stun_watch), 0);
	(void)snprintf(stun_servers, sizeof(stun_servers), "[{\"host\":\"127.0.0.1\",\"port\":%u}]",
		       stun_port);
	atomic_store(&server.stun_servers, stun_servers);
}

static void
configure(const char *more)
{
	char lines[512];

	(void)snprintf(lines, sizeof(lines), "%s%s", fleet_server_lines(&server), more);
	agent_run_configure(&run, lines);
}

static int
setup(void **state)
{
	(void)state;
	fleet_server_start(&server);
	/* Without a relay the first heartbeat comes after 3 s, not after 30. */
	atomic_store(&server.has_no_relays, true);
	agent_run_open(&run);
	open_stun();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	loop_fd_remove(&stun_watch);
	(void)close(stun);
	agent_run_close(&run);
	fleet_server_stop(&server);
	return 0;
}

struct at_least {
	atomic_int *counter;
	int value;
};

static bool
is_at_least(struct agent_run *r, void *arg)
{
	struct at_least *wanted = arg;

	(void)r;
	return atomic_load(wanted->counter) >= wanted->value;
}

static void
until(atomic_int *counter, int value, const char *what)
{
	struct at_least wanted = { counter, value };

	agent_run_until(&run, is_at_least, &wanted, what);
}

/* ---- the network ---- */

static void
assert_log_is_clean(void)
{
	char log[16 * 1024];
	FILE *file = fopen(agent_run_file(&run, "../../agent.log"), "re");

	assert_non_null(file);
	log[fread(log, 1, sizeof(log) - 1, file)] = '\0';
	(void)fclose(file);
	assert_non_null(strstr(log, "network_changed nat=0 mapped=" MAPPED ":40000"));
	assert_null(strstr(log, "forged"));
	assert_null(strchr(log, '\033'));
}

static void
test_S47_the_mapped_address_is_told_and_nothing_that_the_server_says_of_itself(void **state)
{
	(void)state;
	configure("stun_private = yes\n[log]\nlevel = debug\n");
	agent_run_start(&run);
	until(&server.proofs, 2, "a second registration");
	assert_string_equal(server.mapped, MAPPED ":40000");
	assert_int_equal(server.nat_type, 0); /* one server without another address: not known */
	assert_log_is_clean();
	assert_int_equal(atomic_load(&server.bad_proofs), 0);
}

static void
test_S61_a_server_at_a_private_address_is_not_asked(void **state)
{
	int heartbeats;

	(void)state;
	configure("");
	agent_run_start(&run);
	until(&server.heartbeats, 1, "a heartbeat");
	heartbeats = atomic_load(&server.heartbeats);
	until(&server.heartbeats, heartbeats + 2, "heartbeats");
	assert_int_equal(stun_requests, 0);
	assert_int_equal(atomic_load(&server.proofs), 1);
}

/* ---- figures ---- */

static double
number(const json_t *root, const char *a, const char *b, const char *c)
{
	const json_t *value = json_object_get(json_object_get(root, "metrics"), a);

	value = json_object_get(value, b);
	if (c != NULL)
		value = json_object_get(value, c);
	if (!json_is_number(value))
		fail_msg("no %s.%s in %s", a, b, server.metrics);
	return json_number_value(value);
}

static void
test_figures_are_measured_and_sent(void **state)
{
	json_t *root;

	(void)state;
	configure("stun_private = yes\nmetrics = 1s\n");
	agent_run_start(&run);
	until(&server.proofs, 2, "the STUN server's answer");
	agent_run_report(&run);
	until(&server.samples, atomic_load(&server.samples) + 2, "a sample");
	root = json_loads(server.metrics, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "nodeId")),
			    run.attachment->node_id);
	assert_true(number(root, "network", "latency", NULL) > 0);
	assert_true(number(root, "network", "packetLoss", NULL) == 0);
	assert_in_range((int)number(root, "system", "memoryUsage", NULL), 0, 100);
	assert_in_range((int)number(root, "system", "diskUsage", NULL), 0, 100);
	assert_true(number(root, "wireguard", "bytes", "sent") >= 0);
	assert_true(number(root, "connections", "active", NULL) == 0);
	json_decref(root);
}

static void
test_without_a_stun_server_what_was_not_measured_is_not_said(void **state)
{
	(void)state;
	atomic_store(&server.stun_servers, NULL);
	configure("metrics = 1s\n");
	agent_run_start(&run);
	until(&server.samples, 1, "a sample");
	assert_null(strstr(server.metrics, "latency"));
	assert_null(strstr(server.metrics, "wireguard")); /* no forwarder reported */
	assert_non_null(strstr(server.metrics, "memoryUsage"));
}

/* ---- actions ---- */

/* After this, an answer that carried the actions has been dealt with. */
static void
ask_for(const char *actions)
{
	atomic_store(&server.actions, actions);
	until(&server.heartbeats, atomic_load(&server.heartbeats) + 3, "heartbeats");
}

static int
admit(const char *id)
{
	const Boson__Link__SessionOpened *opened =
		agent_run_admit(&run, id, KEY, clock_wall_ms() + 3600000);

	assert_non_null(opened);
	return (int)opened->result;
}

static void
test_a_node_in_maintenance_admits_nobody_until_it_is_over(void **state)
{
	(void)state;
	configure("");
	agent_run_start(&run);
	ask_for("[{\"type\":\"maintenance\",\"payload\":\"{\\\"seconds\\\":3600}\"}]");
	assert_int_equal(admit("11111111-1111-4111-8111-111111111111"),
			 BOSON__LINK__SESSION_OPENED__RESULT__FULL);
	assert_true(atomic_load(&server.degraded) > 0);
	ask_for("[{\"type\":\"maintenance\",\"payload\":\"{\\\"seconds\\\":0}\"}]");
	assert_int_equal(admit("11111111-1111-4111-8111-111111111111"),
			 BOSON__LINK__SESSION_OPENED__RESULT__OK);
}

static void
test_a_server_may_lower_the_owners_limit_and_not_raise_it(void **state)
{
	(void)state;
	configure("max_sessions = 1\n");
	agent_run_start(&run);
	ask_for("[{\"type\":\"updateConfig\",\"payload\":\"{\\\"maxSessions\\\":0}\"}]");
	assert_int_equal(admit("11111111-1111-4111-8111-111111111111"),
			 BOSON__LINK__SESSION_OPENED__RESULT__FULL);
	ask_for("[{\"type\":\"updateConfig\",\"payload\":\"{\\\"maxSessions\\\":9}\"}]");
	assert_int_equal(admit("11111111-1111-4111-8111-111111111111"),
			 BOSON__LINK__SESSION_OPENED__RESULT__OK);
	atomic_store(&server.actions, NULL);
	assert_int_equal((int)agent_run_admit(&run, "22222222-2222-4222-8222-222222222222",
					      "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=",
					      clock_wall_ms() + 3600000)
				 ->result,
			 BOSON__LINK__SESSION_OPENED__RESULT__FULL);
}

static void
test_a_server_cannot_keep_a_node_starting_nor_ask_for_more_than_is_known(void **state)
{
	(void)state;
	configure("");
	agent_run_start(&run);
	ask_for("[{\"type\":\"restart\"},{\"type\":\"shell\",\"payload\":\"{}\"},"
		"{\"type\":\"maintenance\",\"payload\":\"nonsense\"}]");
	assert_int_equal(admit("11111111-1111-4111-8111-111111111111"),
			 BOSON__LINK__SESSION_OPENED__RESULT__OK);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_S47_the_mapped_address_is_told_and_nothing_that_the_server_says_of_itself),
		TEST(test_S61_a_server_at_a_private_address_is_not_asked),
		TEST(test_figures_are_measured_and_sent),
		TEST(test_without_a_stun_server_what_was_not_measured_is_not_said),
		TEST(test_a_node_in_maintenance_admits_nobody_until_it_is_over),
		TEST(test_a_server_may_lower_the_owners_limit_and_not_raise_it),
		TEST(test_a_server_cannot_keep_a_node_starting_nor_ask_for_more_than_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
