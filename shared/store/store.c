/*
 * store: what is common to all databases: choosing the driver, transactions and savepoints, and the
 * callbacks that wait for a commit. Called by the *_store.c of each service; calls the drivers.
 */
#include "store/store.h"

#include "log/log.h"
#include "loop/clock.h"
#include "store/store_driver.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { LOG_PERIOD_MS = 10 * 1000, SQL_BYTES = 64 };

struct waiter {
	void (*fn)(void *arg);
	void (*drop)(void *arg);
	void *arg;
};

struct store {
	const struct store_driver *driver;
	void *db;

	bool is_due;  /* a transaction is to begin with the first write */
	bool is_open; /* we have begun a transaction */
	bool is_lost; /* and the database has ended it behind our back */

	struct waiter *waiters;
	size_t waiters_n, waiters_capacity;
	size_t savepoints[STORE_SAVEPOINTS_MAX]; /* waiters_n when each was set */
	size_t savepoints_n;

	int64_t logged_at_ms;
	uint64_t unlogged;
};

static const struct store_driver *const drivers[] = { &store_driver_sqlite,
						      &store_driver_postgresql, NULL };

static const struct store_driver *
driver_of(const char *url)
{
	for (size_t i = 0; drivers[i] != NULL; i++)
		if (strncmp(url, drivers[i]->scheme, strlen(drivers[i]->scheme)) == 0)
			return drivers[i];
	return NULL;
}

int
store_check(const char *url, char *ret_error, size_t error_bytes)
{
	const struct store_driver *driver = driver_of(url);

	if (driver == NULL) {
		snprintf(ret_error, error_bytes,
			 "store: the URL must begin with sqlite: or postgresql:");
		return -EINVAL;
	}
	return driver->check(url + strlen(driver->scheme), ret_error, error_bytes);
}

int
store_open(const char *url, const struct store_migration *migrations, size_t n, struct store **ret,
	   char *ret_error, size_t error_bytes)
{
	const struct store_driver *driver = driver_of(url);
	struct store *store;
	int result = store_check(url, ret_error, error_bytes);

	if (result < 0)
		return result;
	store = calloc(1, sizeof(*store));
	if (store == NULL) {
		snprintf(ret_error, error_bytes, "store: out of memory");
		return -EIO;
	}
	store->driver = driver;
	store->logged_at_ms = -LOG_PERIOD_MS;
	result = driver->open(url + strlen(driver->scheme), &store->db, ret_error, error_bytes);
	if (result == 0)
		result = store_migrate(driver, store->db, migrations, n, ret_error, error_bytes);
	if (result < 0) {
		store_close(&store);
		return result;
	}
	*ret = store;
	return 0;
}

void
store_close(struct store **store)
{
	if (*store == NULL)
		return;
	store_rollback(*store);
	if ((*store)->db != NULL)
		(*store)->driver->close((*store)->db);
	free((*store)->waiters);
	free(*store);
	*store = NULL;
}

int
store_exit_code(int open_error)
{
	switch (open_error) {
	case 0:
		return EX_OK;
	case -EBADF:
	case -ENOTSUP:
	case -EBADMSG:
		return EX_DATAERR;
	case -EBUSY:
		return EX_TEMPFAIL;
	case -EINVAL:
		return EX_CONFIG;
	default:
		return EX_IOERR;
	}
}

/* A full disk fails every statement: one line each LOG_PERIOD_MS tells it well enough. */
static void
log_failure(struct store *store, const char *sql)
{
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms - store->logged_at_ms < LOG_PERIOD_MS) {
		store->unlogged++;
		return;
	}
	log_error("store_failed", "reason=%s sql=%s unlogged=%llu",
		  store->driver->reason(store->db), sql, (unsigned long long)store->unlogged);
	store->logged_at_ms = now_ms;
	store->unlogged = 0;
}

/* A database may end a transaction by failing (SQLite does on a full disk). What comes after it
 * must not be taken for part of it, nor be written on its own. */
static int
checked(struct store *store, const char *sql, int result)
{
	if (result == -EIO || result == -EINVAL)
		log_failure(store, sql);
	if (store->is_open && !store->driver->has_transaction(store->db))
		store->is_lost = true;
	return result;
}

static int
run(struct store *store, const char *sql)
{
	return checked(store, sql, store->driver->control(store->db, sql));
}

static void
drop_waiters(struct store *store, size_t first)
{
	while (store->waiters_n > first) {
		struct waiter waiter = store->waiters[--store->waiters_n];

		if (waiter.drop != NULL)
			waiter.drop(waiter.arg);
	}
}

int
store_begin(struct store *store)
{
	if (store->is_open)
		return 0;
	if (run(store, store->driver->begin_sql) < 0)
		return -EIO;
	store->is_open = true;
	return 0;
}

/* Where it fails it stays due, and who wants to write hears -EIO. */
static int
begin_if_due(struct store *store)
{
	return store->is_due ? store_begin(store) : 0;
}

int
store_commit(struct store *store)
{
	struct waiter *waiters = store->waiters;
	size_t n = store->waiters_n;

	store->is_due = false;
	if (!store->is_open)
		return 0;
	if (store->is_lost || run(store, "COMMIT") < 0) {
		store_rollback(store);
		return -EIO;
	}
	store->is_open = false;
	store->is_lost = false;
	store->savepoints_n = 0;

	/* taken out first: a callback may begin a transaction of its own */
	store->waiters = NULL;
	store->waiters_n = store->waiters_capacity = 0;
	for (size_t i = 0; i < n; i++)
		waiters[i].fn(waiters[i].arg);
	free(waiters);
	return 0;
}

void
store_rollback(struct store *store)
{
	store->is_due = false;
	if (!store->is_open)
		return;
	if (store->driver->has_transaction(store->db))
		run(store, "ROLLBACK");
	store->is_open = false;
	store->is_lost = false;
	store->savepoints_n = 0;
	drop_waiters(store, 0);
}

static int
run_savepoint(struct store *store, const char *verb, size_t number)
{
	char sql[SQL_BYTES];

	snprintf(sql, sizeof(sql), "%s s%zu", verb, number);
	return run(store, sql);
}

int
store_savepoint(struct store *store)
{
	if (begin_if_due(store) < 0)
		return -EIO;
	if (!store->is_open || store->savepoints_n == STORE_SAVEPOINTS_MAX)
		return -EINVAL;
	if (store->is_lost || run_savepoint(store, "SAVEPOINT", store->savepoints_n) < 0)
		return -EIO;
	store->savepoints[store->savepoints_n++] = store->waiters_n;
	return 0;
}

int
store_savepoint_release(struct store *store)
{
	if (store->savepoints_n == 0)
		return -EINVAL;
	store->savepoints_n--;
	if (store->is_lost)
		return -EIO;
	return run_savepoint(store, "RELEASE", store->savepoints_n);
}

void
store_savepoint_rollback(struct store *store)
{
	if (store->savepoints_n == 0)
		return;
	store->savepoints_n--;
	/* What cannot be taken back must not be committed: the batch is lost then. */
	if (!store->is_lost && (run_savepoint(store, "ROLLBACK TO", store->savepoints_n) < 0 ||
				run_savepoint(store, "RELEASE", store->savepoints_n) < 0))
		store->is_lost = true;
	drop_waiters(store, store->savepoints[store->savepoints_n]);
}

int
store_after_commit(struct store *store, void (*fn)(void *arg), void (*drop)(void *arg), void *arg)
{
	assert(fn != NULL);
	if (!store->is_open) {
		fn(arg);
		return 0;
	}
	if (store->waiters_n == store->waiters_capacity) {
		size_t capacity = store->waiters_capacity == 0 ? 64 : store->waiters_capacity * 2;
		struct waiter *waiters =
			reallocarray(store->waiters, capacity, sizeof(*store->waiters));

		if (waiters == NULL)
			return -ENOMEM;
		store->waiters = waiters;
		store->waiters_capacity = capacity;
	}
	store->waiters[store->waiters_n++] = (struct waiter){ fn, drop, arg };
	return 0;
}

int
store_exec(struct store *store, const char *sql, const struct store_value *values, size_t n)
{
	if (begin_if_due(store) < 0 || store->is_lost)
		return -EIO;
	return checked(store, sql, store->driver->exec(store->db, sql, values, n));
}

int
store_query(struct store *store, const char *sql, const struct store_value *values, size_t n,
	    store_row_fn fn, void *arg)
{
	if (store->is_lost)
		return -EIO;
	return checked(store, sql, store->driver->query(store->db, sql, values, n, fn, arg));
}

int
store_batch_begin(void *arg)
{
	struct store *store = arg;

	store->is_due = true;
	return 0;
}

int
store_batch_commit(void *store)
{
	return store_commit(store);
}

struct store_value
store_text(const char *text)
{
	if (text == NULL)
		return STORE_V_NULL;
	return (struct store_value){ .type = STORE_TEXT, .data = { text, strlen(text) } };
}

struct store_value
store_blob(const void *bytes, size_t n)
{
	if (bytes == NULL)
		return STORE_V_NULL;
	return (struct store_value){ .type = STORE_BLOB, .data = { bytes, n } };
}

bool
store_copy_text(const struct store_value *value, char *ret_text, size_t n)
{
	if (value->type != STORE_TEXT || value->data.n >= n)
		return false;
	memcpy(ret_text, value->data.bytes, value->data.n);
	ret_text[value->data.n] = '\0';
	return true;
}

bool
store_copy_blob(const struct store_value *value, void *ret, size_t n)
{
	if (value->type != STORE_BLOB || value->data.n != n)
		return false;
	memcpy(ret, value->data.bytes, n);
	return true;
}
