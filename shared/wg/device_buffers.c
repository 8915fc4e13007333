/*
 * device_buffers: see device_buffers.h.
 */
#include "wg/device_buffers.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DESCRIPTORS_MAX = 64, BUFFER_BYTES = 2 * 1024 * 1024 };

static int
option(int fd, int name)
{
	int value;
	socklen_t n = sizeof value;
	return getsockopt(fd, SOL_SOCKET, name, &value, &n) == 0 ? value : -1;
}

static bool
widen(int fd)
{
	int bytes = BUFFER_BYTES, domain = option(fd, SO_DOMAIN);
	return (domain == AF_INET || domain == AF_INET6) && option(fd, SO_TYPE) == SOCK_DGRAM &&
	       setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) == 0;
}

/* A duplicate is the same socket: what is set on it is set on theirs. */
int
device_buffers_widen(int pidfd)
{
	int count = 0;
	for (int number = 0; number < DESCRIPTORS_MAX; number++) {
		int fd = pidfd_getfd(pidfd, number, 0);
		if (fd < 0 && errno != EBADF)
			return -errno;
		if (fd < 0)
			continue;
		count += widen(fd);
		close(fd);
	}
	return count;
}
