/*
 * Opening: what is refused, what is left untouched, and how a schema grows. Ids (C47 ...) are rows
 * of the list of bad inputs.
 */
#include "store_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

static int
open_with(const struct store_migration *migrations, size_t n, struct store **ret)
{
	return store_open(fixture_url, migrations, n, ret, fixture_error, sizeof(fixture_error));
}

static void
assert_refused(const struct store_migration *migrations, size_t n, int expected, const char *words)
{
	struct store *store = NULL;

	assert_int_equal(open_with(migrations, n, &store), expected);
	assert_null(store);
	if (strstr(fixture_error, words) == NULL)
		fail_msg("\"%s\" should hold \"%s\"", fixture_error, words);
}

static size_t
read_file(char *buffer, size_t capacity)
{
	FILE *file = fopen(fixture_path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(buffer, 1, capacity, file);
	fclose(file);
	return n;
}

static void
assert_untouched(const char *text)
{
	FILE *file = fopen(fixture_path, "w");
	char after[256];

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_refused(fixture_migrations, fixture_migrations_n, -EBADF, "not an SQLite database");
	assert_int_equal(read_file(after, sizeof(after)), strlen(text));
	assert_memory_equal(after, text, strlen(text));
}

static void
test_C47_file_that_is_no_database_is_refused_and_untouched(void **state)
{
	(void)state;
	assert_untouched("x");
	assert_untouched("this is somebody's letter, not a database at all\n");
	assert_untouched("SQLite format 2 ");
}

static void
test_C47_file_with_only_the_head_of_a_database_is_refused(void **state)
{
	static const char head[100] = "SQLite format 3";
	FILE *file = fopen(fixture_path, "w");
	struct store *store = NULL;
	char after[256];

	(void)state;
	assert_non_null(file);
	fwrite(head, 1, sizeof(head), file);
	fclose(file);
	assert_int_equal(open_with(fixture_migrations, fixture_migrations_n, &store), -EBADF);
	assert_int_equal(read_file(after, sizeof(after)), sizeof(head));
	assert_memory_equal(after, head, sizeof(head));
}

static void
test_C49_newer_schema_is_refused_with_both_versions(void **state)
{
	struct store *store = fixture_open();

	(void)state;
	store_close(&store);
	assert_refused(fixture_migrations, 1, -ENOTSUP, "version 2, this program knows 1");
	assert_int_equal(store_exit_code(-ENOTSUP), EX_DATAERR);
	store = fixture_open();
	store_close(&store);
}

static void
test_F24_file_with_a_newer_schema_is_left_as_it_was(void **state)
{
	struct store *store = fixture_open();
	char before[65536], after[65536];
	size_t n;

	(void)state;
	store_close(&store);
	n = read_file(before, sizeof(before));
	assert_refused(fixture_migrations, 1, -ENOTSUP, "version 2");
	assert_int_equal(read_file(after, sizeof(after)), n);
	assert_memory_equal(after, before, n);
}

/* P27 */
static void
test_edited_migration_is_refused_by_its_name(void **state)
{
	struct store_migration edited[] = { fixture_migrations[0], fixture_migrations[1] };
	struct store *store = fixture_open();

	(void)state;
	store_close(&store);
	edited[1].sql = "CREATE INDEX item_label ON item (label, id)";
	assert_refused(edited, 2, -EBADMSG, "migration 2 (index) was edited");
	edited[1] = fixture_migrations[1];
	assert_int_equal(open_with(edited, 2, &store), 0);
	store_close(&store);
}

static void
test_migrations_out_of_order_are_refused(void **state)
{
	struct store_migration gap[] = { fixture_migrations[0], { 3, "gap", "SELECT 1" } };

	(void)state;
	assert_refused(gap, 2, -EINVAL, "not numbered");
}

static void
test_pending_migrations_are_applied_to_an_older_schema(void **state)
{
	struct store *store = NULL;

	(void)state;
	assert_int_equal(open_with(fixture_migrations, 1, &store), 0);
	assert_int_equal(fixture_add(store, 1), 1);
	store_close(&store);
	store = fixture_open();
	assert_int_equal(fixture_count(store), 1);
	assert_int_equal(store_exec(store, "DROP INDEX item_label", NULL, 0), 0);
	store_close(&store);
}

static void
test_failing_migration_takes_back_its_own_step_only(void **state)
{
	struct store_migration broken[] = {
		fixture_migrations[0],
		{ 2, "broken", "CREATE TABLE half (id BIGINT); INSERT INTO nowhere VALUES (1)" },
	};
	struct store *store = NULL;

	(void)state;
	assert_refused(broken, 2, -EIO, "migration 2 (broken)");
	assert_int_equal(open_with(fixture_migrations, 1, &store), 0);
	assert_int_equal(fixture_add(store, 1), 1);
	assert_int_equal(store_exec(store, "DROP TABLE half", NULL, 0), -EIO);
	store_close(&store);
	store = fixture_open();
	store_close(&store);
}

static void
test_second_opener_is_refused_until_the_first_closes(void **state)
{
	struct store *store = fixture_open();

	(void)state;
	assert_refused(fixture_migrations, fixture_migrations_n, -EBUSY, "in use");
	assert_int_equal(store_exit_code(-EBUSY), EX_TEMPFAIL);
	store_close(&store);
	store = fixture_open();
	store_close(&store);
}

/* P27: a file has one opener at a time, and with it one who migrates. */
static void
test_second_process_is_refused(void **state)
{
	struct store *store = fixture_open(), *other = NULL;
	int status = 0;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(-open_with(fixture_migrations, fixture_migrations_n, &other));
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EBUSY);
	store_close(&store);
}

static void
test_files_are_for_the_owner_only(void **state)
{
	mode_t mask = umask(0);
	struct store *store = fixture_open();
	struct stat status;
	char path[160];

	(void)state;
	umask(mask);
	assert_int_equal(fixture_add(store, 1), 1);
	assert_int_equal(stat(fixture_path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	snprintf(path, sizeof(path), "%s-wal", fixture_path);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	store_close(&store);
}

static void
test_unknown_url_and_missing_folder_are_errors(void **state)
{
	struct store *store = NULL;

	(void)state;
	assert_int_equal(store_open("mysql://x", NULL, 0, &store, fixture_error, 512), -EINVAL);
	assert_int_equal(store_open("sqlite:", NULL, 0, &store, fixture_error, 512), -EINVAL);
	assert_int_equal(store_open("sqlite:/nowhere/x.db", NULL, 0, &store, fixture_error, 512),
			 -EIO);
	assert_non_null(strstr(fixture_error, "/nowhere/x.db"));
}

static void
test_memory_store_needs_no_file(void **state)
{
	struct store *a = NULL, *b = NULL;

	(void)state;
	assert_int_equal(
		store_open("sqlite::memory:", fixture_migrations, 2, &a, fixture_error, 512), 0);
	assert_int_equal(
		store_open("sqlite::memory:", fixture_migrations, 2, &b, fixture_error, 512), 0);
	assert_int_equal(fixture_add(a, 1), 1);
	assert_int_equal(fixture_count(b), 0);
	store_close(&a);
	store_close(&b);
}

int
main(int argc, char **argv)
{
	int exit_code = fixture_begin(argc, argv);

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest all[] = {
		TEST(test_C49_newer_schema_is_refused_with_both_versions),
		TEST(test_edited_migration_is_refused_by_its_name),
		TEST(test_migrations_out_of_order_are_refused),
		TEST(test_pending_migrations_are_applied_to_an_older_schema),
		TEST(test_failing_migration_takes_back_its_own_step_only),
	};
	const struct CMUnitTest of_files[] = {
		TEST(test_C47_file_that_is_no_database_is_refused_and_untouched),
		TEST(test_C47_file_with_only_the_head_of_a_database_is_refused),
		TEST(test_F24_file_with_a_newer_schema_is_left_as_it_was),
		TEST(test_second_opener_is_refused_until_the_first_closes),
		TEST(test_second_process_is_refused),
		TEST(test_files_are_for_the_owner_only),
		TEST(test_unknown_url_and_missing_folder_are_errors),
		TEST(test_memory_store_needs_no_file),
	};

	if (exit_code != 0)
		return exit_code;
	exit_code = cmocka_run_group_tests(all, NULL, NULL);
	if (!fixture_is_postgresql())
		exit_code += cmocka_run_group_tests(of_files, NULL, NULL);
	return fixture_end(exit_code);
}
