/*
 * Model and tables together, with a store that fails in the middle: what was not committed was not
 * admitted, and what was ended by a failed write lives on (F18, F19). Both clocks are the test's: a
 * jump of the wall clock ends nothing (F20, T48).
 */
#include "agent/agent_sessions.h"
#include "agent/agent_store.h"
#include "net/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS	INT64_C(1700000000000)
#define HOUR_MS INT64_C(3600000)
#define DAY_MS	(24 * HOUR_MS)

/* In place of clock.h's, by the linker's --wrap. */
static int64_t wall_ms, boottime_ms;
int64_t __wrap_clock_wall_ms(void);
int64_t __wrap_clock_boottime_ms(void);

int64_t
__wrap_clock_wall_ms(void)
{
	return wall_ms;
}

int64_t
__wrap_clock_boottime_ms(void)
{
	return boottime_ms;
}

static void
pass(int64_t ms)
{
	wall_ms += ms;
	boottime_ms += ms;
}

static struct metrics *metrics;
static struct loop *loop;
static struct bus *bus;

static int
setup(void **state)
{
	struct admission_options options = { .sessions_max = 8, .lifetime_max_ms = 24 * HOUR_MS };
	struct agent *agent = calloc(1, sizeof(*agent));
	char reason[256];

	wall_ms = NOW_MS;
	boottime_ms = HOUR_MS;
	assert_non_null(agent);
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(metrics_new("test", &metrics), 0);
	assert_int_equal(bus_new(loop, metrics, "agent", NULL, &bus), 0);
	/* Nobody is there: what it is told comes back as a failure, which sessions do not mind. */
	assert_int_equal(bus_peer_new(bus, "inproc://test-agent-sessions", NULL,
				      &boson__node__forwarder__descriptor, &agent->forwarder),
			 0);
	assert_int_equal(agent_store_open("sqlite::memory:", &agent->store, reason, sizeof(reason)),
			 0);
	assert_int_equal(address_parse("10.90.0.0", &options.pool.base4), 0);
	assert_int_equal(address_parse("fd48:6967:6773::", &options.pool.base6), 0);
	options.pool.bits4 = 16;
	options.pool.bits6 = 64;
	assert_int_equal(admission_new(&options, &agent->admission), 0);
	agent->sessions = metrics_gauge(metrics, "sessions", NULL, "");
	*state = agent;
	return 0;
}

static int
teardown(void **state)
{
	struct agent *agent = *state;

	bus_peer_free(&agent->forwarder);
	bus_free(&bus);
	metrics_free(&metrics);
	admission_free(&agent->admission);
	store_close(&agent->store);
	loop_free(&loop);
	free(agent);
	return 0;
}

static void
sql(struct agent *agent, const char *text)
{
	assert_true(store_exec(agent->store, text, NULL, 0) >= 0);
}

static struct admission_session
ask(unsigned n, unsigned k)
{
	struct admission_session asked = { .expires_at_ms = NOW_MS + HOUR_MS };

	asked.id[0] = 1;
	asked.id[15] = (uint8_t)n;
	asked.client_key.bytes[0] = 1;
	asked.client_key.bytes[31] = (uint8_t)k;
	return asked;
}

static int
admit(struct agent *agent, unsigned n, unsigned k)
{
	struct admission_session asked = ask(n, k), made;
	enum admission_verdict verdict;

	return sessions_admit(agent, &asked, &verdict, &made);
}

/* What a fresh start would find. */
static size_t
stored(struct agent *agent)
{
	assert_int_equal(sessions_load(agent), 0);
	return admission_count(agent->admission);
}

static void
test_what_is_committed_is_there_after_a_new_start(void **state)
{
	struct agent *agent = *state;

	assert_int_equal(sessions_batch_begin(agent), 0);
	assert_int_equal(admit(agent, 1, 1), 0);
	assert_int_equal(admit(agent, 2, 2), 0);
	assert_int_equal(sessions_end(agent, ask(1, 1).id), 0);
	assert_int_equal(sessions_batch_commit(agent), 0);
	assert_int_equal(stored(agent), 1);
	assert_int_equal(admission_at(agent->admission, 0)->id[15], 2);
	assert_int_equal(admission_at(agent->admission, 0)->number, 3);
}

static void
test_a_write_that_fails_takes_back_its_session_alone(void **state)
{
	struct agent *agent = *state;

	sql(agent, "CREATE TRIGGER full BEFORE INSERT ON sessions WHEN NEW.number > 2 "
		   "BEGIN SELECT RAISE(ABORT, 'disk full'); END");
	assert_int_equal(sessions_batch_begin(agent), 0);
	assert_int_equal(admit(agent, 1, 1), 0);
	assert_int_equal(admit(agent, 2, 2), -EIO);
	assert_int_equal(admission_count(agent->admission), 1);
	assert_int_equal(sessions_batch_commit(agent), 0);
	assert_int_equal(stored(agent), 1);
	sql(agent, "DROP TRIGGER full");
	assert_int_equal(sessions_batch_begin(agent), 0);
	assert_int_equal(admit(agent, 2, 2), 0);
	assert_int_equal(sessions_batch_commit(agent), 0);
	assert_int_equal(stored(agent), 2);
}

/* The older session of the key lives on when the newer one could not be written. */
static void
test_a_replacement_that_fails_keeps_the_older_session(void **state)
{
	struct agent *agent = *state;

	assert_int_equal(sessions_batch_begin(agent), 0);
	assert_int_equal(admit(agent, 1, 1), 0);
	assert_int_equal(sessions_batch_commit(agent), 0);
	sql(agent, "CREATE TRIGGER full BEFORE INSERT ON sessions "
		   "BEGIN SELECT RAISE(ABORT, 'disk full'); END");
	assert_int_equal(sessions_batch_begin(agent), 0);
	assert_int_equal(admit(agent, 2, 1), -EIO);
	assert_int_equal(admission_count(agent->admission), 1);
	assert_int_equal(admission_at(agent->admission, 0)->id[15], 1);
	assert_int_equal(sessions_batch_commit(agent), 0);
	assert_int_equal(stored(agent), 1);
}

/* A constraint that is checked at the commit alone: the one way to have a real one fail. */
static void
make_commits_fail(struct agent *agent)
{
	sql(agent, "CREATE TABLE parent (id BIGINT PRIMARY KEY)");
	sql(agent,
	    "CREATE TABLE child (id BIGINT REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
	sql(agent, "CREATE TRIGGER late AFTER INSERT ON sessions "
		   "BEGIN INSERT INTO child VALUES (1); END");
	sql(agent, "CREATE TRIGGER late_too AFTER DELETE ON sessions "
		   "BEGIN INSERT INTO child VALUES (1); END");
}

static void
test_f19_a_commit_that_fails_takes_back_all_of_its_batch(void **state)
{
	struct agent *agent = *state;

	assert_int_equal(sessions_batch_begin(agent), 0);
	assert_int_equal(admit(agent, 1, 1), 0);
	assert_int_equal(sessions_batch_commit(agent), 0);
	make_commits_fail(agent);
	assert_int_equal(sessions_batch_begin(agent), 0);
	assert_int_equal(admit(agent, 2, 2), 0);
	assert_int_equal(sessions_end(agent, ask(1, 1).id), 0);
	assert_true(sessions_batch_commit(agent) < 0);
	assert_true(agent->is_stale);
	/* Until it was read anew, nobody is admitted by guess. */
	assert_int_equal(admit(agent, 3, 3), -EIO);
	assert_int_equal(sessions_batch_begin(agent), 0);
	assert_false(agent->is_stale);
	assert_int_equal(admission_count(agent->admission), 1);
	assert_int_equal(admission_at(agent->admission, 0)->id[15], 1);
	store_rollback(agent->store);
}

static void
test_f19_a_sweep_that_cannot_be_written_is_made_again(void **state)
{
	struct agent *agent = *state;

	assert_int_equal(sessions_batch_begin(agent), 0);
	assert_int_equal(admit(agent, 1, 1), 0);
	assert_int_equal(sessions_batch_commit(agent), 0);
	make_commits_fail(agent);
	pass(2 * HOUR_MS);
	sessions_sweep(agent);
	assert_true(agent->is_stale);
	sql(agent, "DROP TRIGGER late_too");
	sessions_sweep(agent);
	assert_false(agent->is_stale);
	assert_int_equal(admission_count(agent->admission), 0);
	assert_int_equal(stored(agent), 0);
}

static void
test_f20_a_wall_clock_that_jumps_ends_no_session(void **state)
{
	static const int64_t jumps_ms[] = { 300 * DAY_MS, -600 * DAY_MS };
	struct agent *agent = *state;

	assert_int_equal(sessions_batch_begin(agent), 0);
	assert_int_equal(admit(agent, 1, 1), 0);
	assert_int_equal(sessions_batch_commit(agent), 0);
	for (size_t i = 0; i < 2; i++) {
		wall_ms += jumps_ms[i];
		sessions_sweep(agent);
		assert_int_equal(admission_count(agent->admission), 1);
		/* Nor does it after a write that failed. */
		assert_int_equal(stored(agent), 1);
		sessions_sweep(agent);
		assert_int_equal(admission_count(agent->admission), 1);
	}
	boottime_ms += HOUR_MS + ADMISSION_LEEWAY_MS;
	sessions_sweep(agent);
	assert_int_equal(admission_count(agent->admission), 0);
	assert_int_equal(stored(agent), 0);
}

static void
test_an_attachment_is_kept_as_it_was_and_replaced_whole(void **state)
{
	struct agent *agent = *state;
	Boson__Node__Attachment *back, one = BOSON__NODE__ATTACHMENT__INIT;
	char *endpoints[] = { (char *)(uintptr_t) "wss://a.test:443",
			      (char *)(uintptr_t) "wss://b.test:443" };

	assert_int_equal(agent_store_load_attachment(agent->store, &back), 0);
	assert_null(back);
	one.node_id = (char *)(uintptr_t) "0f1e2d3c-4b5a-4697-8877-665544332211";
	one.relay_ticket = (char *)(uintptr_t) "ticket-1";
	one.relay_endpoints = endpoints;
	for (one.n_relay_endpoints = 1; one.n_relay_endpoints <= 2; one.n_relay_endpoints++) {
		assert_int_equal(agent_store_put_attachment(agent->store, &one), 0);
		assert_int_equal(agent_store_load_attachment(agent->store, &back), 0);
		assert_non_null(back);
		assert_string_equal(back->relay_ticket, "ticket-1");
		assert_int_equal(back->n_relay_endpoints, one.n_relay_endpoints);
		boson__node__attachment__free_unpacked(back, NULL);
	}
}

#define agent_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		agent_test(test_what_is_committed_is_there_after_a_new_start),
		agent_test(test_a_write_that_fails_takes_back_its_session_alone),
		agent_test(test_a_replacement_that_fails_keeps_the_older_session),
		agent_test(test_f19_a_commit_that_fails_takes_back_all_of_its_batch),
		agent_test(test_f19_a_sweep_that_cannot_be_written_is_made_again),
		agent_test(test_f20_a_wall_clock_that_jumps_ends_no_session),
		agent_test(test_an_attachment_is_kept_as_it_was_and_replaced_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
