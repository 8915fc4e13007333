/*
 * state_file: small files that are there whole or not at all, on disk when the call returns: keys,
 * ids, public halves. A crash leaves the old file, or the new one, and perhaps a `.tmp` beside it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { STATE_FILE_MAX_BYTES = 4096 };

/* Makes the file unless it exists: -EEXIST then, whoever was first. Two starters agree on one. */
int state_file_create(const char *path, mode_t mode, const void *bytes, size_t n);

/* Makes or replaces it. */
int state_file_replace(const char *path, mode_t mode, const void *bytes, size_t n);

/* Reads all of a regular file of at most capacity - 1 bytes and adds a NUL: the number of bytes, or
 * -errno (-EFBIG: larger; -EINVAL: a NUL inside, or not a regular file). private: -EPERM when it is
 * not ours or others may read or write it. */
ssize_t state_file_read(const char *path, bool is_private, char *ret_text, size_t capacity);
