/*
 * Programs that run: signals, the phases of their actors, the admin address. One program has one
 * actor, the other three: discovery, turn, relay start in this order and stop in reverse.
 */
#include "../../temp_folder.h"
#include "child.h"

#include "loop/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

static struct child child, second;
static struct temp_folder folder;
static char config_path[96];

static int
setup(void **state)
{
	(void)state;
	temp_folder_make(&folder);
	snprintf(config_path, sizeof(config_path), "%s/boson.conf", folder.path);
	child = second = (struct child){ .pid = -1, .fds = { -1, -1 } };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	child_end(&child);
	child_end(&second);
	return temp_folder_drop(&folder);
}

static void
start(const char *program, const char *more)
{
	const char *const argv[] = { program, "-c", config_path, "-v", NULL };
	FILE *file = fopen(config_path, "we");

	assert_non_null(file);
	fprintf(file,
		"[service]\nstate = %s/state\nrun = %s/run\n"
		"[admin]\nrelay = 127.0.0.1:0\nbosond = 127.0.0.1:0\n%s",
		folder.path, folder.path, more);
	assert_int_equal(fclose(file), 0);
	child_start(&child, argv);
}

static uint16_t
await_port(void)
{
	return (uint16_t)strtoul(
		child_await(&child, CHILD_STDERR, "admin_listening address=127.0.0.1 port="), NULL,
		10);
}

static void
assert_answer(const char *answer, const char *status, const char *body)
{
	if (strncmp(answer, status, strlen(status)) != 0 || strstr(answer, body) == NULL)
		fail_msg("not '%s' with '%s', but:\n%s", status, body, answer);
}

/* Until the deadline: what an actor says reaches the admin address within 250 ms. */
static void
await_answer(uint16_t port, const char *path, const char *status)
{
	int64_t deadline_ms = clock_monotonic_ms() + CHILD_DEADLINE_MS;

	while (strncmp(http_request(port, "GET", path), status, strlen(status)) != 0)
		if (clock_monotonic_ms() > deadline_ms)
			fail_msg("%s is not %s", path, status);
}

static void
test_sigterm_drains_and_stops_and_exits_0(void **state)
{
	(void)state;
	start(SPECIMEN, "");
	child_await(&child, CHILD_STDERR, "service_running");
	child_signal(&child, SIGTERM);
	child_await(&child, CHILD_STDERR, "specimen_drain actor=relay");
	child_await(&child, CHILD_STDERR, "specimen_stop actor=relay");
	assert_int_equal(child_wait(&child), EX_OK);
}

static void
test_sigint_does_the_same(void **state)
{
	(void)state;
	start(SPECIMEN, "");
	child_await(&child, CHILD_STDERR, "service_running");
	child_signal(&child, SIGINT);
	child_await(&child, CHILD_STDERR, "specimen_drain actor=relay");
	assert_int_equal(child_wait(&child), EX_OK);
}

static void
test_actors_start_in_order_and_stop_in_reverse(void **state)
{
	(void)state;
	start(SPECIMENS, "");
	child_await(&child, CHILD_STDERR,
		    "specimen_start actor=discovery endpoint=inproc://discovery "
		    "events=inproc://discovery-events");
	child_await(&child, CHILD_STDERR, "specimen_start actor=turn");
	child_await(&child, CHILD_STDERR, "specimen_start actor=relay");
	child_await(&child, CHILD_STDERR, "service_running");
	child_signal(&child, SIGTERM);
	child_await(&child, CHILD_STDERR, "specimen_stop actor=relay");
	child_await(&child, CHILD_STDERR, "specimen_stop actor=turn");
	child_await(&child, CHILD_STDERR, "specimen_stop actor=discovery");
	assert_int_equal(child_wait(&child), EX_OK);
}

static void
test_one_service_alone_has_its_mailbox_in_the_run_folder(void **state)
{
	char text[256];

	(void)state;
	start(SPECIMEN, "");
	snprintf(text, sizeof(text),
		 "endpoint=ipc://%s/run/relay.sock events=ipc://%s/run/relay-events.sock",
		 folder.path, folder.path);
	child_await(&child, CHILD_STDERR, text);
	child_await(&child, CHILD_STDERR, "service_running");
	child_signal(&child, SIGTERM);
	assert_int_equal(child_wait(&child), EX_OK);
}

static void
test_actors_wait_for_the_drain_of_all(void **state)
{
	(void)state;
	start(SPECIMENS, "[turn]\nbehaviour = drain_never\n");
	child_await(&child, CHILD_STDERR, "service_running");
	child_signal(&child, SIGTERM);
	child_await(&child, CHILD_STDERR, "specimen_drain actor=turn");
	assert_null(strstr(child.output[CHILD_STDERR], "specimen_stop"));
	child_signal(&child, SIGTERM); /* a second one does not wait */
	child_await(&child, CHILD_STDERR, "specimen_stop actor=relay");
	child_await(&child, CHILD_STDERR, "specimen_stop actor=discovery");
	assert_int_equal(child_wait(&child), EX_OK);
}

static void
test_drain_is_cut_at_its_cap(void **state)
{
	(void)state;
	start(SPECIMEN, "[service]\ndrain = 50ms\n[relay]\nbehaviour = drain_never\n");
	child_await(&child, CHILD_STDERR, "service_running");
	child_signal(&child, SIGTERM);
	child_await(&child, CHILD_STDERR, "drain_cut actor=relay");
	child_await(&child, CHILD_STDERR, "specimen_stop actor=relay");
	assert_int_equal(child_wait(&child), EX_OK);
}

static void
test_C63_sighup_changes_nothing_and_says_so(void **state)
{
	uint16_t port;

	(void)state;
	start(SPECIMEN, "");
	port = await_port();
	child_await(&child, CHILD_STDERR, "service_running");
	child_signal(&child, SIGHUP);
	child_await(&child, CHILD_STDERR, "signal_ignored signal=SIGHUP");
	await_answer(port, "/health/ready", "HTTP/1.1 200");
	child_signal(&child, SIGTERM);
	assert_int_equal(child_wait(&child), EX_OK);
}

static void
test_actor_that_cannot_start_stops_the_others_in_reverse(void **state)
{
	(void)state;
	start(SPECIMENS, "[relay]\nbehaviour = exit_72\n");
	child_await(&child, CHILD_STDERR, "actor_start_failed actor=relay exit_code=72");
	child_await(&child, CHILD_STDERR, "specimen_stop actor=turn");
	child_await(&child, CHILD_STDERR, "specimen_stop actor=discovery");
	assert_int_equal(child_wait(&child), 72);
}

static void
test_actor_that_fails_later_ends_all_with_its_code(void **state)
{
	(void)state;
	start(SPECIMENS, "[discovery]\nbehaviour = fail_later\n");
	child_await(&child, CHILD_STDERR, "actor_failed actor=discovery exit_code=72");
	child_await(&child, CHILD_STDERR, "specimen_stop actor=discovery");
	assert_int_equal(child_wait(&child), 72);
}

static void
test_L34_second_start_on_the_same_state_is_75(void **state)
{
	const char *const argv[] = { SPECIMEN, "-c", config_path, NULL };

	(void)state;
	start(SPECIMEN, "");
	child_await(&child, CHILD_STDERR, "service_running");
	assert_int_equal(child_run(&second, argv), EX_TEMPFAIL);
	assert_non_null(strstr(second.output[CHILD_STDERR], "folder_in_use"));
	assert_non_null(strstr(second.output[CHILD_STDERR], "in use by another process"));
	child_signal(&child, SIGTERM);
	assert_int_equal(child_wait(&child), EX_OK);
}

/* As after a kill -9: the dead one's lock goes a moment later. */
static void
test_start_waits_for_the_folder_of_one_that_is_just_dying(void **state)
{
	const char *const argv[] = { SPECIMEN, "-c", config_path, "-v", NULL };

	(void)state;
	start(SPECIMEN, "");
	child_await(&child, CHILD_STDERR, "service_running");
	child_start(&second, argv);
	child_await(&second, CHILD_STDERR, "folder_in_use");
	child_signal(&child, SIGKILL);
	child_await(&second, CHILD_STDERR, "service_running");
	child_signal(&second, SIGTERM);
	assert_int_equal(child_wait(&second), EX_OK);
}

static void
test_start_after_kill_9_works(void **state)
{
	(void)state;
	start(SPECIMEN, "");
	child_await(&child, CHILD_STDERR, "service_running");
	child_signal(&child, SIGKILL);
	assert_int_equal(child_wait(&child), 256 + SIGKILL);
	start(SPECIMEN, "");
	child_await(&child, CHILD_STDERR, "service_running");
	child_signal(&child, SIGTERM);
	assert_int_equal(child_wait(&child), EX_OK);
}

static void
test_admin_port_in_use_is_71_with_the_address(void **state)
{
	const char *const argv[] = { SPECIMENS, "-c", config_path, NULL };
	char text[64];

	(void)state;
	start(SPECIMEN, "");
	snprintf(text, sizeof(text), "127.0.0.1:%u", await_port());
	child_await(&child, CHILD_STDERR, "service_running");
	setenv("BOSON_ADMIN_BOSOND", text, 1);
	setenv("BOSON_SERVICE_STATE", folder.path,
	       1); /* another state: only the port is in the way */
	assert_int_equal(child_run(&second, argv), EX_OSERR);
	unsetenv("BOSON_ADMIN_BOSOND");
	unsetenv("BOSON_SERVICE_STATE");
	strncat(text, ": Address already in use", sizeof(text) - strlen(text) - 1);
	assert_non_null(strstr(second.output[CHILD_STDERR], text));
}

static void
test_health_and_metrics_are_served(void **state)
{
	uint16_t port;

	(void)state;
	start(SPECIMENS, "");
	port = await_port();
	await_answer(port, "/health/ready", "HTTP/1.1 200");
	assert_answer(http_request(port, "GET", "/health/live"), "HTTP/1.1 200",
		      "{\"status\":\"ok\"}");
	assert_answer(http_request(port, "GET", "/metrics"), "HTTP/1.1 200",
		      "boson_discovery_starts_total 1");
	assert_answer(http_request(port, "GET", "/metrics"), "HTTP/1.1 200", "boson_relay_ready 1");
	assert_answer(http_request(port, "GET", "/metrics"), "HTTP/1.1 200",
		      "process_resident_memory_bytes");
	assert_answer(http_request(port, "GET", "/"), "HTTP/1.1 404", "not here");
	assert_answer(http_request(port, "POST", "/metrics"), "HTTP/1.1 405", "Allow: GET, HEAD");
	child_signal(&child, SIGTERM);
	assert_int_equal(child_wait(&child), EX_OK);
}

static void
test_C53_descriptor_limit_is_raised_as_far_as_it_goes(void **state)
{
	struct rlimit limit, low;
	char text[64];
	uint16_t port;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	start(SPECIMEN, "");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	port = await_port();
	snprintf(text, sizeof(text), "process_max_fds %llu\n", (unsigned long long)limit.rlim_max);
	assert_answer(http_request(port, "GET", "/metrics"), "HTTP/1.1 200", text);
	child_signal(&child, SIGTERM);
	assert_int_equal(child_wait(&child), EX_OK);
}

static void
test_ready_says_why_not_and_then_is(void **state)
{
	char path[96], more[160];
	uint16_t port;
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/go", folder.path);
	snprintf(more, sizeof(more), "[turn]\nbehaviour = wait_for_file\nfile = %s\n", path);
	start(SPECIMENS, more);
	port = await_port();
	child_await(&child, CHILD_STDERR, "service_running");
	for (;;) { /* "starting" until its loop has looked once */
		const char *answer = http_request(port, "GET", "/health/ready");

		if (strstr(answer, "turn: the file is not there") != NULL)
			break;
		assert_answer(answer, "HTTP/1.1 503", "starting");
	}
	assert_answer(http_request(port, "GET", "/health/live"), "HTTP/1.1 200", "ok");
	file = fopen(path, "we");
	assert_non_null(file);
	fclose(file);
	await_answer(port, "/health/ready", "HTTP/1.1 200");
	child_signal(&child, SIGTERM);
	assert_int_equal(child_wait(&child), EX_OK);
}

static void
test_draining_is_alive_but_not_ready(void **state)
{
	uint16_t port;

	(void)state;
	start(SPECIMEN, "[relay]\nbehaviour = drain_never\n");
	port = await_port();
	await_answer(port, "/health/ready", "HTTP/1.1 200");
	child_signal(&child, SIGTERM);
	child_await(&child, CHILD_STDERR, "specimen_drain");
	assert_answer(http_request(port, "GET", "/health/ready"), "HTTP/1.1 503", "draining");
	assert_answer(http_request(port, "GET", "/health/live"), "HTTP/1.1 200", "ok");
	child_signal(&child, SIGINT);
	assert_int_equal(child_wait(&child), EX_OK);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sigterm_drains_and_stops_and_exits_0),
		TEST(test_sigint_does_the_same),
		TEST(test_actors_start_in_order_and_stop_in_reverse),
		TEST(test_one_service_alone_has_its_mailbox_in_the_run_folder),
		TEST(test_actors_wait_for_the_drain_of_all),
		TEST(test_drain_is_cut_at_its_cap),
		TEST(test_C63_sighup_changes_nothing_and_says_so),
		TEST(test_actor_that_cannot_start_stops_the_others_in_reverse),
		TEST(test_actor_that_fails_later_ends_all_with_its_code),
		TEST(test_start_waits_for_the_folder_of_one_that_is_just_dying),
		TEST(test_L34_second_start_on_the_same_state_is_75),
		TEST(test_start_after_kill_9_works),
		TEST(test_admin_port_in_use_is_71_with_the_address),
		TEST(test_health_and_metrics_are_served),
		TEST(test_C53_descriptor_limit_is_raised_as_far_as_it_goes),
		TEST(test_ready_says_why_not_and_then_is),
		TEST(test_draining_is_alive_but_not_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
