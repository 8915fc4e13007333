/*
 * temp_folder: a folder of a test's own under /tmp, and paths in it.
 */
#pragma once

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct temp_folder {
	char path[32];
};

static inline void
temp_folder_make(struct temp_folder *folder)
{
	strcpy(folder->path, "/tmp/boson-test-XXXXXX");
	if (!mkdtemp(folder->path))
		abort();
}

static inline int
temp_folder_remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static inline int
temp_folder_drop(struct temp_folder *folder)
{
	return nftw(folder->path, temp_folder_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Valid until eight further calls. */
static inline const char *
temp_folder_file(const struct temp_folder *folder, const char *name)
{
	static char files[8][128];
	static unsigned next;
	char *path = files[next++ % 8];

	snprintf(path, sizeof(files[0]), "%s/%s", folder->path, name);
	return path;
}

static inline void
temp_folder_write(const struct temp_folder *folder, const char *name, const char *text, mode_t mode)
{
	const char *path = temp_folder_file(folder, name);
	FILE *file = fopen(path, "we");

	if (!file || fputs(text, file) < 0 || fclose(file) != 0 || chmod(path, mode) < 0)
		abort();
}
