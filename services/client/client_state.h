/*
 * client_state: the client's folder: who it is, who is running, and what it changed on this machine
 * and must put back, also when it was killed in between.
 */
#pragma once

#include "identity/key.h"

#include <stdbool.h>
#include <stddef.h>

enum { CLIENT_PATH_BYTES = 512, CLIENT_ACCESS_KEY_BYTES = 600 };

/* "<folder>/<name>". -ENAMETOOLONG. */
int client_state_path(const char *folder, const char *name, char ret_path[CLIENT_PATH_BYTES]);

/* Makes the folder 0700, with its parents. */
int client_state_open(const char *folder);

/* The lock of a running client: of the folder, and of the network namespace, whose rules there is
 * only one set of. Held by the descriptors, so it dies with the process and is never stale.
 * -EAGAIN: another one runs. */
struct client_lock {
	int folder_fd, namespace_fd;
};
int client_lock_take(const char *folder, struct client_lock *ret);
void client_lock_release(struct client_lock *lock);

/* This client's id for good, made at first use. A file that was damaged is replaced, aloud. */
int client_state_id(const char *folder, char ret_id[UUID_TEXT_BYTES]);

/* The interface that a session in this folder made, written before it is made. "": none. */
int client_state_note_interface(const char *folder, const char *name);
void client_state_noted_interface(const char *folder, char ret_name[16]);
void client_state_forget_interface(const char *folder);

/* An access key: one printable line. 0 or an exit code, and a line for people. */
int client_access_key_read(const char *path, char ret_key[CLIENT_ACCESS_KEY_BYTES], char *ret_error,
			   size_t error_bytes);
