/*
 * store_migrate: numbered steps from an empty database to this program's schema. Each runs in a
 * transaction of its own together with the row that records it, so a killed start goes on where it
 * was. What was released is recognised by its SHA-256 and never edited.
 */
#include "store/store_driver.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { SHA256_BYTES = 32, SHA256_TEXT_BYTES = 65, SQL_BYTES = 256 };

struct migrating {
	const struct store_driver *driver;
	void *db;
	const struct store_migration *migrations;
	size_t n;
	size_t applied; /* numbers 1 to this are in the database */
	char *error;
	size_t error_bytes;
};

static int
sha256_text(const char *text, char ret_hex[SHA256_TEXT_BYTES])
{
	unsigned char digest[SHA256_BYTES];

	if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
		return -EIO;
	for (size_t i = 0; i < SHA256_BYTES; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

static int
fail_database(const struct migrating *m, const char *what)
{
	snprintf(m->error, m->error_bytes, "store: %s: %s", what, m->driver->reason(m->db));
	return -EIO;
}

/* One recorded row (number, sha256), in order of number. */
static int
check_recorded(const struct store_value *row, size_t columns, void *arg)
{
	struct migrating *m = arg;
	char hex[SHA256_TEXT_BYTES];
	int64_t number = row[0].integer;

	if (columns != 2 || row[0].type != STORE_INT || row[1].type != STORE_TEXT ||
	    number != (int64_t)m->applied + 1) {
		snprintf(m->error, m->error_bytes, "store: the table schema_migrations is damaged");
		return -EBADMSG;
	}
	m->applied++;
	if (m->applied > m->n)
		return 0; /* newer than we are: told by the caller, who then knows both */
	if (sha256_text(m->migrations[number - 1].sql, hex) < 0)
		return -EIO;
	if (row[1].data.n == strlen(hex) && memcmp(row[1].data.bytes, hex, strlen(hex)) == 0)
		return 0;
	snprintf(m->error, m->error_bytes,
		 "store: migration %" PRId64 " (%s) was edited after it was applied", number,
		 m->migrations[number - 1].name);
	return -EBADMSG;
}

static int
check_schema(struct migrating *m)
{
	int result = m->driver->query(
		m->db, "SELECT number, sha256 FROM schema_migrations ORDER BY number", NULL, 0,
		check_recorded, m);

	if (result == -EBADMSG)
		return result;
	if (result < 0)
		return fail_database(m, "cannot read schema_migrations");
	if (m->applied > m->n) {
		snprintf(m->error, m->error_bytes,
			 "store: the schema is at version %zu, this program knows %zu", m->applied,
			 m->n);
		return -ENOTSUP;
	}
	return 0;
}

static int
apply(const struct migrating *m, const struct store_migration *migration)
{
	char hex[SHA256_TEXT_BYTES], sql[SQL_BYTES];
	struct store_value values[3];

	if (sha256_text(migration->sql, hex) < 0)
		return -EIO;
	snprintf(sql, sizeof(sql),
		 "INSERT INTO schema_migrations (number, name, sha256, applied_at) "
		 "VALUES ($1, $2, $3, %s)",
		 m->driver->now_sql);
	values[0] = STORE_V_INT(migration->number);
	values[1] = store_text(migration->name);
	values[2] = store_text(hex);
	if (m->driver->control(m->db, m->driver->begin_sql) < 0)
		return -EIO;
	if (m->driver->script(m->db, migration->sql) == 0 &&
	    m->driver->exec(m->db, sql, values, 3) == 1 && m->driver->control(m->db, "COMMIT") == 0)
		return 0;
	return -EIO;
}

static int
apply_pending(const struct migrating *m)
{
	for (size_t i = m->applied; i < m->n; i++) {
		char what[SQL_BYTES];

		if (apply(m, &m->migrations[i]) == 0)
			continue;
		snprintf(what, sizeof(what), "migration %d (%s)", m->migrations[i].number,
			 m->migrations[i].name);
		fail_database(m, what);
		if (m->driver->has_transaction(m->db))
			m->driver->control(m->db, "ROLLBACK");
		return -EIO;
	}
	return 0;
}

int
store_migrate(const struct store_driver *driver, void *db, const struct store_migration *migrations,
	      size_t n, char *ret_error, size_t error_bytes)
{
	struct migrating m = { .driver = driver,
			       .db = db,
			       .migrations = migrations,
			       .n = n,
			       .error = ret_error,
			       .error_bytes = error_bytes };
	int result = 0;

	for (size_t i = 0; i < n; i++)
		if (migrations[i].number != (int)i + 1) {
			snprintf(ret_error, error_bytes, "store: migrations are not numbered 1..n");
			return -EINVAL;
		}
	/* Unlocked by closing the database where it fails. */
	if (driver->migrate_lock != NULL)
		result = driver->migrate_lock(db, ret_error, error_bytes);
	if (result < 0)
		return result;
	if (driver->script(db, "CREATE TABLE IF NOT EXISTS schema_migrations ("
			       "number INTEGER PRIMARY KEY, name TEXT NOT NULL, "
			       "sha256 TEXT NOT NULL, applied_at TEXT NOT NULL)") < 0)
		return fail_database(&m, "cannot make schema_migrations");
	result = check_schema(&m);
	if (result == 0)
		result = apply_pending(&m);
	if (result == 0 && driver->migrate_unlock != NULL)
		result = driver->migrate_unlock(db, ret_error, error_bytes);
	return result;
}
