/*
 * crash_vfs: what SQLite does to its files, recorded, so that a test can put the disk into any
 *state a power cut could have left: all that was synced before the cut, and of what was written
 *since then any part. It stands in front of the system's own VFS, as the default one.
 *
 *	crash_vfs_record(); ...work with the store...; crash_vfs_stop();
 *	for each point: crash_vfs_restore(path, point, manner); ...open what is there...
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What became of the writes that no sync had covered. */
enum crash_manner {
	CRASH_LOST,   /* none reached the disk */
	CRASH_KEPT,   /* all did */
	CRASH_CHANCE, /* some did, in any order */
	CRASH_TORN,   /* likewise, and of some of them only the first sectors */
	CRASH_MANNERS
};

void crash_vfs_record(void);
void crash_vfs_stop(void);
void crash_vfs_free(void);

/* The test's own mark in the record: what it was told is durable at this point. */
void crash_vfs_mark(int64_t value);

size_t crash_vfs_points(void);

/* Makes the files at path (and path-wal, path-journal) as after a cut just before this point.
 * Points must not go down from call to call. Returns the last mark before it, or -1. */
int64_t crash_vfs_restore(const char *path, size_t point, enum crash_manner manner);
