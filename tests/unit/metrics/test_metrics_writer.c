/*
 * metrics_writer, metrics_store: what is pending comes into the tables once, whoever writes it and
 * however often. `test_metrics_writer postgresql` runs the same on a PostgreSQL of its own, and
 * there with two replicas and a server that is killed.
 */
#include "../../servers/servers.h"
#include "metrics/metrics_handlers.h"
#include "metrics/metrics_store.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define T0     (INT64_C(20000) * DAY) /* midnight of some day */

enum { NODES = 40, SAMPLES_EACH = 5, URL_BYTES = SERVERS_URL_BYTES };

static struct servers servers;
static bool is_postgresql;
static char url[URL_BYTES];
static unsigned schemas;

/* Two replicas; the second only where a database can be shared. */
static struct metrics_service replicas[2];

static void
replica_init(struct metrics_service *replica)
{
	static struct metrics *registry;
	char reason[256] = "";

	memset(replica, 0, sizeof(*replica));
	if (registry == NULL)
		assert_int_equal(metrics_new("test", &registry), 0);
	replica->accepted = replica->limited = replica->reports = replica->written = replica->late =
		replica->dropped = metrics_counter(registry, "x", NULL, "X.");
	replica->retention = (struct metrics_retention){ { DAY, 7 * DAY, 90 * DAY, 730 * DAY } };
	replica->usage_retention_ms = DAY;
	replica->rollups = calloc(METRICS_DAY, sizeof(*replica->rollups));
	assert_non_null(replica->rollups);
	assert_int_equal(samples_init(&replica->samples), 0);
	assert_int_equal(usages_init(&replica->usages), 0);
	if (metrics_store_open(url, &replica->store, reason, sizeof(reason)) != 0)
		fail_msg("%s", reason);
}

static void
replica_fini(struct metrics_service *replica)
{
	if (replica->rollups == NULL)
		return;
	store_close(&replica->store);
	samples_fini(&replica->samples);
	usages_fini(&replica->usages);
	free(replica->rollups);
	replica->rollups = NULL;
}

static int
setup(void **state)
{
	char schema[32];

	(void)state;
	(void)snprintf(schema, sizeof(schema), "metrics_%u", schemas++);
	if (is_postgresql)
		servers_postgresql_url(&servers, schema, url);
	else
		(void)snprintf(url, sizeof(url), "sqlite::memory:");
	replica_init(&replicas[0]);
	if (is_postgresql)
		replica_init(&replicas[1]);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	replica_fini(&replicas[0]);
	replica_fini(&replicas[1]);
	return 0;
}

static void
say(struct metrics_service *replica, uint8_t node, int64_t at_ms, double cpu, uint64_t sent)
{
	struct metrics_values values = {
		.has = { [METRICS_CPU_USAGE] = true, [METRICS_BYTES_SENT] = true }
	};
	uint8_t packed[256], id[UUID_BYTES] = { node };
	struct metrics_shape shape;
	size_t n;

	values.value[METRICS_CPU_USAGE] = cpu;
	values.value[METRICS_BYTES_SENT] = (double)sent;
	metrics_figures_write(&values, &shape);
	n = boson__metrics__figures__pack(&shape.figures, packed);
	assert_int_equal(samples_put(&replica->samples, id, at_ms, packed, n, at_ms), 0);
}

static int
flush(struct metrics_service *replica)
{
	bool more = true;
	int error = 0;

	while (error == 0 && more)
		error = metrics_writer_flush(replica, &more);
	return error;
}

static int
add_row(int64_t at_ms, const void *bytes, size_t n, void *arg)
{
	(void)at_ms;
	return rollup_unpack_add(arg, bytes, n);
}

static int
count_row(int64_t at_ms, const void *bytes, size_t n, void *arg)
{
	size_t *count = arg;

	(void)at_ms;
	(void)bytes;
	(void)n;
	(*count)++;
	return 0;
}

static void
read_level(uint8_t node, enum metrics_level level, struct rollup *ret)
{
	struct metrics_span span = { level, 0, METRICS_FOREVER_MS };
	uint8_t id[UUID_BYTES] = { node };

	rollup_init(ret);
	assert_true(metrics_store_read(replicas[0].store, id, &span, 1000, add_row, ret) >= 0);
}

static size_t
count_level(uint8_t node, enum metrics_level level)
{
	struct metrics_span span = { level, 0, METRICS_FOREVER_MS };
	uint8_t id[UUID_BYTES] = { node };
	size_t count = 0;

	assert_true(metrics_store_read(replicas[0].store, id, &span, 1000, count_row, &count) >= 0);
	return count;
}

static void
assert_summed(uint8_t node, enum metrics_level level, uint64_t samples, double cpu, double sent)
{
	static struct rollup rollup;

	read_level(node, level, &rollup);
	assert_int_equal(rollup.figures[METRICS_CPU_USAGE].count, samples);
	assert_true(rollup.figures[METRICS_CPU_USAGE].sum == cpu);
	assert_true(rollup.figures[METRICS_BYTES_SENT].sum == sent);
}

static void
test_a_sample_is_in_its_minute_hour_and_day(void **state)
{
	(void)state;
	say(&replicas[0], 1, T0 + 10000, 10, 1000);
	say(&replicas[0], 1, T0 + 30000, 20, 1500); /* the same minute */
	say(&replicas[0], 1, T0 + 90000, 30, 1700);
	say(&replicas[0], 1, T0 + HOUR, 40, 100); /* it counts from zero again */
	assert_int_equal(flush(&replicas[0]), 0);
	assert_int_equal(count_level(1, METRICS_RAW), 4);
	assert_int_equal(count_level(1, METRICS_MINUTE), 3);
	assert_int_equal(count_level(1, METRICS_HOUR), 2);
	assert_int_equal(count_level(1, METRICS_DAY), 1);
	for (int level = METRICS_MINUTE; level <= METRICS_DAY; level++)
		assert_summed(1, (enum metrics_level)level, 4, 100, 800);
}

static void
test_a_batch_that_is_written_again_is_counted_once(void **state)
{
	static struct rollup fleet;

	(void)state;
	for (int round = 0; round < 3; round++) {
		say(&replicas[0], 1, T0 + 10000, 10, 1000);
		say(&replicas[0], 1, T0 + 70000, 20, 1500);
		say(&replicas[0], 2, T0 + 70000, 20, 1500);
		assert_int_equal(flush(&replicas[0]), 0);
	}
	assert_int_equal(count_level(1, METRICS_RAW), 2);
	assert_summed(1, METRICS_DAY, 2, 30, 500);
	assert_int_equal(metrics_store_fleet(replicas[0].store, METRICS_EVER, 0, &fleet), 0);
	assert_int_equal(rollup_count(&fleet), 3);
}

static void
test_the_tables_take_no_more_than_one_sample_in_five_seconds_T42(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		say(&replicas[0], 1, T0 + i * 100, 10, 1000);
	assert_int_equal(flush(&replicas[0]), 0);
	assert_int_equal(count_level(1, METRICS_RAW), 2);
}

static void
test_what_is_old_goes_level_by_level(void **state)
{
	int64_t now = T0 + 10 * DAY;

	(void)state;
	say(&replicas[0], 1, now - 8 * DAY, 1, 1);
	say(&replicas[0], 1, now - 2 * DAY, 1, 1);
	say(&replicas[0], 1, now - HOUR, 1, 1);
	assert_int_equal(flush(&replicas[0]), 0);
	assert_false(metrics_writer_forget(&replicas[0], now));
	assert_int_equal(count_level(1, METRICS_RAW), 1);
	assert_int_equal(count_level(1, METRICS_MINUTE), 2);
	assert_int_equal(count_level(1, METRICS_HOUR), 3);
	assert_false(metrics_writer_forget(&replicas[0], now + 1000 * DAY));
	for (int level = METRICS_RAW; level <= METRICS_DAY; level++)
		assert_int_equal(count_level(1, (enum metrics_level)level), 0);
}

static void
report(struct metrics_service *replica, uint8_t session, uint64_t epoch, uint64_t up, uint64_t down,
       int64_t at_ms)
{
	struct usage_key key = { .session_id = { session }, .node_id = { 9 }, .epoch = epoch };

	assert_int_equal(usages_report(&replica->usages, &key, up, down, at_ms), 0);
}

static void
assert_used(uint8_t session, uint64_t up, uint64_t down)
{
	uint8_t id[UUID_BYTES] = { session };
	struct usage usage;

	assert_int_equal(metrics_store_usage(replicas[0].store, id, &usage), 1);
	assert_true(usage.up == up);
	assert_true(usage.down == down);
}

static void
test_usage_is_exact_over_restarts_of_node_relay_and_ourselves(void **state)
{
	(void)state;
	report(&replicas[0], 1, 100, 40, 400, T0);
	assert_int_equal(flush(&replicas[0]), 0);
	report(&replicas[0], 1, 100, 30, 300, T0 + 1); /* an older relay's, late */
	report(&replicas[0], 1, 200, 5, 50, T0 + 2);   /* the node counts from zero */
	assert_int_equal(flush(&replicas[0]), 0);
	report(&replicas[0], 1, 200, 90, 500, T0 + 3); /* after a restart of ours */
	assert_int_equal(flush(&replicas[0]), 0);
	assert_used(1, 130, 900);
}

static void
test_a_sum_never_wraps(void **state)
{
	(void)state;
	report(&replicas[0], 1, 1, UINT64_MAX, 1, T0);
	report(&replicas[0], 1, 2, UINT64_MAX, 1, T0);
	report(&replicas[0], 1, 3, UINT64_MAX, 1, T0);
	assert_int_equal(flush(&replicas[0]), 0);
	assert_used(1, UINT64_MAX, 3);
}

static void
test_a_session_is_forgotten_a_day_after_its_last_report_T46(void **state)
{
	uint8_t id[UUID_BYTES] = { 1 };
	struct usage usage;

	(void)state;
	report(&replicas[0], 1, 1, 10, 10, T0);
	report(&replicas[0], 2, 1, 10, 10, T0);
	report(&replicas[0], 2, 2, 10, 10, T0 + DAY); /* lives on: its first run stays, too */
	assert_int_equal(flush(&replicas[0]), 0);
	assert_false(metrics_writer_forget(&replicas[0], T0 + DAY + 1));
	assert_int_equal(metrics_store_usage(replicas[0].store, id, &usage), 0);
	assert_used(2, 20, 20);
}

/* ---- on PostgreSQL alone ---- */

static void *
write_all(void *arg)
{
	return (void *)(intptr_t)flush(arg);
}

/* Both heard some of each node, and both heard some samples twice. */
static void
test_two_replicas_sum_up_exactly_what_was_said_once(void **state)
{
	static struct rollup fleet;
	pthread_t threads[2];
	void *error;

	(void)state;
	for (int64_t i = 0; i < SAMPLES_EACH; i++) {
		for (uint8_t node = 0; node < NODES; node++) {
			say(&replicas[i % 2], node, T0 + i * MINUTE, 1, (uint64_t)i * 10);
			if (node % 3 == 0)
				say(&replicas[(i + 1) % 2], node, T0 + i * MINUTE, 1,
				    (uint64_t)i * 10);
		}
		for (size_t r = 0; r < 2; r++)
			assert_int_equal(pthread_create(&threads[r], NULL, write_all, &replicas[r]),
					 0);
		for (size_t r = 0; r < 2; r++) {
			assert_int_equal(pthread_join(threads[r], &error), 0);
			assert_null(error);
		}
	}
	for (uint8_t node = 0; node < NODES; node++)
		assert_summed(node, METRICS_DAY, SAMPLES_EACH, SAMPLES_EACH,
			      (SAMPLES_EACH - 1) * 10);
	assert_int_equal(metrics_store_fleet(replicas[0].store, METRICS_EVER, 0, &fleet), 0);
	assert_int_equal(rollup_count(&fleet), NODES * SAMPLES_EACH);
}

static void
test_two_replicas_hear_the_same_sessions(void **state)
{
	(void)state;
	report(&replicas[0], 1, 1, 10, 100, T0);
	report(&replicas[1], 1, 1, 20, 200, T0 + 1);
	report(&replicas[1], 1, 2, 5, 5, T0 + 2);
	assert_int_equal(flush(&replicas[1]), 0);
	assert_int_equal(flush(&replicas[0]), 0); /* the older one comes last */
	assert_used(1, 25, 205);
}

static void
test_what_a_dead_database_did_not_take_it_takes_later_and_once_F13(void **state)
{
	(void)state;
	say(&replicas[0], 1, T0, 10, 100);
	assert_int_equal(flush(&replicas[0]), 0);
	servers_postgresql_kill(&servers);
	say(&replicas[0], 1, T0 + MINUTE, 20, 150);
	report(&replicas[0], 1, 1, 10, 100, T0);
	assert_int_equal(flush(&replicas[0]), -EIO);
	assert_int_equal(replicas[0].samples.pending_n, 1);
	assert_int_equal(replicas[0].usages.by_key.count, 1);
	assert_int_equal(servers_postgresql_start(&servers), 0);
	while (flush(&replicas[0]) != 0) /* it connects again, a second after a failure */
		;
	assert_summed(1, METRICS_DAY, 2, 30, 50);
	assert_used(1, 10, 100);
}

static int
pass_over(const struct store_value *row, size_t columns, void *arg)
{
	(void)row, (void)columns, (void)arg;
	return 0;
}

/* PostgreSQL's statistics know hours, and nothing of the minute that begins: each sample must not
 * read what the whole fleet has said in it. */
static void
test_a_nodes_rollups_are_found_without_reading_the_fleets(void **state)
{
	enum { FLEET = 200 };
	char sql[640];

	(void)state;
	(void)snprintf(sql, sizeof(sql),
		       "INSERT INTO metrics_%u.rollups SELECT decode(lpad(to_hex(n), 32, '0'),"
		       " 'hex'), 2, h * 3600000, '' FROM generate_series(1, 2000) n,"
		       " generate_series(1, 200) h; ANALYZE metrics_%u.rollups",
		       schemas - 1, schemas - 1);
	assert_true(servers_postgresql_sql(&servers, sql));
	for (int i = 0; i < FLEET; i++)
		say(&replicas[0], (uint8_t)i, T0, 50, 1);
	while (flush(&replicas[0]) != 0)
		;
	assert_int_equal(store_query(replicas[0].store, "SELECT pg_stat_force_next_flush() IS NULL",
				     NULL, 0, pass_over, NULL),
			 1);
	(void)snprintf(sql, sizeof(sql),
		       "DO $$ BEGIN IF (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes"
		       " WHERE schemaname = 'metrics_%u' AND relname = 'rollups') > %d"
		       " THEN RAISE 'too many rows read'; END IF; END $$",
		       schemas - 1, 5 * FLEET);
	assert_true(servers_postgresql_sql(&servers, sql));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_sample_is_in_its_minute_hour_and_day),
		TEST(test_a_batch_that_is_written_again_is_counted_once),
		TEST(test_the_tables_take_no_more_than_one_sample_in_five_seconds_T42),
		TEST(test_what_is_old_goes_level_by_level),
		TEST(test_usage_is_exact_over_restarts_of_node_relay_and_ourselves),
		TEST(test_a_sum_never_wraps),
		TEST(test_a_session_is_forgotten_a_day_after_its_last_report_T46),
	};
	const struct CMUnitTest shared[] = {
		TEST(test_two_replicas_sum_up_exactly_what_was_said_once),
		TEST(test_two_replicas_hear_the_same_sessions),
		TEST(test_a_nodes_rollups_are_found_without_reading_the_fleets),
		TEST(test_what_a_dead_database_did_not_take_it_takes_later_and_once_F13),
	};
	int failed, result = 0;

	is_postgresql = argc > 1 && strcmp(argv[1], "postgresql") == 0;
	if (is_postgresql)
		result = servers_begin(&servers, SERVERS_POSTGRESQL);
	if (result != 0)
		return result;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (is_postgresql) {
		failed += cmocka_run_group_tests(shared, NULL, NULL);
		servers_fini(&servers);
	}
	return failed;
}
