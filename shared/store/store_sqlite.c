/*
 * store_sqlite: the SQLite driver: statements, values, rows. Statements are prepared once and kept
 * by their text.
 */
#include "store/store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 64, PARAMETER_NAME_BYTES = 24 };

static int
fail(struct sqlite *db, const char *what)
{
	snprintf(db->reason, sizeof(db->reason), "%s: %s (%d)", what, sqlite3_errmsg(db->handle),
		 sqlite3_extended_errcode(db->handle));
	return -EIO;
}

/* Of the statement that has just failed. */
static int
fail_step(struct sqlite *db)
{
	int code = sqlite3_extended_errcode(db->handle);

	fail(db, "statement");
	switch (code) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
		return -EEXIST;
	default:
		return (code & 0xff) == SQLITE_CONSTRAINT ? -EINVAL : -EIO;
	}
}

static struct statement *
find_statement(struct sqlite *db, const char *sql)
{
	for (size_t i = 0; i < SQLITE_STATEMENTS_MAX; i++) {
		struct statement *statement = &db->statements[i];

		if (statement->prepared != NULL && !statement->is_busy &&
		    strcmp(sqlite3_sql(statement->prepared), sql) == 0)
			return statement;
	}
	return NULL;
}

/* An empty place, or the one not used for the longest. */
static struct statement *
replaceable_statement(struct sqlite *db)
{
	struct statement *oldest = NULL;

	for (size_t i = 0; i < SQLITE_STATEMENTS_MAX; i++) {
		struct statement *statement = &db->statements[i];

		if (!statement->is_busy && (oldest == NULL || statement->used_at < oldest->used_at))
			oldest = statement;
	}
	return oldest;
}

static struct statement *
prepare(struct sqlite *db, const char *sql)
{
	struct statement *statement = find_statement(db, sql);

	if (statement == NULL) {
		sqlite3_stmt *prepared = NULL;

		statement = replaceable_statement(db);
		if (statement == NULL) {
			snprintf(db->reason, sizeof(db->reason), "too many queries within queries");
			return NULL;
		}
		if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared,
				       NULL) != SQLITE_OK ||
		    prepared == NULL) {
			fail(db, "prepare");
			return NULL;
		}
		sqlite3_finalize(statement->prepared);
		statement->prepared = prepared;
	}
	statement->used_at = ++db->uses;
	statement->is_busy = true;
	return statement;
}

static void
release(struct statement *statement)
{
	sqlite3_reset(statement->prepared);
	sqlite3_clear_bindings(statement->prepared);
	statement->is_busy = false;
}

static int
bind_value(sqlite3_stmt *prepared, int index, const struct store_value *value)
{
	/* A NULL pointer would bind NULL instead of an empty value. */
	const void *bytes = value->type == STORE_TEXT || value->type == STORE_BLOB
				    ? (value->data.bytes != NULL ? value->data.bytes : "")
				    : NULL;

	switch (value->type) {
	case STORE_NULL:
		return sqlite3_bind_null(prepared, index);
	case STORE_INT:
		return sqlite3_bind_int64(prepared, index, value->integer);
	case STORE_REAL:
		return sqlite3_bind_double(prepared, index, value->real);
	case STORE_TEXT:
		return sqlite3_bind_text64(prepared, index, bytes, value->data.n, SQLITE_STATIC,
					   SQLITE_UTF8);
	case STORE_BLOB:
		return sqlite3_bind_blob64(prepared, index, bytes, value->data.n, SQLITE_STATIC);
	}
	return SQLITE_MISUSE;
}

/* SQLite takes $1 for a name, so its number is asked for: `... $2 ... $1` would bind crosswise. */
static int
bind_values(struct sqlite *db, sqlite3_stmt *prepared, const struct store_value *values, size_t n)
{
	char name[PARAMETER_NAME_BYTES];

	if (n != (size_t)sqlite3_bind_parameter_count(prepared)) {
		snprintf(db->reason, sizeof(db->reason), "%zu values for %d parameters", n,
			 sqlite3_bind_parameter_count(prepared));
		return -EIO;
	}
	for (size_t i = 0; i < n; i++) {
		int index;

		snprintf(name, sizeof(name), "$%zu", i + 1);
		index = sqlite3_bind_parameter_index(prepared, name);
		if (index == 0) {
			snprintf(db->reason, sizeof(db->reason), "no parameter %s", name);
			return -EIO;
		}
		if (bind_value(prepared, index, &values[i]) != SQLITE_OK)
			return fail(db, "bind");
	}
	return 0;
}

static int
sqlite_exec(void *arg, const char *sql, const struct store_value *values, size_t n)
{
	struct sqlite *db = arg;
	struct statement *statement = prepare(db, sql);
	int before = sqlite3_total_changes(db->handle);
	int code = SQLITE_ROW, result;

	if (statement == NULL)
		return -EIO;
	result = bind_values(db, statement->prepared, values, n);
	while (result == 0 && code == SQLITE_ROW)
		code = sqlite3_step(statement->prepared);
	if (result == 0 && code != SQLITE_DONE)
		result = fail_step(db);
	else if (result == 0 && sqlite3_total_changes(db->handle) != before)
		result = sqlite3_changes(db->handle);
	release(statement);
	return result;
}

static void
read_column(sqlite3_stmt *prepared, int column, struct store_value *ret)
{
	switch (sqlite3_column_type(prepared, column)) {
	case SQLITE_INTEGER:
		*ret = STORE_V_INT(sqlite3_column_int64(prepared, column));
		break;
	case SQLITE_FLOAT:
		*ret = STORE_V_REAL(sqlite3_column_double(prepared, column));
		break;
	case SQLITE_TEXT:
		ret->type = STORE_TEXT;
		ret->data.bytes = sqlite3_column_text(prepared, column);
		ret->data.n = (size_t)sqlite3_column_bytes(prepared, column);
		break;
	case SQLITE_BLOB:
		ret->type = STORE_BLOB;
		ret->data.bytes = sqlite3_column_blob(prepared, column);
		ret->data.n = (size_t)sqlite3_column_bytes(prepared, column);
		if (ret->data.bytes == NULL) /* an empty blob */
			ret->data.bytes = "";
		break;
	default:
		*ret = STORE_V_NULL;
		break;
	}
}

static int
read_rows(struct sqlite *db, sqlite3_stmt *prepared, store_row_fn fn, void *arg)
{
	struct store_value row[COLUMNS_MAX];
	int columns = sqlite3_column_count(prepared), rows = 0, result, code;

	if (columns > COLUMNS_MAX) {
		snprintf(db->reason, sizeof(db->reason), "more than %d columns", COLUMNS_MAX);
		return -EIO;
	}
	while ((code = sqlite3_step(prepared)) == SQLITE_ROW) {
		for (int i = 0; i < columns; i++) {
			read_column(prepared, i, &row[i]);
			if (row[i].type == STORE_TEXT && row[i].data.bytes == NULL)
				return fail(db, "out of memory");
		}
		rows++;
		result = fn(row, (size_t)columns, arg);
		if (result != 0)
			return result;
	}
	return code == SQLITE_DONE ? rows : fail_step(db);
}

static int
sqlite_query(void *arg, const char *sql, const struct store_value *values, size_t n,
	     store_row_fn fn, void *fn_arg)
{
	struct sqlite *db = arg;
	struct statement *statement = prepare(db, sql);
	int result;

	if (statement == NULL)
		return -EIO;
	result = bind_values(db, statement->prepared, values, n);
	if (result == 0)
		result = read_rows(db, statement->prepared, fn, fn_arg);
	release(statement);
	return result;
}

int
store_sqlite_script(void *arg, const char *sql)
{
	struct sqlite *db = arg;

	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(db, "script");
	return 0;
}

static int
sqlite_control(void *arg, const char *sql)
{
	int result = sqlite_exec(arg, sql, NULL, 0);

	return result < 0 ? -EIO : 0;
}

static bool
sqlite_has_transaction(void *arg)
{
	struct sqlite *db = arg;

	return sqlite3_get_autocommit(db->handle) == 0;
}

static const char *
sqlite_reason(void *arg)
{
	struct sqlite *db = arg;

	return db->reason;
}

const struct store_driver store_driver_sqlite = {
	.scheme = "sqlite:",
	.begin_sql = "BEGIN IMMEDIATE",
	.now_sql = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')",
	.check = store_sqlite_check,
	.open = store_sqlite_open,
	.close = store_sqlite_close,
	.has_transaction = sqlite_has_transaction,
	.control = sqlite_control,
	.script = store_sqlite_script,
	.exec = sqlite_exec,
	.query = sqlite_query,
	.reason = sqlite_reason,
};
