/*
 * What the disk and SIGKILL can do (F17, F18, F19 of the faults): acknowledged means durable, and a
 * store that fails says so, never "no rows".
 *
 *	child:  begin, 8 inserts, commit, write the batch's number to a pipe, again
 *	parent: reads some numbers, kill -9, reads what is left, opens the file and compares
 */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 20, BATCH_ROWS = FIXTURE_BATCH_ROWS };

static int committed, dropped;

static void
on_commit(void *arg)
{
	(void)arg;
	committed++;
}

static void
on_drop(void *arg)
{
	(void)arg;
	dropped++;
}

static int
setup(void **state)
{
	committed = dropped = 0;
	return fixture_setup(state);
}

/* Kills the writer after `wanted` acknowledgements; the last one read is the answer. */
static int64_t
kill_after(int64_t first_batch, int wanted)
{
	struct fixture_writer writer;

	fixture_writer_start(&writer, first_batch);
	fixture_writer_wait(&writer, wanted);
	assert_int_equal(kill(writer.child, SIGKILL), 0);
	fixture_writer_finish(&writer);
	return writer.last;
}

static int
read_text(const struct store_value *row, size_t columns, void *arg)
{
	assert_int_equal(columns, 1);
	assert_int_equal(row[0].type, STORE_TEXT);
	snprintf(arg, 32, "%s", (const char *)row[0].data.bytes);
	return 0;
}

static void
test_F17_every_acknowledged_batch_survives_kill_9_and_none_is_half(void **state)
{
	int64_t next_batch = 0;

	(void)state;
	srandom(17);
	for (int round = 0; round < ROUNDS; round++) {
		int64_t acknowledged = kill_after(next_batch, 1 + (int)(random() % 12)), rows;
		struct store *store = fixture_open();
		char verdict[32] = "";

		fixture_wait_alone(store);
		rows = fixture_count(store);
		assert_int_equal(rows % BATCH_ROWS, 0);
		assert_true(rows >= (acknowledged + 1) * BATCH_ROWS);
		/* at most the one batch that was committed but not yet told */
		assert_true(rows <= (acknowledged + 2) * BATCH_ROWS);
		if (!fixture_is_postgresql()) {
			assert_int_equal(store_query(store, "PRAGMA integrity_check", NULL, 0,
						     read_text, verdict),
					 1);
			assert_string_equal(verdict, "ok");
		}
		store_close(&store);
		next_batch = rows / BATCH_ROWS;
	}
}

static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Adds rows of 4 KiB until one fails. */
static int
add_until_full(struct store *store)
{
	static const char bytes[4096];

	for (int64_t id = 100; id < 2000; id++) {
		struct store_value values[] = { STORE_V_INT(id), store_blob(bytes, sizeof(bytes)) };
		int result = store_exec(store, "INSERT INTO item (id, bytes) VALUES ($1, $2)",
					values, 2);

		if (result < 0)
			return result;
		assert_int_equal(store_after_commit(store, on_commit, on_drop, NULL), 0);
	}
	return 0;
}

static void
test_F18_full_disk_fails_the_batch_and_the_store_works_again_after_it(void **state)
{
	struct store *store = fixture_open();
	int result, result_commit;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(fixture_add(store, 1), 1);
	limit_files(256 * 1024);
	assert_int_equal(store_begin(store), 0);
	result = add_until_full(store);
	result_commit = store_commit(store);
	limit_files(RLIM_INFINITY);
	assert_true(result == -EIO || result == 0); /* in the cache until the commit, or not */
	assert_int_equal(result_commit, -EIO);
	assert_int_equal(committed, 0);
	assert_true(dropped > 0);
	assert_int_equal(fixture_count(store), 1);
	assert_int_equal(fixture_add(store, 2), 1);
	store_close(&store);
	store = fixture_open();
	assert_int_equal(fixture_count(store), 2);
	store_close(&store);
}

static void
test_F18_batch_is_whole_or_gone_though_space_comes_back_in_the_midst_of_it(void **state)
{
	struct store *store = fixture_open();
	bool is_whole;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(store_exec(store, "PRAGMA cache_size = 10", NULL, 0), 0);
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(fixture_add(store, 1), 1);
	limit_files(128 * 1024);
	assert_int_equal(store_savepoint(store), 0);
	assert_int_equal(add_until_full(store), -EIO);
	limit_files(RLIM_INFINITY);
	store_savepoint_rollback(store);
	is_whole = fixture_add(store, 2) == 1;
	assert_int_equal(store_commit(store), is_whole ? 0 : -EIO);
	assert_int_equal(fixture_count(store), is_whole ? 2 : 0);
	assert_int_equal(committed, 0);
	assert_true(dropped > 0);
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(fixture_add(store, 3), 1);
	assert_int_equal(store_commit(store), 0);
	store_close(&store);
}

static void
test_F19_damaged_pages_are_an_error_and_not_an_empty_answer(void **state)
{
	struct store *store = fixture_open();
	char junk[4096];
	int fd;

	(void)state;
	assert_int_equal(add_until_full(store), 0);
	store_close(&store);
	store = fixture_open();
	fd = open(fixture_path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	memset(junk, 0xa5, sizeof(junk));
	for (off_t page = 2; page < 400; page++)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), page * 4096), sizeof(junk));
	close(fd);
	assert_int_equal(fixture_count(store), -EIO);
	store_close(&store);
}

int
main(int argc, char **argv)
{
	int exit_code = fixture_begin(argc, argv);

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest all[] = {
		TEST(test_F17_every_acknowledged_batch_survives_kill_9_and_none_is_half),
	};
	const struct CMUnitTest of_files[] = {
		TEST(test_F18_full_disk_fails_the_batch_and_the_store_works_again_after_it),
		TEST(test_F18_batch_is_whole_or_gone_though_space_comes_back_in_the_midst_of_it),
		TEST(test_F19_damaged_pages_are_an_error_and_not_an_empty_answer),
	};

	if (exit_code != 0)
		return exit_code;
	exit_code = cmocka_run_group_tests(all, NULL, NULL);
	if (!fixture_is_postgresql())
		exit_code += cmocka_run_group_tests(of_files, NULL, NULL);
	return fixture_end(exit_code);
}
