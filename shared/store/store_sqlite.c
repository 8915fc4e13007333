/*
 * store_sqlite: the SQLite driver. One process owns the file: a lock beside it keeps a second one
 * out, and the exclusive locking mode keeps the write-ahead index in our memory instead of a shared
 * mapping. Statements are prepared once and kept by their text.
 */
#include "store/store_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	STATEMENTS_MAX = 128,
	COLUMNS_MAX = 64,
	PARAMETER_NAME_BYTES = 24,
	BUSY_TIMEOUT_MS = 1000, /* only an operator's sqlite3 could hold the file */
	REASON_BYTES = 256,
	MAGIC_BYTES = 16,
};

struct statement {
	sqlite3_stmt *prepared;
	uint64_t used_at; /* a counter; the lowest is replaced */
	bool is_busy;	  /* a query is in the midst of it */
};

struct sqlite {
	sqlite3 *handle;
	int lock_fd;
	struct statement statements[STATEMENTS_MAX];
	uint64_t uses;
	char reason[REASON_BYTES];
};

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
	for (size_t i = 0; i < STATEMENTS_MAX; i++) {
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

	for (size_t i = 0; i < STATEMENTS_MAX; i++) {
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

static int
sqlite_script(void *arg, const char *sql)
{
	struct sqlite *db = arg;

	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(db, "script");
	return 0;
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

static void
sqlite_close(void *arg)
{
	struct sqlite *db = arg;

	for (size_t i = 0; i < STATEMENTS_MAX; i++)
		sqlite3_finalize(db->statements[i].prepared);
	sqlite3_close(db->handle);
	if (db->lock_fd >= 0)
		close(db->lock_fd); /* after the database: the lock goes last */
	free(db);
}

/* flock, not fcntl: it holds within one process too, and dies with us. The file stays. */
static int
take_lock(struct sqlite *db, const char *path, char *ret_error, size_t error_bytes)
{
	char lock_path[4096];
	int n = snprintf(lock_path, sizeof(lock_path), "%s.lock", path);

	if (n < 0 || (size_t)n >= sizeof(lock_path)) {
		snprintf(ret_error, error_bytes, "store: the path is too long");
		return -EIO;
	}
	db->lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (db->lock_fd < 0) {
		snprintf(ret_error, error_bytes, "store: %s: %s", lock_path, strerror(errno));
		return -EIO;
	}
	if (flock(db->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		snprintf(ret_error, error_bytes, "store: %s is in use by another process", path);
		return -EBUSY;
	}
	return 0;
}

/* Makes the file 0600, and looks at what is there before SQLite may touch it. */
static int
check_file(const char *path, char *ret_error, size_t error_bytes)
{
	static const char magic[MAGIC_BYTES] = "SQLite format 3";
	char head[MAGIC_BYTES];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat status;
	ssize_t n;

	if (fd < 0) {
		snprintf(ret_error, error_bytes, "store: %s: %s", path, strerror(errno));
		return -EIO;
	}
	n = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? read(fd, head, sizeof(head)) : -1;
	close(fd);
	if (n == 0 || (n == MAGIC_BYTES && memcmp(head, magic, MAGIC_BYTES) == 0))
		return 0;
	snprintf(ret_error, error_bytes, "store: %s is not an SQLite database", path);
	return -EBADF;
}

static int
configure(struct sqlite *db)
{
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	return sqlite_script(db, "PRAGMA locking_mode = EXCLUSIVE;"
				 "PRAGMA journal_mode = WAL;"
				 "PRAGMA synchronous = FULL;"
				 "PRAGMA foreign_keys = ON;"
				 "PRAGMA mmap_size = 0;"
				 "PRAGMA journal_size_limit = 16777216;"
				 "SELECT count(*) FROM sqlite_schema;");
}

static int
open_handle(struct sqlite *db, const char *path, char *ret_error, size_t error_bytes)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	int code = sqlite3_open_v2(path, &db->handle, flags, NULL);

	if (code == SQLITE_OK && configure(db) == 0)
		return 0;
	code = sqlite3_errcode(db->handle);
	snprintf(ret_error, error_bytes, "store: %s: %s", path, sqlite3_errmsg(db->handle));
	switch (code) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return -EBADF;
	case SQLITE_BUSY:
		return -EBUSY;
	default:
		return -EIO;
	}
}

static int
sqlite_open(const char *location, void **ret, char *ret_error, size_t error_bytes)
{
	bool is_memory = strcmp(location, ":memory:") == 0;
	struct sqlite *db = calloc(1, sizeof(*db));
	int result = 0;

	if (db == NULL) {
		snprintf(ret_error, error_bytes, "store: out of memory");
		return -EIO;
	}
	db->lock_fd = -1;
	if (*location == '\0') {
		snprintf(ret_error, error_bytes, "store: sqlite: needs a path");
		result = -EINVAL;
	}
	if (result == 0 && !is_memory)
		result = take_lock(db, location, ret_error, error_bytes);
	if (result == 0 && !is_memory)
		result = check_file(location, ret_error, error_bytes);
	if (result == 0)
		result = open_handle(db, location, ret_error, error_bytes);
	if (result < 0) {
		sqlite_close(db);
		return result;
	}
	*ret = db;
	return 0;
}

const struct store_driver store_driver_sqlite = {
	.scheme = "sqlite:",
	.begin_sql = "BEGIN IMMEDIATE",
	.now_sql = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')",
	.open = sqlite_open,
	.close = sqlite_close,
	.has_transaction = sqlite_has_transaction,
	.script = sqlite_script,
	.exec = sqlite_exec,
	.query = sqlite_query,
	.reason = sqlite_reason,
};
