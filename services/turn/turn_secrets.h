/*
 * turn_secrets: what we share with coturn: one secret, or several while one replaces another. The
 * first line of the file signs; coturn takes credentials of all of them. The file is read anew when
 * it changes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <time.h>

enum {
	TURN_SECRET_BYTES = 32,
	TURN_SECRET_TEXT_BYTES = 2 * TURN_SECRET_BYTES + 1,
	TURN_SECRETS_MAX = 4,
	TURN_SECRETS_PATH_BYTES = 512,
};

struct turn_secrets {
	char path[TURN_SECRETS_PATH_BYTES];
	char texts[TURN_SECRETS_MAX][TURN_SECRET_TEXT_BYTES]; /* hex, as coturn has them */
	size_t n;					      /* at least 1 once loaded */
	struct timespec changed;			      /* of the file as it was read */
	ino_t inode;
};

/* is_ours: made when it is absent. 0 or -errno. */
int turn_secrets_load(struct turn_secrets *secrets, const char *path, bool is_ours);

/* True when the file had changed and was read. One that cannot be read leaves the old secrets, and
 * *ret_error says why. */
bool turn_secrets_reload(struct turn_secrets *secrets, int *ret_error);
void turn_secrets_wipe(struct turn_secrets *secrets);
