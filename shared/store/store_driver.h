/*
 * store_driver: what a database must do for us; the rest (transactions, callbacks, migrations) is
 * the same for all and lives in store.c. Only shared/store includes this.
 */
#pragma once

#include "store/store.h"

struct store_driver {
	const char *scheme; /* "sqlite:" */

	/* What can be said of a location without opening it: 0 or -EINVAL with a reason. */
	int (*check)(const char *location, char *ret_error, size_t error_bytes);

	/* begin and applied-at differ between databases; everything else is common SQL. */
	const char *begin_sql;
	const char *now_sql; /* an expression: the time as ISO 8601 text */

	/* location: the URL after the scheme. Errors as store_open's. */
	int (*open)(const char *location, void **ret, char *ret_error, size_t error_bytes);
	void (*close)(void *db);

	/* Before and after the migrations, where several processes may start on one database; may
	 * both be NULL. 0, -EBUSY, or -EIO. */
	int (*migrate_lock)(void *db, char *ret_error, size_t error_bytes);
	int (*migrate_unlock)(void *db, char *ret_error, size_t error_bytes);

	/* True while the database itself has a transaction open: it may end one by failing. */
	bool (*has_transaction)(void *db);

	/* begin_sql, COMMIT, ROLLBACK, and the verbs of savepoints. 0 or -EIO. Where it cannot be
	 * known whether a COMMIT was done, it was not. */
	int (*control)(void *db, const char *sql);

	/* Several statements without parameters. 0 or -EIO. */
	int (*script)(void *db, const char *sql);

	/* As store_exec and store_query. */
	int (*exec)(void *db, const char *sql, const struct store_value *values, size_t n);
	int (*query)(void *db, const char *sql, const struct store_value *values, size_t n,
		     store_row_fn fn, void *arg);

	/* The last failure in words, the driver's. */
	const char *(*reason)(void *db);
};

extern const struct store_driver store_driver_sqlite, store_driver_postgresql;

/* store_migrate.c: brings an open database to the newest of n migrations. */
int store_migrate(const struct store_driver *driver, void *db,
		  const struct store_migration *migrations, size_t n, char *ret_error,
		  size_t error_bytes);
