/* See crash_vfs.h. */
#include "crash_vfs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECTOR_BYTES = 512, OF_FILE = 3 };

enum operation_kind { WRITE, TRUNCATE, SYNC, REMOVE, MARK };

struct operation {
	enum operation_kind kind;
	int file;
	int64_t at; /* offset, size or mark */
	size_t n;
	uint8_t *bytes;
};

struct image {
	uint8_t *bytes;
	size_t n, capacity;
	bool exists;
};

/* What SQLite holds of an open file; the real one's space follows. */
struct recorded_file {
	sqlite3_file base;
	int file; /* 0 the database, 1 its log, 2 its journal, -1 another */
	sqlite3_file *real;
};

static const char *const suffixes[OF_FILE] = { "", "-wal", "-journal" };

static sqlite3_vfs *real_vfs, own_vfs;
static char database[256];
static struct operation *operations;
static size_t operations_n, operations_capacity;

/* Replayed so far: what is on the disk for certain, and where each file's unsynced part begins. */
static struct image durable[OF_FILE];
static size_t replayed;
static int64_t last_mark = -1;

static void
record(enum operation_kind kind, int file, int64_t at, const void *bytes, size_t n)
{
	struct operation *operation;

	if (file < 0)
		return;
	if (operations_n == operations_capacity) {
		operations_capacity = operations_capacity == 0 ? 1024 : operations_capacity * 2;
		operations = realloc(operations, operations_capacity * sizeof(*operations));
		assert_non_null(operations);
	}
	operation = &operations[operations_n++];
	*operation = (struct operation){ kind, file, at, n, NULL };
	if (n > 0) {
		operation->bytes = malloc(n);
		assert_non_null(operation->bytes);
		memcpy(operation->bytes, bytes, n);
	}
}

/* ---- the VFS ---- */

static sqlite3_file *
real_of(sqlite3_file *file)
{
	return ((struct recorded_file *)file)->real;
}

static int
number_of(const sqlite3_file *file)
{
	return ((const struct recorded_file *)file)->file;
}

static int
on_close(sqlite3_file *file)
{
	sqlite3_file *real = real_of(file);

	return real->pMethods != NULL ? real->pMethods->xClose(real) : SQLITE_OK;
}

static int
on_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 at)
{
	return real_of(file)->pMethods->xRead(real_of(file), bytes, n, at);
}

static int
on_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
	record(WRITE, number_of(file), at, bytes, (size_t)n);
	return real_of(file)->pMethods->xWrite(real_of(file), bytes, n, at);
}

static int
on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	record(TRUNCATE, number_of(file), size, NULL, 0);
	return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int
on_sync(sqlite3_file *file, int flags)
{
	record(SYNC, number_of(file), 0, NULL, 0);
	return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int
on_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int
on_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int
on_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int
on_check_lock(sqlite3_file *file, int *ret)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int
on_control(sqlite3_file *file, int operation, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), operation, arg);
}

static int
on_sector_size(sqlite3_file *file)
{
	(void)file;
	return SECTOR_BYTES;
}

/* A disk that promises nothing. */
static int
on_characteristics(sqlite3_file *file)
{
	(void)file;
	return 0;
}

/* Version 1: in exclusive locking mode the log's index needs no shared memory. */
static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_size,
	.xLock = on_lock,
	.xUnlock = on_unlock,
	.xCheckReservedLock = on_check_lock,
	.xFileControl = on_control,
	.xSectorSize = on_sector_size,
	.xDeviceCharacteristics = on_characteristics,
};

static int
number_of_path(const char *path)
{
	size_t n = strlen(database);

	if (path == NULL || strncmp(path, database, n) != 0)
		return -1;
	for (int i = 0; i < OF_FILE; i++)
		if (strcmp(path + n, suffixes[i]) == 0)
			return i;
	return -1;
}

static int
on_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *ret_flags)
{
	struct recorded_file *recorded = (struct recorded_file *)file;
	int code;

	(void)vfs;
	if ((flags & SQLITE_OPEN_MAIN_DB) != 0)
		snprintf(database, sizeof(database), "%s", path);
	recorded->file = number_of_path(path);
	recorded->real = (sqlite3_file *)(recorded + 1);
	code = real_vfs->xOpen(real_vfs, path, recorded->real, flags, ret_flags);
	file->pMethods = code == SQLITE_OK ? &methods : NULL;
	return code;
}

static int
on_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
	(void)vfs;
	record(REMOVE, number_of_path(path), 0, NULL, 0);
	return real_vfs->xDelete(real_vfs, path, sync_folder);
}

void
crash_vfs_record(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	own_vfs = *real_vfs;
	own_vfs.zName = "crash";
	own_vfs.szOsFile += (int)sizeof(struct recorded_file);
	own_vfs.xOpen = on_open;
	own_vfs.xDelete = on_delete;
	assert_int_equal(sqlite3_vfs_register(&own_vfs, 1), SQLITE_OK);
}

void
crash_vfs_stop(void)
{
	assert_int_equal(sqlite3_vfs_unregister(&own_vfs), SQLITE_OK);
	assert_int_equal(sqlite3_vfs_register(real_vfs, 1), SQLITE_OK);
}

void
crash_vfs_mark(int64_t value)
{
	record(MARK, 0, value, NULL, 0);
}

size_t
crash_vfs_points(void)
{
	return operations_n;
}

void
crash_vfs_free(void)
{
	for (size_t i = 0; i < operations_n; i++)
		free(operations[i].bytes);
	free(operations);
	operations = NULL;
	operations_n = operations_capacity = replayed = 0;
	last_mark = -1;
	for (size_t i = 0; i < OF_FILE; i++) {
		free(durable[i].bytes);
		durable[i] = (struct image){ 0 };
	}
}

/* ---- what a cut leaves ---- */

static void
resize(struct image *image, size_t n)
{
	if (n > image->capacity) {
		image->capacity = n * 2;
		image->bytes = realloc(image->bytes, image->capacity);
		assert_non_null(image->bytes);
	}
	if (n > image->n)
		memset(image->bytes + image->n, 0, n - image->n);
	image->n = n;
	image->exists = true;
}

static void
apply(struct image *image, const struct operation *operation, size_t n)
{
	if (operation->kind == TRUNCATE)
		resize(image, (size_t)operation->at);
	if (operation->kind != WRITE || n == 0)
		return;
	if ((size_t)operation->at + n > image->n)
		resize(image, (size_t)operation->at + n);
	memcpy(image->bytes + operation->at, operation->bytes, n);
}

/* A sync, or the file's end, makes all that was done to the file before it certain. */
static void
settle(size_t first, size_t end, int file)
{
	for (size_t i = first; i < end; i++)
		if (operations[i].file == file)
			apply(&durable[file], &operations[i], operations[i].n);
}

static size_t unsynced[OF_FILE]; /* first operation that may be lost */

static void
replay_until(size_t point)
{
	if (replayed == 0)
		memset(unsynced, 0, sizeof(unsynced));
	for (; replayed < point; replayed++) {
		const struct operation *operation = &operations[replayed];

		if (operation->kind == MARK)
			last_mark = operation->at;
		if (operation->kind == SYNC) {
			settle(unsynced[operation->file], replayed, operation->file);
			unsynced[operation->file] = replayed;
		}
		if (operation->kind == REMOVE) {
			durable[operation->file].n = 0;
			durable[operation->file].exists = false;
			unsynced[operation->file] = replayed;
		}
	}
}

static size_t
part_kept(const struct operation *operation, enum crash_manner manner)
{
	if (manner == CRASH_KEPT)
		return operation->n;
	if (random() % 2 == 0)
		return 0;
	if (manner == CRASH_TORN && operation->n > SECTOR_BYTES)
		return (size_t)random() % (operation->n / SECTOR_BYTES + 1) * SECTOR_BYTES;
	return operation->n;
}

static void
write_file(const char *path, const struct image *image)
{
	int fd;

	(void)unlink(path);
	if (!image->exists)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(image->n == 0 ? 0 : write(fd, image->bytes, image->n), (ssize_t)image->n);
	close(fd);
}

int64_t
crash_vfs_restore(const char *path, size_t point, enum crash_manner manner)
{
	replay_until(point);
	for (int file = 0; file < OF_FILE; file++) {
		struct image image = { 0 };
		char name[300];

		if (durable[file].exists) {
			resize(&image, durable[file].n);
			if (image.n > 0)
				memcpy(image.bytes, durable[file].bytes, image.n);
		}
		for (size_t i = unsynced[file]; i < point && manner != CRASH_LOST; i++) {
			const struct operation *operation = &operations[i];
			size_t kept = part_kept(operation, manner);

			if (operation->file == file &&
			    (operation->kind == WRITE ||
			     (operation->kind == TRUNCATE &&
			      (manner == CRASH_KEPT || random() % 2 == 0))))
				apply(&image, operation, kept);
		}
		snprintf(name, sizeof(name), "%s%s", path, suffixes[file]);
		write_file(name, &image);
		free(image.bytes);
	}
	return last_mark;
}
