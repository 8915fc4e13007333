/*
 * The REST API under those who take too much: rates, deadlines, connections, and its own end (T09,
 * P10, P11; R25, R89).
 */
#include "gateway_rig_one.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void
start(const char *extra, enum rig_services services)
{
	assert_true(rig_start(&rig, extra, false, services));
}

static int
ask(const char *method, const char *target, const char *headers, const char *json)
{
	return rig_request(&rig, method, target, NULL, headers, json)->status;
}

/* Asks until it is served: the services may not have noticed yet that they can. */
static void
await_served(const char *text)
{
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	int status = 0;
	while (status != 200 && rig_now_ms() < deadline_ms)
		status = rig_exchange(&rig, text)->status;
	assert_int_equal(status, 200);
}

/* Registrations until one is too many: as many as a minute has, and what the minute has brought
 * back by then, however slowly we ask. */
static const struct rig_answer *
use_up(int a_minute, const char *headers)
{
	const struct rig_answer *answer;
	int64_t start_ms = rig_now_ms();
	int served = -1;
	do {
		answer = rig_request(&rig, "POST", "/api/v1/nodes/register", NULL, headers, "{}");
		served++;
	} while (answer->status != 0 && answer->status != 429);
	assert_int_equal(answer->status, 429);
	assert_true(served >= a_minute);
	assert_true(served <= a_minute + 1 + (rig_now_ms() - start_ms) * a_minute / 60000);
	return answer;
}

static void
test_R89_the_request_over_the_rate_is_429_with_retry_after(void **state)
{
	(void)state;
	start("rate_enrolment = 10", RIG_ALONE);
	const struct rig_answer *answer = use_up(10, NULL);
	assert_string_equal(rig_member(answer, "error.code"), "rate");
	long wait_sec = strtol(rig_header(answer, "Retry-After"), NULL, 10);
	assert_true(wait_sec >= 1 && wait_sec <= 60);
	/* Other classes are not touched. */
	assert_int_equal(ask("GET", "/health/live", NULL, NULL), 200);
}

static void
test_P11_neither_query_nor_headers_get_around_the_rate(void **state)
{
	(void)state;
	start("rate_enrolment = 3", RIG_ALONE);
	use_up(3, NULL);
	assert_int_equal(ask("POST", "/api/v1/nodes/register?x=/api/v1/metrics", NULL, "{}"), 429);
	assert_int_equal(ask("POST", "/api/v1/nodes/%72egister", NULL, "{}"), 429);
	assert_int_equal(
		ask("POST", "/api/v1/nodes/register", "X-Forwarded-For: 192.0.2.7\r\n", "{}"), 429);
	assert_int_equal(ask("POST", "/api/v1/nodes/register",
			     "Connection: Upgrade\r\nUpgrade: websocket\r\n", "{}"),
			 429);
}

static void
test_P10_a_trusted_proxy_speaks_for_others(void **state)
{
	(void)state;
	start("rate_enrolment = 2\ntrusted_proxies = 127.0.0.0/8", RIG_ALONE);
	const char *one = "X-Forwarded-For: 192.0.2.1\r\n", *two = "X-Forwarded-For: 192.0.2.2\r\n";
	use_up(2, one);
	assert_int_not_equal(ask("POST", "/api/v1/nodes/register", two, "{}"), 429);
	/* What the client put before the proxy's own entry does not count, in one line or two. */
	assert_int_equal(ask("POST", "/api/v1/nodes/register",
			     "X-Forwarded-For: 192.0.2.99, 192.0.2.1\r\n", "{}"),
			 429);
	assert_int_equal(ask("POST", "/api/v1/nodes/register",
			     "X-Forwarded-For: 192.0.2.98\r\nX-Forwarded-For: 192.0.2.1\r\n", "{}"),
			 429);
	assert_int_equal(ask("GET", "/health", "X-Forwarded-For: not an address\r\n", NULL), 400);
	/* Nor is one whose end we do not know counted as the proxy. */
	char many[2048] = "X-Forwarded-For: ";
	while (strlen(many) < sizeof(many) - 32)
		strcat(many, "192.0.2.99, ");
	strcat(many, "192.0.2.1\r\n");
	assert_int_equal(ask("GET", "/health", many, NULL), 400);
}

/* Says this at once on a connection of its own, and hears the answer. Where the system let us wait
 * for longer than the deadline between connecting and speaking, nothing was shown. */
static struct rig_client *
say(const char *text, struct rig_answer *ret)
{
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	struct rig_client *client = NULL;
	do {
		rig_disconnect(&client);
		client = rig_connect(&rig);
		assert_non_null(client);
		rig_send_text(client, text);
		rig_receive(client, ret);
	} while (ret->status == 0 && rig_now_ms() < deadline_ms);
	return client;
}

/* Sends a byte now and then until the gateway has had enough. */
static bool
is_cut_off(struct rig_client *client, const char *bytes)
{
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	size_t n = strlen(bytes);
	for (size_t i = 0; rig_now_ms() < deadline_ms; i++) {
		if (!rig_send(client, &bytes[i % n], 1))
			return true;
		poll(NULL, 0, 20);
	}
	return false;
}

static void
test_R25_a_head_that_trickles_is_cut_off(void **state)
{
	(void)state;
	start("head_deadline = 300ms", RIG_ALONE);
	struct rig_client *client = rig_connect(&rig);
	assert_non_null(client);
	rig_send_text(client, "GET /health HTTP/1.1\r\nX-");
	assert_true(is_cut_off(client, "a"));
	rig_disconnect(&client);

	static struct rig_answer answer;
	client = say("GET /health", &answer);
	assert_int_equal(answer.status, 408);
	assert_true(rig_is_closed(client));
	rig_disconnect(&client);

	/* Who has said nothing at all is told nothing, at first and after an answer. */
	client = rig_connect(&rig);
	assert_non_null(client);
	assert_true(rig_is_closed(client));
	rig_disconnect(&client);
	client = say("GET /health/live HTTP/1.1\r\n" H "\r\n", &answer);
	assert_int_equal(answer.status, 200);
	assert_true(rig_is_closed(client));
	rig_disconnect(&client);
}

/* The deadline of a later head is as absolute as that of the first. */
static void
test_R25_a_later_head_that_trickles_is_cut_off(void **state)
{
	(void)state;
	static struct rig_answer answer;
	start("head_deadline = 300ms", RIG_ALONE);
	struct rig_client *client =
		say("GET /health/live HTTP/1.1\r\n" H "\r\nGET /health HTTP/1.1\r\nX-", &answer);
	assert_int_equal(answer.status, 200);
	assert_true(is_cut_off(client, "a"));
	rig_disconnect(&client);
}

static void
test_a_body_that_trickles_is_cut_off(void **state)
{
	(void)state;
	start("request_deadline = 300ms", RIG_ALONE);
	struct rig_client *client = rig_connect(&rig);
	assert_non_null(client);
	rig_send_text(client, "POST /api/v1/nodes/register HTTP/1.1\r\n" H
			      "Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{");
	assert_true(is_cut_off(client, " "));
	rig_disconnect(&client);

	static struct rig_answer answer;
	client = say("POST /api/v1/nodes/challenge HTTP/1.1\r\n" H
		     "Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{",
		     &answer);
	assert_int_equal(answer.status, 408);
	assert_string_equal(rig_member(&answer, "error.code"), "timeout");
	assert_true(rig_is_closed(client));
	rig_disconnect(&client);
	assert_int_equal(ask("GET", "/health/live", NULL, NULL), 200);
}

static void
test_answers_that_nobody_reads_hold_nobody_up(void **state)
{
	(void)state;
	enum { DEAF = 40 };
	start("answer_deadline = 300ms", RIG_ALONE);
	struct rig_client *deaf[DEAF];
	for (int i = 0; i < DEAF; i++) {
		deaf[i] = rig_connect(&rig);
		assert_non_null(deaf[i]);
		rig_send_text(deaf[i], "GET /api/v1/openapi.json HTTP/1.1\r\n" H "\r\n");
	}
	assert_int_equal(ask("GET", "/health/live", NULL, NULL), 200);
	for (int i = 0; i < DEAF; i++)
		rig_disconnect(&deaf[i]);
}

static void
test_one_address_cannot_take_all_connections(void **state)
{
	(void)state;
	enum { LIMIT = 5 };
	start("max_connections_per_address = 5", RIG_ALONE);
	struct rig_client *idle[LIMIT], *over;
	static struct rig_answer answer;
	for (int i = 0; i < LIMIT; i++) {
		idle[i] = rig_connect(&rig);
		assert_non_null(idle[i]);
	}
	over = rig_connect(&rig);
	assert_non_null(over);
	assert_true(rig_is_closed(over));
	rig_disconnect(&over);
	/* Those that are there work, and make room. */
	rig_send_text(idle[0], "GET /health/live HTTP/1.1\r\n" H "\r\n");
	rig_receive(idle[0], &answer);
	assert_int_equal(answer.status, 200);
	rig_disconnect(&idle[0]);
	await_served("GET /health/live HTTP/1.1\r\n" H "\r\n");
	for (int i = 1; i < LIMIT; i++)
		rig_disconnect(&idle[i]);
}

static void
test_when_all_connections_are_taken_the_next_waits_its_turn(void **state)
{
	(void)state;
	enum { LIMIT = 16 };
	start("max_connections = 16\nhead_deadline = 500ms", RIG_ALONE);
	struct rig_client *idle[LIMIT];
	for (int i = 0; i < LIMIT; i++) {
		idle[i] = rig_connect(&rig);
		assert_non_null(idle[i]);
	}
	/* Waits in the backlog until the deadlines of the others have passed. */
	assert_int_equal(ask("GET", "/health/live", NULL, NULL), 200);
	for (int i = 0; i < LIMIT; i++)
		rig_disconnect(&idle[i]);
}

static void
list_nodes(char *ret_text, size_t capacity)
{
	snprintf(ret_text, capacity, "GET /api/v1/nodes HTTP/1.1\r\n" H "Authorization: %s\r\n\r\n",
		 rig_bearer(&rig, "client.key"));
}

static void
test_F09_a_service_that_hangs_is_503_and_the_next_request_is_served(void **state)
{
	(void)state;
	start("", RIG_SOME);
	char text[1024];
	list_nodes(text, sizeof(text));
	assert_int_equal(rig_exchange(&rig, text)->status, 200);
	assert_int_equal(kill(rig.discovery, SIGSTOP), 0);
	const struct rig_answer *answer = rig_exchange(&rig, text);
	assert_int_equal(answer->status, 503);
	assert_non_null(rig_header(answer, "Retry-After"));
	assert_int_equal(ask("GET", "/health/live", NULL, NULL), 200);
	assert_int_equal(kill(rig.discovery, SIGCONT), 0);
	await_served(text);
}

/* A client that goes while its request waits for the bus leaves nothing behind. */
static void
test_clients_that_leave_while_they_wait_do_no_harm(void **state)
{
	(void)state;
	start("", RIG_SOME);
	char text[1024];
	list_nodes(text, sizeof(text));
	assert_int_equal(kill(rig.discovery, SIGSTOP), 0);
	for (int i = 0; i < 20; i++) {
		struct rig_client *client = rig_connect(&rig);
		assert_non_null(client);
		rig_send_text(client, text);
		rig_disconnect(&client);
	}
	assert_int_equal(ask("GET", "/health/live", NULL, NULL), 200);
	assert_int_equal(kill(rig.discovery, SIGCONT), 0);
	await_served(text);
}

/* Stopped while requests wait for the bus: each gets its answer, and the gateway ends well. */
static void
test_sigterm_answers_what_waits_and_ends(void **state)
{
	(void)state;
	start("", RIG_SOME);
	char text[1024];
	static struct rig_answer answer;
	list_nodes(text, sizeof(text));
	assert_int_equal(kill(rig.discovery, SIGSTOP), 0);
	struct rig_client *client = rig_connect(&rig), *idle = rig_connect(&rig);
	assert_non_null(client);
	assert_non_null(idle);
	rig_send_text(client, text);
	/* One that comes behind it is served, so it has been taken up. */
	assert_int_equal(ask("GET", "/health/live", NULL, NULL), 200);
	assert_int_equal(kill(rig.gateway, SIGTERM), 0);
	assert_true(rig_is_closed(idle));
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 503);
	rig_disconnect(&client);
	rig_disconnect(&idle);
}

/* ---- F31 ---- */

enum { NUMBERS = 4096 };

/* The numbers of the gateway's descriptors that are free, up to the limit. */
static rlim_t
free_below(rlim_t limit, bool is_used[NUMBERS])
{
	char path[64];
	const struct dirent *entry;
	rlim_t n = 0;

	memset(is_used, 0, NUMBERS);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)rig.gateway);
	DIR *folder = opendir(path);
	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL)
		if (entry->d_name[0] != '.')
			is_used[strtoul(entry->d_name, NULL, 10) % NUMBERS] = true;
	closedir(folder);
	for (rlim_t i = 0; i < limit; i++)
		n += !is_used[i];
	return n;
}

/* A limit that leaves the gateway so many descriptors. */
static rlim_t
limit_that_leaves(rlim_t n)
{
	bool is_used[NUMBERS];
	rlim_t limit = 0;

	(void)free_below(0, is_used);
	for (; n > 0; limit++)
		n -= !is_used[limit];
	return limit;
}

static int64_t
processor_time_ns(void)
{
	char path[64];
	long long ns = 0;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)rig.gateway);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lld", &ns), 1);
	fclose(file);
	return ns;
}

static int
come_and_ask(void)
{
	static const char request[] = "GET /health/live HTTP/1.1\r\n" H "\r\n";
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(rig.port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
	return fd;
}

/* The gateway at its limit of descriptors lets clients wait, without turning round and round, and
 * serves them when there are some again. */
static void
test_F31_without_descriptors_clients_wait_and_are_served_later(void **state)
{
	enum { MORE = 4, CLIENTS = 64, LOOK_MS = 1000 };
	struct rlimit before, few;
	bool is_used[NUMBERS];
	int clients[CLIENTS];
	char answer[16];

	(void)state;
	start("max_connections_per_address = 1000", RIG_ALONE);
	assert_int_equal(prlimit(rig.gateway, RLIMIT_NOFILE, NULL, &before), 0);
	few = before;
	few.rlim_cur = limit_that_leaves(MORE);
	assert_int_equal(prlimit(rig.gateway, RLIMIT_NOFILE, &few, NULL), 0);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = come_and_ask();
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	while (free_below(few.rlim_cur, is_used) > 0)
		assert_true(rig_now_ms() < deadline_ms);

	struct pollfd last = { .fd = clients[CLIENTS - 1], .events = POLLIN };
	int64_t used_ns = processor_time_ns(), begin_ms = rig_now_ms();
	assert_int_equal(poll(&last, 1, LOOK_MS), 0);
	used_ns = processor_time_ns() - used_ns;
	assert_in_range(used_ns, 0, (rig_now_ms() - begin_ms) * 1000 * 1000 / 5);

	assert_int_equal(prlimit(rig.gateway, RLIMIT_NOFILE, &before, NULL), 0);
	assert_int_equal(poll(&last, 1, RIG_DEADLINE_MS), 1);
	assert_int_equal(recv(last.fd, answer, 12, MSG_WAITALL), 12);
	assert_memory_equal(answer, "HTTP/1.1 200", 12);
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			test_R89_the_request_over_the_rate_is_429_with_retry_after, rig_one_stop),
		cmocka_unit_test_teardown(test_P11_neither_query_nor_headers_get_around_the_rate,
					  rig_one_stop),
		cmocka_unit_test_teardown(test_P10_a_trusted_proxy_speaks_for_others, rig_one_stop),
		cmocka_unit_test_teardown(test_R25_a_head_that_trickles_is_cut_off, rig_one_stop),
		cmocka_unit_test_teardown(test_R25_a_later_head_that_trickles_is_cut_off,
					  rig_one_stop),
		cmocka_unit_test_teardown(test_a_body_that_trickles_is_cut_off, rig_one_stop),
		cmocka_unit_test_teardown(test_answers_that_nobody_reads_hold_nobody_up,
					  rig_one_stop),
		cmocka_unit_test_teardown(test_one_address_cannot_take_all_connections,
					  rig_one_stop),
		cmocka_unit_test_teardown(
			test_when_all_connections_are_taken_the_next_waits_its_turn, rig_one_stop),
		cmocka_unit_test_teardown(
			test_F09_a_service_that_hangs_is_503_and_the_next_request_is_served,
			rig_one_stop),
		cmocka_unit_test_teardown(
			test_F31_without_descriptors_clients_wait_and_are_served_later,
			rig_one_stop),
		cmocka_unit_test_teardown(test_clients_that_leave_while_they_wait_do_no_harm,
					  rig_one_stop),
		cmocka_unit_test_teardown(test_sigterm_answers_what_waits_and_ends, rig_one_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
