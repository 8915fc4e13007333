/*
 * The agent's mailbox, by a real higgs-agent over ipc with a real SQLite file: what it answered OK
 * survives kill -9 (F06, promise 2 of the design: no server is needed for any of this), and it
 * holds no capability (T38).
 */
#include "agent_run.h"
#include "identity/key.h"
#include "loop/clock.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char session_a[] = "a0000000-0000-4000-8000-000000000001";
static const char session_b[] = "b0000000-0000-4000-8000-000000000002";
static const char key_a[] = "eaYx7t4b+cmPEgMs3q3Q56B5OY/HhriMyEbsia+FpRo=";
static const char key_b[] = "We9bVCMyYrNlYSbpPJ3KU6mwgJ87LOAYgE3vTNE6Szs=";

/* Nobody listens at port 1 of loopback: the server is away all the time. */
static const char no_server[] = "server = https://127.0.0.1:1\n";

enum { HOUR_MS = 3600 * 1000 };

static int64_t
in_an_hour(void)
{
	return clock_wall_ms() + HOUR_MS;
}

static int
setup(void **state)
{
	static struct agent_run run;

	agent_run_open(&run);
	agent_run_configure(&run, no_server);
	agent_run_start(&run);
	*state = &run;
	return 0;
}

static int
teardown(void **state)
{
	agent_run_close(*state);
	return 0;
}

static void
expect_ok(const Boson__Link__SessionOpened *opened, const char *session_id, const char *address4,
	  const char *address6)
{
	assert_non_null(opened);
	assert_int_equal(opened->result, BOSON__LINK__SESSION_OPENED__RESULT__OK);
	assert_string_equal(opened->session_id, session_id);
	assert_int_equal(opened->request_id, 42);
	assert_string_equal(opened->address4, address4);
	assert_string_equal(opened->address6, address6);
	assert_string_equal(opened->dns4, "10.90.0.1");
	assert_string_equal(opened->dns6, "fd48:6967:6773::1");
	assert_int_equal(opened->mtu, 1280);
}

static void
test_a_session_is_admitted_with_addresses_and_the_nodes_key(void **state)
{
	struct agent_run *run = *state;
	const Boson__Link__SessionOpened *opened =
		agent_run_admit(run, session_a, key_a, in_an_hour());
	struct key private_key, public_key;
	char text[KEY_TEXT_BYTES];

	expect_ok(opened, session_a, "10.90.0.2", "fd48:6967:6773::2");
	assert_int_equal(key_file_load_or_create(agent_run_file(run, "identity.key"), &private_key),
			 0);
	assert_int_equal(key_public(&private_key, &public_key), 0);
	key_format(&public_key, text);
	assert_string_equal(opened->node_public_key, text);
	expect_ok(agent_run_admit(run, session_b, key_b, in_an_hour()), session_b, "10.90.0.3",
		  "fd48:6967:6773::3");
}

/* The forwarder needs no wall clock to end a session (T48). */
static void
expect_left(const Boson__Link__SessionOpened *opened, int64_t at_most_ms)
{
	assert_true(opened->has_left_ms);
	assert_true(opened->left_ms <= at_most_ms);
	assert_true(opened->left_ms > at_most_ms - 10 * 60 * 1000);
}

static void
test_t48_the_forwarder_is_told_what_is_left_of_a_session(void **state)
{
	struct agent_run *run = *state;
	int64_t hour_ms = 3600 * 1000, leeway_ms = 30 * 1000;

	expect_left(agent_run_admit(run, session_a, key_a, clock_wall_ms() + hour_ms),
		    hour_ms + leeway_ms);
	expect_left(agent_run_snapshot(run)->sessions[0]->opened, hour_ms + leeway_ms);
	expect_left(agent_run_admit(run, session_a, key_a, clock_wall_ms() + 2 * hour_ms),
		    2 * hour_ms + leeway_ms + 1000);
	agent_run_signal(run, SIGKILL);
	agent_run_start(run);
	expect_left(agent_run_snapshot(run)->sessions[0]->opened, 2 * hour_ms + leeway_ms + 1000);
}

static void
test_f06_sessions_survive_kill_9(void **state)
{
	struct agent_run *run = *state;
	const Boson__Node__SnapshotReply *snapshot;

	expect_ok(agent_run_admit(run, session_a, key_a, in_an_hour()), session_a, "10.90.0.2",
		  "fd48:6967:6773::2");
	expect_ok(agent_run_admit(run, session_b, key_b, in_an_hour()), session_b, "10.90.0.3",
		  "fd48:6967:6773::3");
	agent_run_end(run, session_a);
	assert_int_equal(run->result.status, BUS_OK);
	agent_run_signal(run, SIGKILL);
	agent_run_start(run);
	snapshot = agent_run_snapshot(run);
	assert_non_null(snapshot);
	assert_null(snapshot->attachment);
	assert_int_equal(snapshot->n_sessions, 1);
	assert_string_equal(snapshot->sessions[0]->open->session_id, session_b);
	assert_string_equal(snapshot->sessions[0]->open->client_public_key, key_b);
	assert_string_equal(snapshot->sessions[0]->opened->address4, "10.90.0.3");
	assert_string_equal(snapshot->sessions[0]->opened->address6, "fd48:6967:6773::3");
	expect_ok(agent_run_admit(run, session_b, key_b, in_an_hour()), session_b, "10.90.0.3",
		  "fd48:6967:6773::3");
}

/* Each OK was durable before it was answered: the process is killed right after the answer. */
static void
test_f17_nothing_that_was_acknowledged_is_lost_by_kill_9(void **state)
{
	struct agent_run *run = *state;

	for (unsigned n = 1; n <= 8; n++) {
		const Boson__Node__SnapshotReply *snapshot;
		char id[40], key_text[KEY_TEXT_BYTES];
		struct key key = { .bytes = { 1, (uint8_t)n } };

		snprintf(id, sizeof(id), "c0000000-0000-4000-8000-%012u", n);
		key_format(&key, key_text);
		assert_non_null(agent_run_admit(run, id, key_text, in_an_hour()));
		agent_run_signal(run, SIGKILL);
		agent_run_start(run);
		snapshot = agent_run_snapshot(run);
		assert_non_null(snapshot);
		assert_int_equal(snapshot->n_sessions, n);
	}
}

static void
test_b46_a_session_again_gets_the_same_answer(void **state)
{
	struct agent_run *run = *state;

	expect_ok(agent_run_admit(run, session_a, key_a, in_an_hour()), session_a, "10.90.0.2",
		  "fd48:6967:6773::2");
	expect_ok(agent_run_admit(run, session_a, key_a, in_an_hour()), session_a, "10.90.0.2",
		  "fd48:6967:6773::2");
	assert_int_equal(agent_run_snapshot(run)->n_sessions, 1);
	assert_int_equal(run->closed, 0);
}

static bool
is_closed_once(struct agent_run *run, void *arg)
{
	(void)arg;
	return run->closed >= 1;
}

static void
test_an_older_session_of_the_same_key_is_closed_at_the_forwarder(void **state)
{
	struct agent_run *run = *state;

	expect_ok(agent_run_admit(run, session_a, key_a, in_an_hour()), session_a, "10.90.0.2",
		  "fd48:6967:6773::2");
	expect_ok(agent_run_admit(run, session_b, key_a, in_an_hour()), session_b, "10.90.0.3",
		  "fd48:6967:6773::3");
	agent_run_until(run, is_closed_once, NULL, "CloseSession");
	assert_string_equal(run->closed_id[0], session_a);
	assert_int_equal(agent_run_snapshot(run)->n_sessions, 1);
}

/* Its expiry has passed, but not by more than the leeway: it is admitted, and swept when the leeway
 * is over too. */
static void
test_an_expired_session_is_swept_and_closed_at_the_forwarder(void **state)
{
	struct agent_run *run = *state;
	int64_t almost_over_ms = clock_wall_ms() - 29 * 1000;

	expect_ok(agent_run_admit(run, session_b, key_b, in_an_hour()), session_b, "10.90.0.2",
		  "fd48:6967:6773::2");
	expect_ok(agent_run_admit(run, session_a, key_a, almost_over_ms), session_a, "10.90.0.3",
		  "fd48:6967:6773::3");
	agent_run_until(run, is_closed_once, NULL, "CloseSession");
	assert_string_equal(run->closed_id[0], session_a);
	assert_int_equal(agent_run_snapshot(run)->n_sessions, 1);
	agent_run_signal(run, SIGKILL);
	agent_run_start(run);
	assert_int_equal(agent_run_snapshot(run)->n_sessions, 1);
}

static void
expect_refused(const Boson__Link__SessionOpened *opened)
{
	assert_non_null(opened);
	assert_int_equal(opened->result, BOSON__LINK__SESSION_OPENED__RESULT__REFUSED);
	assert_non_null(opened->reason);
	assert_null(opened->address4);
	assert_int_equal(opened->request_id, 42);
}

/* R43, R47: what a relay passed on is a stranger's. */
static void
test_r43_r47_requests_that_are_malformed_are_refused(void **state)
{
	struct agent_run *run = *state;
	char overlong[200];

	memset(overlong, 'a', sizeof(overlong) - 1);
	overlong[sizeof(overlong) - 1] = '\0';
	expect_refused(agent_run_admit(run, "nonsense", key_a, in_an_hour()));
	expect_refused(
		agent_run_admit(run, "A0000000-0000-4000-8000-000000000001", key_a, in_an_hour()));
	expect_refused(agent_run_admit(run, session_a, "AAAA", in_an_hour()));
	expect_refused(agent_run_admit(run, session_a, overlong, in_an_hour()));
	expect_refused(agent_run_admit(
		run, session_a, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", in_an_hour()));
	expect_refused(agent_run_admit(run, session_a, key_a, clock_wall_ms() - HOUR_MS));
	expect_refused(agent_run_admit(run, session_a, key_a, INT64_MAX));
	expect_refused(agent_run_admit(run, session_a, key_a, INT64_MIN));
	assert_int_equal(agent_run_snapshot(run)->n_sessions, 0);
}

static void
test_ending_a_session_that_is_not_there_is_no_error(void **state)
{
	struct agent_run *run = *state;

	agent_run_end(run, session_a);
	assert_int_equal(run->result.status, BUS_OK);
	agent_run_end(run, "nonsense");
	assert_int_equal(run->result.status, BUS_INVALID);
	assert_string_equal(run->result.field, "sessionId");
}

/* B62: the largest snapshot there can be fits one message. */
static void
test_b62_a_full_node_fits_one_snapshot(void **state)
{
	struct agent_run *run = *state;
	const Boson__Link__SessionOpened *opened = NULL;
	const Boson__Node__SnapshotReply *snapshot;
	char id[40], key_text[KEY_TEXT_BYTES];
	struct key key = { .bytes = { 1 } };

	assert_non_null(agent_run_snapshot(run));
	agent_run_signal(run, SIGTERM);
	assert_int_equal(run->exit_code, 0);
	agent_run_configure(run, "server = https://127.0.0.1:1\nmax_sessions = 360\n"
				 "pool4 = 172.16.128.0/17\n"
				 "pool6 = fd48:6967:6773:aaaa:bbbb:cccc:dddd:0/112\n");
	agent_run_start(run);
	for (unsigned n = 0; n <= 360; n++) {
		snprintf(id, sizeof(id), "c0000000-0000-4000-8000-%012u", n);
		key.bytes[1] = (uint8_t)n;
		key.bytes[2] = (uint8_t)(n >> 8);
		key_format(&key, key_text);
		opened = agent_run_admit(run, id, key_text, in_an_hour());
		assert_non_null(opened);
		assert_int_equal(opened->result,
				 n < 360 ? BOSON__LINK__SESSION_OPENED__RESULT__OK
					 : BOSON__LINK__SESSION_OPENED__RESULT__FULL);
	}
	snapshot = agent_run_snapshot(run);
	assert_non_null(snapshot);
	assert_int_equal(snapshot->n_sessions, 360);
}

static void
test_sessions_of_another_pool_are_dropped_at_start(void **state)
{
	struct agent_run *run = *state;

	assert_non_null(agent_run_admit(run, session_a, key_a, in_an_hour()));
	agent_run_signal(run, SIGTERM);
	agent_run_configure(run, "server = https://127.0.0.1:1\npool4 = 10.91.0.0/16\n");
	agent_run_start(run);
	assert_int_equal(agent_run_snapshot(run)->n_sessions, 0);
	assert_string_equal(agent_run_admit(run, session_a, key_a, in_an_hour())->address4,
			    "10.91.0.2");
}

/* Every thread of the process, for a capability belongs to a thread. */
static void
test_t38_no_thread_of_the_agent_holds_a_capability(void **state)
{
	struct agent_run *run = *state;
	char path[320], line[128];
	unsigned threads = 0, empty = 0, locked = 0;
	struct dirent *entry;
	DIR *tasks;

	assert_non_null(agent_run_snapshot(run)); /* it has started its threads */
	snprintf(path, sizeof(path), "/proc/%d/task", (int)run->pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	while ((entry = readdir(tasks))) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)run->pid,
			 entry->d_name);
		file = fopen(path, "re");
		assert_non_null(file);
		threads++;
		while (fgets(line, sizeof(line), file)) {
			empty += strcmp(line, "CapEff:\t0000000000000000\n") == 0;
			empty += strcmp(line, "CapPrm:\t0000000000000000\n") == 0;
			empty += strcmp(line, "CapInh:\t0000000000000000\n") == 0;
			empty += strcmp(line, "CapAmb:\t0000000000000000\n") == 0;
			locked += strcmp(line, "NoNewPrivs:\t1\n") == 0;
		}
		fclose(file);
	}
	closedir(tasks);
	assert_true(threads >= 2);
	assert_int_equal(empty, 4 * threads);
	assert_int_equal(locked, threads);
}

static void
test_t38_keys_and_sessions_are_for_the_owner_alone(void **state)
{
	struct agent_run *run = *state;
	static const char *const files[] = { "identity.key", "agent.db" };
	struct stat st;

	assert_non_null(agent_run_snapshot(run));
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(stat(agent_run_file(run, files[i]), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	assert_int_equal(stat(agent_run_file(run, "."), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void
test_l18_a_key_file_that_others_may_read_ends_the_start_with_77(void **state)
{
	struct agent_run *run = *state;

	assert_non_null(agent_run_snapshot(run));
	agent_run_signal(run, SIGTERM);
	assert_int_equal(run->exit_code, 0);
	assert_int_equal(chmod(agent_run_file(run, "identity.key"), 0644), 0);
	agent_run_start(run);
	agent_run_wait_exit(run);
	assert_int_equal(run->exit_code, 77);
}

#define agent_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		agent_test(test_a_session_is_admitted_with_addresses_and_the_nodes_key),
		agent_test(test_t48_the_forwarder_is_told_what_is_left_of_a_session),
		agent_test(test_f06_sessions_survive_kill_9),
		agent_test(test_f17_nothing_that_was_acknowledged_is_lost_by_kill_9),
		agent_test(test_b46_a_session_again_gets_the_same_answer),
		agent_test(test_an_older_session_of_the_same_key_is_closed_at_the_forwarder),
		agent_test(test_an_expired_session_is_swept_and_closed_at_the_forwarder),
		agent_test(test_r43_r47_requests_that_are_malformed_are_refused),
		agent_test(test_ending_a_session_that_is_not_there_is_no_error),
		agent_test(test_b62_a_full_node_fits_one_snapshot),
		agent_test(test_sessions_of_another_pool_are_dropped_at_start),
		agent_test(test_t38_no_thread_of_the_agent_holds_a_capability),
		agent_test(test_t38_keys_and_sessions_are_for_the_owner_alone),
		agent_test(test_l18_a_key_file_that_others_may_read_ends_the_start_with_77),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
