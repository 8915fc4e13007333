/*
 * own_network: a network namespace of a test's own, with loopback up: sockets in it meet nobody
 * else's.
 */
#pragma once

#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* False, with the reason on stdout, where that is not allowed; the test is then to be skipped. */
static inline bool
own_network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	if (unshare(CLONE_NEWNET) < 0) {
		printf("skipped: needs root and a network namespace\n");
		return false;
	}
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up = ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
	close(fd);
	return up;
}
