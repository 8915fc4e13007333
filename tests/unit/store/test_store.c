/*
 * Statements, transactions, savepoints, and the callbacks that wait for a commit.
 */
#include "store_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct store *store;
static char trace[64]; /* what the callbacks did, in order */

static int
setup(void **state)
{
	if (fixture_setup(state) < 0)
		return -1;
	store = fixture_open();
	trace[0] = '\0';
	return 0;
}

static int
teardown(void **state)
{
	store_close(&store);
	return fixture_teardown(state);
}

static void
on_commit(void *arg)
{
	strncat(trace, "+", sizeof(trace) - strlen(trace) - 1);
	strncat(trace, arg, sizeof(trace) - strlen(trace) - 1);
}

static void
on_drop(void *arg)
{
	strncat(trace, "-", sizeof(trace) - strlen(trace) - 1);
	strncat(trace, arg, sizeof(trace) - strlen(trace) - 1);
}

static void
after_commit(const char *name)
{
	assert_int_equal(store_after_commit(store, on_commit, on_drop, (void *)(uintptr_t)name), 0);
}

struct seen {
	int rows;
	int64_t id;
	char label[16];
	unsigned char bytes[16];
	size_t label_n, bytes_n;
	double weight;
	enum store_type types[4];
};

static int
see(const struct store_value *row, size_t columns, void *arg)
{
	struct seen *seen = arg;

	assert_int_equal(columns, 4);
	for (size_t i = 0; i < 4; i++)
		seen->types[i] = row[i].type;
	seen->rows++;
	seen->id = row[0].integer;
	if (row[1].type == STORE_TEXT) {
		assert_int_equal(((const char *)row[1].data.bytes)[row[1].data.n], '\0');
		seen->label_n = row[1].data.n;
		memcpy(seen->label, row[1].data.bytes, row[1].data.n + 1);
	}
	if (row[2].type == STORE_BLOB) {
		seen->bytes_n = row[2].data.n;
		memcpy(seen->bytes, row[2].data.bytes, row[2].data.n);
	}
	if (row[3].type == STORE_REAL)
		seen->weight = row[3].real;
	return 0;
}

static const char insert_all[] =
	"INSERT INTO item (weight, bytes, label, id) VALUES ($4, $3, $2, $1)";
static const char select_all[] = "SELECT id, label, bytes, weight FROM item ORDER BY id";

static void
test_values_of_every_type_come_back_though_parameters_are_out_of_order(void **state)
{
	static const unsigned char bytes[] = { 0, 0xff, '\'', 0 };
	struct store_value values[] = { STORE_V_INT(INT64_MIN), store_text("a'b\";--"),
					store_blob(bytes, sizeof(bytes)), STORE_V_REAL(0.25) };
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(store_exec(store, insert_all, values, 4), 1);
	assert_int_equal(store_query(store, select_all, NULL, 0, see, &seen), 1);
	assert_true(seen.id == INT64_MIN);
	assert_string_equal(seen.label, "a'b\";--");
	assert_int_equal(seen.bytes_n, sizeof(bytes));
	assert_memory_equal(seen.bytes, bytes, sizeof(bytes));
	assert_true(seen.weight == 0.25);
}

static int
copy_columns(const struct store_value *row, size_t columns, void *arg)
{
	char label[] = "????", bytes[] = "??";

	(void)columns;
	(void)arg;
	assert_false(store_copy_text(&row[1], label, 3));
	assert_false(store_copy_text(&row[2], label, sizeof(label)));
	assert_string_equal(label, "????");
	assert_true(store_copy_text(&row[1], label, 4));
	assert_string_equal(label, "abc");
	assert_false(store_copy_blob(&row[2], bytes, 1));
	assert_false(store_copy_blob(&row[1], bytes, 3));
	assert_string_equal(bytes, "??");
	assert_true(store_copy_blob(&row[2], bytes, 2));
	assert_string_equal(bytes, "de");
	return 0;
}

static void
test_a_column_of_another_type_or_size_is_not_copied(void **state)
{
	struct store_value values[] = { STORE_V_INT(1), store_text("abc"), store_blob("de", 2),
					STORE_V_NULL };

	(void)state;
	assert_int_equal(store_exec(store, insert_all, values, 4), 1);
	assert_int_equal(store_query(store, select_all, NULL, 0, copy_columns, NULL), 1);
}

static void
test_null_is_null_and_empty_is_empty(void **state)
{
	struct store_value nulls[] = { STORE_V_INT(1), store_text(NULL), store_blob(NULL, 0),
				       STORE_V_NULL };
	struct store_value empty[] = { STORE_V_INT(2), store_text(""), store_blob("", 0),
				       STORE_V_REAL(0) };
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(store_exec(store, insert_all, nulls, 4), 1);
	assert_int_equal(store_query(store, select_all, NULL, 0, see, &seen), 1);
	assert_int_equal(seen.types[1], STORE_NULL);
	assert_int_equal(seen.types[2], STORE_NULL);
	assert_int_equal(seen.types[3], STORE_NULL);
	assert_int_equal(store_exec(store, insert_all, empty, 4), 1);
	assert_int_equal(store_query(store, select_all, NULL, 0, see, &seen), 2);
	assert_int_equal(seen.types[1], STORE_TEXT);
	assert_int_equal(seen.types[2], STORE_BLOB);
	assert_int_equal(seen.bytes_n, 0);
}

static void
test_exec_counts_changed_rows(void **state)
{
	struct store_value limit = STORE_V_INT(2);

	(void)state;
	for (int64_t id = 1; id <= 4; id++)
		assert_int_equal(fixture_add(store, id), 1);
	assert_int_equal(store_exec(store, "DELETE FROM item WHERE id > $1", &limit, 1), 2);
	assert_int_equal(store_exec(store, "DELETE FROM item WHERE id > $1", &limit, 1), 0);
	assert_int_equal(fixture_count(store), 2);
}

static void
test_unique_key_is_eexist_and_other_constraints_einval(void **state)
{
	struct store_value note[] = { STORE_V_INT(1), STORE_V_INT(99) };

	(void)state;
	assert_int_equal(fixture_add(store, 1), 1);
	assert_int_equal(fixture_add(store, 1), -EEXIST);
	assert_int_equal(store_exec(store, "INSERT INTO note (id, item) VALUES ($1, $2)", note, 2),
			 -EINVAL);
}

static void
test_wrong_number_of_values_and_bad_sql_are_errors(void **state)
{
	struct store_value two[] = { STORE_V_INT(1), STORE_V_INT(2) };

	(void)state;
	assert_int_equal(store_exec(store, "DELETE FROM item WHERE id = $1", two, 2), -EIO);
	assert_int_equal(store_exec(store, "DELETE FROM item WHERE id = $1", NULL, 0), -EIO);
	assert_int_equal(store_exec(store, "DELETE FROM nothing", NULL, 0), -EIO);
	assert_int_equal(fixture_count(store), 0);
}

static int
stop_at_two(const struct store_value *row, size_t columns, void *arg)
{
	(void)columns;
	(void)arg;
	return row[0].integer == 2 ? 77 : 0;
}

static void
test_row_function_ends_the_query(void **state)
{
	(void)state;
	for (int64_t id = 1; id <= 3; id++)
		assert_int_equal(fixture_add(store, id), 1);
	assert_int_equal(store_query(store, select_all, NULL, 0, stop_at_two, NULL), 77);
	assert_int_equal(fixture_count(store), 3);
}

static int
query_within(const struct store_value *row, size_t columns, void *arg)
{
	struct seen seen = { 0 };
	int *rows = arg;

	(void)row;
	(void)columns;
	*rows += store_query(store, select_all, NULL, 0, see, &seen);
	return 0;
}

static void
test_the_same_query_may_run_within_itself(void **state)
{
	int rows = 0;

	(void)state;
	for (int64_t id = 1; id <= 3; id++)
		assert_int_equal(fixture_add(store, id), 1);
	assert_int_equal(store_query(store, select_all, NULL, 0, query_within, &rows), 3);
	assert_int_equal(rows, 9);
}

static void
test_more_statements_than_the_cache_holds_all_work(void **state)
{
	char sql[64];

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct seen seen = { 0 };

		snprintf(sql, sizeof(sql), "SELECT %d, NULL, NULL, NULL", i);
		assert_int_equal(store_query(store, sql, NULL, 0, see, &seen), 1);
		assert_int_equal(seen.id, i);
	}
}

static void
test_rollback_takes_back_and_commit_keeps(void **state)
{
	(void)state;
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(fixture_add(store, 1), 1);
	store_rollback(store);
	assert_int_equal(fixture_count(store), 0);
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(fixture_add(store, 1), 1);
	assert_int_equal(store_commit(store), 0);
	store_close(&store);
	store = fixture_open();
	assert_int_equal(fixture_count(store), 1);
}

static void
test_begin_within_a_batch_and_commit_without_one_do_nothing(void **state)
{
	(void)state;
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_batch_begin(store), 0);
	assert_int_equal(fixture_add(store, 1), 1);
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(store_batch_commit(store), 0);
	assert_int_equal(fixture_count(store), 1);
}

static void
test_batch_that_writes_nothing_is_none(void **state)
{
	(void)state;
	assert_int_equal(store_batch_begin(store), 0);
	after_commit("a"); /* covers nothing, so it waits for nothing */
	assert_string_equal(trace, "+a");
	assert_int_equal(store_savepoint(store), 0);
	after_commit("b");
	assert_string_equal(trace, "+a");
	assert_int_equal(store_savepoint_release(store), 0);
	assert_int_equal(store_batch_commit(store), 0);
	assert_string_equal(trace, "+a+b");
	assert_int_equal(store_batch_begin(store), 0);
	assert_int_equal(store_batch_commit(store), 0);
	assert_int_equal(store_savepoint(store), -EINVAL);
}

static void
test_close_takes_back_what_was_not_committed(void **state)
{
	(void)state;
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(fixture_add(store, 1), 1);
	after_commit("a");
	store_close(&store);
	assert_string_equal(trace, "-a");
	store = fixture_open();
	assert_int_equal(fixture_count(store), 0);
}

static void
test_callbacks_wait_for_the_commit_and_keep_their_order(void **state)
{
	(void)state;
	assert_int_equal(store_begin(store), 0);
	after_commit("a");
	after_commit("b");
	assert_string_equal(trace, "");
	assert_int_equal(store_commit(store), 0);
	assert_string_equal(trace, "+a+b");
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(store_commit(store), 0);
	assert_string_equal(trace, "+a+b");
}

static void
test_callback_without_a_transaction_runs_at_once(void **state)
{
	(void)state;
	after_commit("a");
	assert_string_equal(trace, "+a");
}

static void
test_rollback_drops_callbacks_the_last_first(void **state)
{
	(void)state;
	assert_int_equal(store_begin(store), 0);
	after_commit("a");
	after_commit("b");
	store_rollback(store);
	assert_string_equal(trace, "-b-a");
}

static void
test_savepoint_rollback_takes_back_its_own_rows_and_callbacks_only(void **state)
{
	(void)state;
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(store_savepoint(store), 0);
	assert_int_equal(fixture_add(store, 1), 1);
	after_commit("a");
	assert_int_equal(store_savepoint_release(store), 0);
	assert_int_equal(store_savepoint(store), 0);
	assert_int_equal(fixture_add(store, 2), 1);
	after_commit("b");
	store_savepoint_rollback(store);
	assert_string_equal(trace, "-b");
	assert_int_equal(store_savepoint(store), 0);
	assert_int_equal(fixture_add(store, 3), 1);
	after_commit("c");
	assert_int_equal(store_savepoint_release(store), 0);
	assert_int_equal(store_commit(store), 0);
	assert_string_equal(trace, "-b+a+c");
	assert_int_equal(fixture_count(store), 2);
}

static void
test_outer_savepoint_takes_back_a_released_inner_one(void **state)
{
	(void)state;
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(store_savepoint(store), 0);
	after_commit("a");
	assert_int_equal(store_savepoint(store), 0);
	assert_int_equal(fixture_add(store, 1), 1);
	after_commit("b");
	assert_int_equal(store_savepoint_release(store), 0);
	store_savepoint_rollback(store);
	assert_string_equal(trace, "-b-a");
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(fixture_count(store), 0);
}

static void
test_savepoints_need_a_transaction_and_have_a_cap(void **state)
{
	(void)state;
	assert_int_equal(store_savepoint(store), -EINVAL);
	assert_int_equal(store_savepoint_release(store), -EINVAL);
	assert_int_equal(store_begin(store), 0);
	for (int i = 0; i < STORE_SAVEPOINTS_MAX; i++)
		assert_int_equal(store_savepoint(store), 0);
	assert_int_equal(store_savepoint(store), -EINVAL);
	assert_int_equal(store_commit(store), 0);
}

static void
test_failed_statement_leaves_the_rest_of_the_batch_alone(void **state)
{
	(void)state;
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(fixture_add(store, 1), 1);
	assert_int_equal(fixture_add(store, 1), -EEXIST);
	assert_int_equal(fixture_add(store, 2), 1);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(fixture_count(store), 2);
}

static void
begin_again(void *arg)
{
	(void)arg;
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(fixture_add(store, 2), 1);
	after_commit("inner");
	assert_int_equal(store_commit(store), 0);
}

static void
test_callback_may_run_a_transaction_of_its_own(void **state)
{
	(void)state;
	assert_int_equal(store_begin(store), 0);
	assert_int_equal(fixture_add(store, 1), 1);
	assert_int_equal(store_after_commit(store, begin_again, NULL, NULL), 0);
	after_commit("outer");
	assert_int_equal(store_commit(store), 0);
	assert_string_equal(trace, "+inner+outer");
	assert_int_equal(fixture_count(store), 2);
}

int
main(int argc, char **argv)
{
	int exit_code = fixture_begin(argc, argv);

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_values_of_every_type_come_back_though_parameters_are_out_of_order),
		TEST(test_a_column_of_another_type_or_size_is_not_copied),
		TEST(test_null_is_null_and_empty_is_empty),
		TEST(test_exec_counts_changed_rows),
		TEST(test_unique_key_is_eexist_and_other_constraints_einval),
		TEST(test_wrong_number_of_values_and_bad_sql_are_errors),
		TEST(test_row_function_ends_the_query),
		TEST(test_the_same_query_may_run_within_itself),
		TEST(test_more_statements_than_the_cache_holds_all_work),
		TEST(test_rollback_takes_back_and_commit_keeps),
		TEST(test_begin_within_a_batch_and_commit_without_one_do_nothing),
		TEST(test_batch_that_writes_nothing_is_none),
		TEST(test_close_takes_back_what_was_not_committed),
		TEST(test_callbacks_wait_for_the_commit_and_keep_their_order),
		TEST(test_callback_without_a_transaction_runs_at_once),
		TEST(test_rollback_drops_callbacks_the_last_first),
		TEST(test_savepoint_rollback_takes_back_its_own_rows_and_callbacks_only),
		TEST(test_outer_savepoint_takes_back_a_released_inner_one),
		TEST(test_savepoints_need_a_transaction_and_have_a_cap),
		TEST(test_failed_statement_leaves_the_rest_of_the_batch_alone),
		TEST(test_callback_may_run_a_transaction_of_its_own),
	};

	if (exit_code != 0)
		return exit_code;
	return fixture_end(cmocka_run_group_tests(tests, NULL, NULL));
}
