/*
 * state_file: written beside, synced, then linked or renamed into place, then the folder synced.
 */
#include "identity/state_file.h"
#include "identity/mac.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
sync_folder_of(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	int fd, r;

	if (n >= sizeof(folder))
		return -ENAMETOOLONG;
	if (!slash)
		strcpy(folder, ".");
	else if (n == 0)
		strcpy(folder, "/");
	else {
		memcpy(folder, path, n);
		folder[n] = '\0';
	}
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int
write_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, bytes, n);

		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			bytes += done;
			n -= (size_t)done;
		}
	}
	return 0;
}

/* A synced file of a name nobody else has. */
static int
write_beside(const char *path, mode_t mode, const void *bytes, size_t n, char ret_name[PATH_MAX])
{
	uint64_t random;
	int fd, r = mac_random(&random, sizeof(random));

	if (r < 0)
		return r;
	if (snprintf(ret_name, PATH_MAX, "%s.%016" PRIx64 ".tmp", path, random) >= PATH_MAX)
		return -ENAMETOOLONG;
	fd = open(ret_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	/* The umask may have taken what a public half needs. */
	if (fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0)
		r = write_all(fd, bytes, n);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r < 0)
		unlink(ret_name);
	return r;
}

int
state_file_create(const char *path, mode_t mode, const void *bytes, size_t n)
{
	char beside[PATH_MAX];
	int r = write_beside(path, mode, bytes, n, beside);

	if (r < 0)
		return r;
	/* link, unlike rename, fails when somebody was first. */
	if (link(beside, path) < 0)
		r = -errno;
	unlink(beside);
	return r < 0 ? r : sync_folder_of(path);
}

int
state_file_replace(const char *path, mode_t mode, const void *bytes, size_t n)
{
	char beside[PATH_MAX];
	int r = write_beside(path, mode, bytes, n, beside);

	if (r < 0)
		return r;
	if (rename(beside, path) < 0) {
		r = -errno;
		unlink(beside);
		return r;
	}
	return sync_folder_of(path);
}

static int
check_file(int fd, bool is_private, size_t capacity)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (is_private && (st.st_uid != geteuid() || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0))
		return -EPERM;
	return (size_t)st.st_size >= capacity ? -EFBIG : 0;
}

ssize_t
state_file_read(const char *path, bool is_private, char *ret_text, size_t capacity)
{
	/* O_NONBLOCK: a FIFO in its place must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (is_private ? O_NOFOLLOW : 0));
	size_t n = 0;
	ssize_t got = 1;
	int r;

	if (fd < 0)
		return -errno;
	r = check_file(fd, is_private, capacity);
	while (r == 0 && got > 0 && n < capacity) {
		got = read(fd, ret_text + n, capacity - n);
		if (got > 0)
			n += (size_t)got;
		else if (got < 0 && errno == EINTR)
			got = 1;
		else if (got < 0)
			r = -errno;
	}
	close(fd);
	if (r == 0 && n >= capacity)
		r = -EFBIG;
	if (r == 0) {
		ret_text[n] = '\0';
		if (strlen(ret_text) != n)
			r = -EINVAL;
	}
	return r < 0 ? r : (ssize_t)n;
}
