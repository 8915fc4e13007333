/*
 * service_folders: the folders and limits of the process. All functions return 0 or an exit code
 * of sysexits.h with a reason.
 */
#pragma once

#include <stddef.h>

/* Makes state (0755), state/keys (0755) and run (0700), each only where its parent exists. */
int service_folders_make(const char *state, const char *run, char *ret_error, size_t error_bytes);

/* Makes state/actor 0700, ours, and takes it for this process: waits 2 s, and says so in the log,
 * while another one has it, then 75. *ret_fd holds it; close it to let go. */
int service_folders_take(const char *folder, int *ret_fd, char *ret_error, size_t error_bytes);

/* Raises the soft limit of descriptors to the hard one. */
void service_limits_raise(void);
