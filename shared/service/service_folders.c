/* Makes the folders that actors live in. See service_folders.h. */
#include "service/service_folders.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_PATIENCE_MS = 2000, LOCK_AGAIN_MS = 10 };

static int
fail(int exit_code, const char *path, const char *what, char *ret_error, size_t error_bytes)
{
	snprintf(ret_error, error_bytes, "%s: %s", path, what);
	return exit_code;
}

/* umask must not take away what the mode grants: keys are for others to read. */
static int
make_folder(const char *path, mode_t mode, char *ret_error, size_t error_bytes)
{
	struct stat status;

	if (mkdir(path, mode) == 0) {
		if (chmod(path, mode) == 0)
			return EX_OK;
	} else if (errno == EEXIST && stat(path, &status) == 0 && !S_ISDIR(status.st_mode)) {
		errno = ENOTDIR;
	} else if (errno == EEXIST && faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0) {
		return EX_OK;
	}
	return fail(EX_CANTCREAT, path, strerror(errno), ret_error, error_bytes);
}

int
service_folders_make(const char *state, const char *run, char *ret_error, size_t error_bytes)
{
	char keys[PATH_MAX];
	int result = make_folder(state, 0755, ret_error, error_bytes);

	if ((size_t)snprintf(keys, sizeof(keys), "%s/keys", state) >= sizeof(keys))
		return fail(EX_CANTCREAT, state, "too long", ret_error, error_bytes);
	if (result == EX_OK)
		result = make_folder(keys, 0755, ret_error, error_bytes);
	if (result == EX_OK)
		result = make_folder(run, 0700, ret_error, error_bytes);
	return result;
}

/* Ours alone: another user's folder is refused, a mode that lets others in is mended. */
static int
check_private(const char *path, int fd, char *ret_error, size_t error_bytes)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return fail(EX_CANTCREAT, path, strerror(errno), ret_error, error_bytes);
	if (status.st_uid != geteuid())
		return fail(EX_NOPERM, path, "belongs to another user", ret_error, error_bytes);
	if ((status.st_mode & 0077) != 0 && fchmod(fd, 0700) < 0)
		return fail(EX_NOPERM, path, strerror(errno), ret_error, error_bytes);
	return EX_OK;
}

/* A process that was killed holds its folder until the kernel has taken it apart: its successor is
 * faster. */
static int
lock(const char *folder, int fd)
{
	int64_t end_ms = clock_monotonic_ms() + LOCK_PATIENCE_MS;
	const struct timespec pause = { .tv_nsec = LOCK_AGAIN_MS * 1000 * 1000 };
	bool is_told = false;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || clock_monotonic_ms() >= end_ms)
			return -errno;
		if (!is_told)
			log_warn("folder_in_use", "folder=%s wait_ms=%d", folder, LOCK_PATIENCE_MS);
		is_told = true;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int
service_folders_take(const char *folder, int *ret_fd, char *ret_error, size_t error_bytes)
{
	int result = make_folder(folder, 0700, ret_error, error_bytes);
	int fd;

	if (result != EX_OK)
		return result;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(EX_CANTCREAT, folder, strerror(errno), ret_error, error_bytes);
	result = check_private(folder, fd, ret_error, error_bytes);
	if (result == EX_OK && lock(folder, fd) < 0)
		result = fail(EX_TEMPFAIL, folder, "in use by another process", ret_error,
			      error_bytes);
	if (result != EX_OK) {
		close(fd);
		return result;
	}
	*ret_fd = fd;
	return EX_OK;
}

void
service_limits_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}
