/*
 * F14: a primary and a synchronous standby, both real. The primary is killed while batches are
 * written, the standby promoted, the dead one made its standby, and so on in turn: every
 * acknowledged batch is found, none by half, and a store that was open all the while goes on.
 * FAILOVERS=200 in the environment asks for so many.
 */
#include "store_fixture.h"

#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 30 * 1000, FAILOVERS_DEFAULT = 4, POLL_US = 10 * 1000 };

static struct servers servers[2];
static struct store *store;

/* Both hosts, in an order that does not say who is the primary. */
static void
make_url(void)
{
	snprintf(fixture_url, sizeof(fixture_url),
		 "postgresql:///postgres?host=%s,%s&user=postgres&schema=failover",
		 servers[0].folder, servers[1].folder);
}

static void
wait_for(const struct servers *server, const char *condition)
{
	int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
	char sql[256];

	snprintf(sql, sizeof(sql), "DO $$ BEGIN ASSERT %s; END $$", condition);
	while (!servers_postgresql_sql(server, sql)) {
		assert_true(clock_monotonic_ms() < deadline_ms);
		(void)usleep(POLL_US); /* of another process: no event here */
	}
}

/* From here on the primary acknowledges nothing that its standby does not have. */
static void
pair(const struct servers *primary, struct servers *standby)
{
	assert_int_equal(servers_postgresql_follow(standby, primary), 0);
	assert_true(servers_postgresql_sql(primary,
					   "ALTER SYSTEM SET synchronous_standby_names = '*'"));
	assert_true(servers_postgresql_sql(primary, "SELECT pg_reload_conf()"));
	wait_for(primary, "EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')");
}

static int
setup(void **state)
{
	(void)state;
	make_url();
	store = fixture_open();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	store_close(&store);
	return 0;
}

static void
begin_again(void)
{
	int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;

	while (store_begin(store) < 0) {
		assert_true(clock_monotonic_ms() < deadline_ms);
		(void)usleep(POLL_US);
	}
}

static void
promote(struct servers *primary, struct servers *standby)
{
	servers_postgresql_kill(primary);
	assert_true(servers_postgresql_sql(standby, "SELECT pg_promote()"));
	wait_for(standby, "NOT pg_is_in_recovery()");
	/* a copy of its primary's settings: it has no standby yet */
	assert_true(
		servers_postgresql_sql(standby, "ALTER SYSTEM RESET synchronous_standby_names"));
	assert_true(servers_postgresql_sql(standby, "SELECT pg_reload_conf()"));
}

/* Batches from the given one on, until the primary dies; the next batch to write. */
static int64_t
fail_over(struct servers *primary, struct servers *standby, int64_t first_batch)
{
	struct fixture_writer writer;
	int64_t rows;

	fixture_writer_start(&writer, first_batch);
	fixture_writer_wait(&writer, 1 + (int)(random() % 60));
	promote(primary, standby);
	fixture_writer_finish(&writer);
	begin_again();
	rows = fixture_count(store);
	store_rollback(store);
	assert_int_equal(rows % FIXTURE_BATCH_ROWS, 0);
	assert_true(rows >= (writer.last + 1) * FIXTURE_BATCH_ROWS);
	assert_true(rows <= (writer.last + 2) * FIXTURE_BATCH_ROWS);
	pair(standby, primary);
	return rows / FIXTURE_BATCH_ROWS;
}

static void
test_F14_no_acknowledged_batch_is_lost_by_failovers_under_load(void **state)
{
	const char *wanted = getenv("FAILOVERS");
	size_t failovers = wanted != NULL ? strtoul(wanted, NULL, 10) : FAILOVERS_DEFAULT;
	int64_t batch = 0;

	(void)state;
	srandom(14);
	for (size_t i = 0; i < failovers; i++)
		batch = fail_over(&servers[i % 2], &servers[1 - i % 2], batch);
	assert_true(batch >= (int64_t)failovers);
	print_message("%zu failovers, %ld batches\n", failovers, (long)batch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_F14_no_acknowledged_batch_is_lost_by_failovers_under_load, setup,
			teardown),
	};
	int result = 1;

	if (servers_init(&servers[0]) == 0 && servers_init(&servers[1]) == 0)
		result = servers_postgresql_start(&servers[0]);
	if (result > 0)
		return 77;
	if (result == 0) {
		pair(&servers[0], &servers[1]);
		result = cmocka_run_group_tests(tests, NULL, NULL);
	}
	servers_fini(&servers[0]);
	servers_fini(&servers[1]);
	return result;
}
