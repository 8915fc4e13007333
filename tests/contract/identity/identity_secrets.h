/*
 * identity_secrets: every secret that a test made or met, and what they must not be found in. The
 * processes of the test say all they have to say (debug) into a file of ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Standard error, of this process and of all it starts, goes to a file from now on. */
void secrets_begin(void);

/* Notes a secret; texts of less than 16 characters are none. */
void secrets_add(const char *text);

/* Notes all lines of this file, or nothing when it is not there. */
void secrets_add_file(const char *path);

/* Is any of those noted so far in this text? Says which, by its number. */
bool secrets_are_in(const char *text);

/* How often this was said so far. */
size_t secrets_count_said(const char *text);

/* Standard error is what it was, and shows what was said; how many secrets were noted, in
 * *ret_count, and how much was said. False when a secret was said. */
bool secrets_end(size_t *ret_count, size_t *ret_log_bytes);
