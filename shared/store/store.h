/*
 * store: tables. One interface; the driver is chosen by URL. One SQL text per statement for all
 * drivers, with $1 parameters. One connection, one thread: the actor that owns the tables. A
 * failing store is -EIO (never "no rows"), and callers answer UNAVAILABLE.
 *
 *	sqlite:/path/file.db
 *	postgresql://user@host[,host2]/database?schema=NAME[&passfile=/path][&sslmode=verify-full]
 *
 * A PostgreSQL URL is libpq's, and `schema`: each service has one of its own. It never holds a
 * password; passfile (0600, lines of host:port:database:user:password) does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* Numbered from 1 without gaps; sql may hold several statements. Once released, never edited: its
 * SHA-256 is recorded and checked at each start. */
struct store_migration {
	int number;
	const char *name;
	const char *sql;
};

enum store_type { STORE_NULL, STORE_INT, STORE_REAL, STORE_TEXT, STORE_BLOB };

struct store_value {
	enum store_type type;
	union {
		int64_t integer;
		double real;
		struct {
			const void *bytes;
			size_t n;
		} data; /* TEXT (no NUL needed; in a row there is one after it) and BLOB; borrowed
			 */
	};
};

#define STORE_V_NULL	((struct store_value){ .type = STORE_NULL })
#define STORE_V_INT(x)	((struct store_value){ .type = STORE_INT, .integer = (x) })
#define STORE_V_REAL(x) ((struct store_value){ .type = STORE_REAL, .real = (x) })
struct store_value store_text(const char *text); /* both: NULL gives STORE_NULL */
struct store_value store_blob(const void *bytes, size_t n);

/* A row's text and its NUL into at most n bytes; a row's blob of exactly n. false: it is another
 * type or size (others may have had their hands in a table), and nothing is written. */
bool store_copy_text(const struct store_value *value, char *ret_text, size_t n);
bool store_copy_blob(const struct store_value *value, void *ret, size_t n);

/* Whether store_open could take this URL; opens nothing. 0, or -EINVAL with a reason. */
int store_check(const char *url, char *ret_error, size_t error_bytes);

/* Opens and migrates in transactions. SQLite: locks out a second process; WAL, synchronous=FULL,
 * foreign keys; `sqlite::memory:` is a store without a file. PostgreSQL: makes the schema; several
 * processes may share it, one at a time migrates. On failure a reason in ret_error and: -EBADF not
 * a database (left as it was), -ENOTSUP schema newer than this program, -EBUSY another process owns
 * it, -EBADMSG a released migration was edited, -EINVAL a bad URL, -EIO. */
int store_open(const char *url, const struct store_migration *migrations, size_t n,
	       struct store **ret, char *ret_error, size_t error_bytes);
void store_close(struct store **store);

/* A batch is one transaction. begin may be called when one is open: it does nothing. commit without
 * one does nothing. A commit that fails has rolled back, as far as can be known: when a PostgreSQL
 * server dies in the midst of it, what was written may be there; writes must bear to be repeated.
 * When disk or connection fail in the midst of a batch the whole batch is lost: all calls are -EIO
 * until its commit, which fails, or its rollback. The next begin connects again; a server that does
 * not answer costs a bounded time, and then nothing for a second. */
int store_begin(struct store *store);
int store_commit(struct store *store);
void store_rollback(struct store *store);

/* A handler's own part of the batch: rolled back alone when it fails. Nests up to
 * STORE_SAVEPOINTS_MAX; needs an open transaction: -EINVAL. */
enum { STORE_SAVEPOINTS_MAX = 8 };
int store_savepoint(struct store *store);
int store_savepoint_release(struct store *store);
void store_savepoint_rollback(struct store *store);

/* Runs fn(arg) after the commit that covers what was written so far; drop(arg), if not NULL,
 * instead of it when that transaction or savepoint is rolled back, the last first. Models change
 * here, so that memory never knows more than the disk. Without an open transaction: at once.
 * -ENOMEM: neither will be called. */
int store_after_commit(struct store *store, void (*fn)(void *arg), void (*drop)(void *arg),
		       void *arg);

/* Writes: the number of rows changed, or -EIO, -EEXIST (a unique key), -EINVAL (another constraint,
 * e.g. a foreign key; or a value the column cannot hold, e.g. a NUL within a text). What fails so
 * leaves the rest of the batch alone. */
int store_exec(struct store *store, const char *sql, const struct store_value *values, size_t n);

/* Reads: fn for each row, its values valid until it returns; non-zero from fn ends the query and is
 * returned. Otherwise the number of rows, or -EIO. */
typedef int (*store_row_fn)(const struct store_value *row, size_t columns, void *arg);
int store_query(struct store *store, const char *sql, const struct store_value *values, size_t n,
		store_row_fn fn, void *arg);

/* What a program exits with when store_open failed: 65, 74, 75 or 78 of sysexits.h. */
int store_exit_code(int open_error);

/* Ready-made struct bus_batch halves: pass the store as arg. The transaction begins with the first
 * write or savepoint: a batch that writes nothing does not need the database, and is answered while
 * there is none. */
int store_batch_begin(void *store);
int store_batch_commit(void *store);
