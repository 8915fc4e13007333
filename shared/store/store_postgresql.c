/*
 * store_postgresql: the PostgreSQL driver: transactions, statements, and the schema's lock.
 * Statements are prepared once for each connection. In a transaction each write has a savepoint of
 * its own, in the same round trip: PostgreSQL would otherwise give up the whole transaction for one
 * row that is there already.
 */
#include "store/store_postgresql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NAME_BYTES = 16,
	SQL_BYTES = 256,
};

static int
postgresql_check(const char *location, char *ret_error, size_t error_bytes)
{
	struct pg_target target;
	int result = pg_target_parse(location, &target, ret_error, error_bytes);

	if (result == 0)
		pg_target_fini(&target);
	return result;
}

static void
postgresql_close(void *arg)
{
	struct postgresql *db = arg;

	pg_link_close(db);
	pg_target_fini(&db->target);
	free(db);
}

static int
postgresql_open(const char *location, void **ret, char *ret_error, size_t error_bytes)
{
	struct postgresql *db = calloc(1, sizeof(*db));
	int result;

	if (db == NULL) {
		snprintf(ret_error, error_bytes, "store: out of memory");
		return -EIO;
	}
	result = pg_target_parse(location, &db->target, ret_error, error_bytes);
	if (result == 0 && pg_link_open(db) < 0) {
		snprintf(ret_error, error_bytes, "store: postgresql: %s", db->reason);
		result = -EIO;
	}
	if (result < 0) {
		postgresql_close(db);
		return result;
	}
	*ret = db;
	return 0;
}

static bool
postgresql_has_transaction(void *arg)
{
	const struct postgresql *db = arg;

	return db->connection != NULL && PQtransactionStatus(db->connection) == PQTRANS_INTRANS;
}

static int
postgresql_control(void *arg, const char *sql)
{
	struct postgresql *db = arg;
	struct pg_step step = { .kind = PG_CONTROL, .sql = sql };
	bool is_begin = strcmp(sql, "BEGIN") == 0, is_commit = strcmp(sql, "COMMIT") == 0;
	struct pg_outcome outcome;
	int result;

	if (is_begin && pg_link_ready(db) < 0)
		return -EIO;
	if (db->connection == NULL)
		return -EIO;
	if (is_begin && db->phase == PG_LOADED) {
		if (pg_link_serve(db) < 0)
			return -EIO;
	}
	result = pg_trip(db, &step, 1, &outcome);
	/* A failed transaction answers COMMIT with ROLLBACK; one that was not replicated, as the
	 * server was told to, with a warning. */
	if (result == 0 && is_commit &&
	    (strcmp(PQcmdStatus(outcome.results[0]), "COMMIT") != 0 || db->is_warned))
		result = -EIO;
	pg_outcome_fini(&outcome);
	return result;
}

static int
postgresql_script(void *arg, const char *sql)
{
	struct postgresql *db = arg;

	if (db->connection == NULL)
		return -EIO;
	return pg_trip_script(db, sql);
}

/* ---- statements ---- */

static const struct pg_statement *
find_statement(const struct postgresql *db, const char *sql)
{
	for (size_t i = 0; i < db->statements_n; i++)
		if (strcmp(db->statements[i].sql, sql) == 0)
			return &db->statements[i];
	return NULL;
}

static void
keep_statement(struct postgresql *db, const char *sql, unsigned number)
{
	struct pg_statement *statement = &db->statements[db->statements_n];

	statement->sql = strdup(sql);
	statement->number = number;
	if (statement->sql != NULL) /* else the server has one too many until it is full */
		db->statements_n++;
}

static void
forget_statements(struct postgresql *db)
{
	while (db->statements_n > 0)
		free(db->statements[--db->statements_n].sql);
}

/* Of the statement that has just failed; the connection is still there. */
static int
error_of(const char *sqlstate)
{
	if (strcmp(sqlstate, "23505") == 0)
		return -EEXIST;
	if (strncmp(sqlstate, "23", 2) == 0 || strncmp(sqlstate, "22", 2) == 0)
		return -EINVAL;
	return -EIO;
}

/* Makes good for a failed statement: its savepoint, or the whole transaction. */
static void
take_back(struct postgresql *db, const char *sqlstate, bool is_guarded)
{
	static const struct pg_step one[] = {
		{ .kind = PG_CONTROL, .sql = "ROLLBACK TO statement" },
		{ .kind = PG_CONTROL, .sql = "RELEASE statement" },
	};
	static const struct pg_step all[] = { { .kind = PG_CONTROL, .sql = "ROLLBACK" } };
	bool is_its_own = strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 ||
			  strncmp(sqlstate, "42", 2) == 0;
	char reason[PG_REASON_BYTES];
	struct pg_outcome outcome;

	if (db->connection == NULL || PQtransactionStatus(db->connection) != PQTRANS_INERROR)
		return;
	memcpy(reason, db->reason, sizeof(reason));
	if (is_guarded && is_its_own)
		(void)pg_trip(db, one, 2, &outcome);
	else
		(void)pg_trip(db, all, 1, &outcome);
	pg_outcome_fini(&outcome);
	memcpy(db->reason, reason, sizeof(reason));
}

/* Runs a statement. 0 and its result, to be cleared by the caller, or an error as store_exec's. */
static int
run(struct postgresql *db, const char *sql, const struct pg_values *values, bool is_guarded,
    PGresult **ret)
{
	const struct pg_statement *statement = find_statement(db, sql);
	unsigned number = statement != NULL ? statement->number : ++db->statement_last;
	bool is_full = statement == NULL && db->statements_n == PG_STATEMENTS_MAX;
	struct pg_step steps[PG_STEPS_MAX];
	struct pg_outcome outcome;
	size_t n = 0, execute;
	char name[NAME_BYTES];
	int result;

	snprintf(name, sizeof(name), "s%u", number);
	if (is_guarded)
		steps[n++] = (struct pg_step){ .kind = PG_CONTROL, .sql = "SAVEPOINT statement" };
	if (is_full)
		steps[n++] = (struct pg_step){ .kind = PG_CONTROL, .sql = "DEALLOCATE ALL" };
	if (statement == NULL)
		steps[n++] = (struct pg_step){ .kind = PG_PREPARE, .sql = sql, .name = name };
	execute = n;
	steps[n++] = (struct pg_step){ .kind = PG_EXECUTE, .name = name, .values = values };
	if (is_guarded)
		steps[n++] = (struct pg_step){ .kind = PG_CONTROL, .sql = "RELEASE statement" };

	result = pg_trip(db, steps, n, &outcome);
	if (db->connection != NULL && is_full)
		forget_statements(db);
	if (db->connection != NULL && statement == NULL && outcome.done >= execute)
		keep_statement(db, sql, number);
	if (result == 0) {
		*ret = outcome.results[execute];
		outcome.results[execute] = NULL;
	} else {
		result = error_of(outcome.sqlstate);
		take_back(db, outcome.sqlstate, is_guarded);
	}
	pg_outcome_fini(&outcome);
	return result;
}

static int
postgresql_exec(void *arg, const char *sql, const struct store_value *values, size_t n)
{
	struct postgresql *db = arg;
	bool in_transaction = postgresql_has_transaction(db);
	struct pg_values put;
	PGresult *result;
	int changed;

	if ((!in_transaction && pg_link_ready(db) < 0) || pg_values_put(db, values, n, &put) < 0)
		return -EIO;
	changed = run(db, sql, &put, in_transaction, &result);
	if (changed < 0)
		return changed;
	changed = atoi(PQcmdTuples(result)); /* "" after a CREATE */
	PQclear(result);
	return changed;
}

static int
postgresql_query(void *arg, const char *sql, const struct store_value *values, size_t n,
		 store_row_fn fn, void *fn_arg)
{
	struct postgresql *db = arg;
	struct pg_values put;
	PGresult *result;
	int rows;

	if ((!postgresql_has_transaction(db) && pg_link_ready(db) < 0) ||
	    pg_values_put(db, values, n, &put) < 0)
		return -EIO;
	rows = run(db, sql, &put, false, &result);
	if (rows < 0)
		return -EIO;
	rows = pg_rows_read(db, result, fn, fn_arg);
	PQclear(result);
	return rows;
}

static const char *
postgresql_reason(void *arg)
{
	const struct postgresql *db = arg;

	return db->reason;
}

/* ---- migrations ---- */

static int
see_row(const struct store_value *row, size_t columns, void *arg)
{
	(void)row;
	(void)columns;
	(void)arg;
	return 0;
}

/* One program at a time; the lock goes with the connection. The schema is looked for first, since
 * who may not make one may still use it. */
static int
postgresql_migrate_lock(void *arg, char *ret_error, size_t error_bytes)
{
	struct postgresql *db = arg;
	struct store_value schema = store_text(db->target.schema);
	char sql[SQL_BYTES];
	int found;

	if (postgresql_query(db,
			     "SELECT pg_advisory_lock(hashtextextended('boson ' || $1, 0)) IS NULL",
			     &schema, 1, see_row, NULL) < 0) {
		bool is_busy = strncmp(db->reason, "57014", 5) == 0;

		snprintf(ret_error, error_bytes, "store: postgresql: schema %s: %s",
			 db->target.schema, is_busy ? "another program migrates it" : db->reason);
		return is_busy ? -EBUSY : -EIO;
	}
	found = postgresql_query(db, "SELECT 1 FROM pg_namespace WHERE nspname = $1", &schema, 1,
				 see_row, NULL);
	snprintf(sql, sizeof(sql), "CREATE SCHEMA %s", db->target.schema);
	if (found == 0 && pg_trip_script(db, sql) == 0)
		found = 1;
	if (found == 1)
		return 0;
	snprintf(ret_error, error_bytes, "store: postgresql: schema %s: %s", db->target.schema,
		 db->reason);
	return -EIO;
}

static int
postgresql_migrate_unlock(void *arg, char *ret_error, size_t error_bytes)
{
	struct postgresql *db = arg;

	db->phase = PG_LOADED;
	if (postgresql_script(db, "SELECT pg_advisory_unlock_all()") == 0)
		return 0;
	snprintf(ret_error, error_bytes, "store: postgresql: %s", db->reason);
	return -EIO;
}

const struct store_driver store_driver_postgresql = {
	.scheme = "postgresql:",
	.begin_sql = "BEGIN",
	.now_sql = "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
	.check = postgresql_check,
	.open = postgresql_open,
	.close = postgresql_close,
	.migrate_lock = postgresql_migrate_lock,
	.migrate_unlock = postgresql_migrate_unlock,
	.has_transaction = postgresql_has_transaction,
	.control = postgresql_control,
	.script = postgresql_script,
	.exec = postgresql_exec,
	.query = postgresql_query,
	.reason = postgresql_reason,
};
