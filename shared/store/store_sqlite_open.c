/*
 * store_sqlite_open: opens and closes the file. One process owns it: a lock beside it keeps a
 * second one out, and the exclusive locking mode keeps the write-ahead index in our memory instead
 * of a shared mapping.
 */
#include "store/store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BUSY_TIMEOUT_MS = 1000, /* only an operator's sqlite3 could hold the file */
	MAGIC_BYTES = 16,
};

void
store_sqlite_close(void *arg)
{
	struct sqlite *db = arg;

	for (size_t i = 0; i < SQLITE_STATEMENTS_MAX; i++)
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
	char lock_path[PATH_MAX];
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
	return store_sqlite_script(db, "PRAGMA locking_mode = EXCLUSIVE;"
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

int
store_sqlite_check(const char *location, char *ret_error, size_t error_bytes)
{
	if (*location != '\0')
		return 0;
	snprintf(ret_error, error_bytes, "store: sqlite: needs a path");
	return -EINVAL;
}

int
store_sqlite_open(const char *location, void **ret, char *ret_error, size_t error_bytes)
{
	bool is_memory = strcmp(location, ":memory:") == 0;
	struct sqlite *db = calloc(1, sizeof(*db));
	int result = 0;

	if (db == NULL) {
		snprintf(ret_error, error_bytes, "store: out of memory");
		return -EIO;
	}
	db->lock_fd = -1;
	if (!is_memory)
		result = take_lock(db, location, ret_error, error_bytes);
	if (result == 0 && !is_memory)
		result = check_file(location, ret_error, error_bytes);
	if (result == 0)
		result = open_handle(db, location, ret_error, error_bytes);
	if (result < 0) {
		store_sqlite_close(db);
		return result;
	}
	*ret = db;
	return 0;
}
