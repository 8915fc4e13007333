/* turn_secrets: see the header. */
#include "turn/turn_secrets.h"

#include "identity/key.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int
read_file(struct turn_secrets *secrets)
{
	uint8_t bytes[TURN_SECRETS_MAX][TURN_SECRET_BYTES];
	struct stat status;
	int n;

	/* Looked at first: what changes while we read is read again. */
	if (stat(secrets->path, &status) != 0)
		return -errno;
	n = secret_file_load_ring(secrets->path, bytes[0], TURN_SECRET_BYTES, TURN_SECRETS_MAX);
	secrets->changed = status.st_mtim;
	secrets->inode = status.st_ino;
	if (n <= 0)
		return n < 0 ? n : -EINVAL;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < TURN_SECRET_BYTES; k++)
			(void)snprintf(secrets->texts[i] + 2 * k, 3, "%02x", bytes[i][k]);
	secrets->n = (size_t)n;
	key_wipe(bytes, sizeof(bytes));
	return 0;
}

int
turn_secrets_load(struct turn_secrets *secrets, const char *path, bool is_ours)
{
	uint8_t first[TURN_SECRET_BYTES];
	int error = 0;

	memset(secrets, 0, sizeof(*secrets));
	if (snprintf(secrets->path, sizeof(secrets->path), "%s", path) >=
	    (int)sizeof(secrets->path))
		return -ENAMETOOLONG;
	if (is_ours && access(path, F_OK) != 0) {
		error = secret_file_load_or_create(path, first, sizeof(first));
		key_wipe(first, sizeof(first));
	}
	return error == 0 ? read_file(secrets) : error;
}

bool
turn_secrets_reload(struct turn_secrets *secrets, int *ret_error)
{
	struct stat status;

	*ret_error = 0;
	if (stat(secrets->path, &status) != 0 ||
	    (status.st_ino == secrets->inode && status.st_mtim.tv_sec == secrets->changed.tv_sec &&
	     status.st_mtim.tv_nsec == secrets->changed.tv_nsec))
		return false;
	*ret_error = read_file(secrets);
	return *ret_error == 0;
}

void
turn_secrets_wipe(struct turn_secrets *secrets)
{
	key_wipe(secrets->texts, sizeof(secrets->texts));
	secrets->n = 0;
}
