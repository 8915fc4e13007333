/*
 * leg_address: see the header. What rtnetlink tells is not read: whether an address is ours is seen
 * from whether a socket may have it.
 */
#include "leg/leg_address.h"

#include "net/address.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

int
leg_address_watch(int *ret_fd)
{
	const struct sockaddr_nl groups = { .nl_family = AF_NETLINK,
					    .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int r;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&groups, sizeof groups) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

void
leg_address_drain(int fd)
{
	char ignored[4096];

	/* ENOBUFS: there was more than fits, which tells as much. */
	while (recv(fd, ignored, sizeof ignored, 0) > 0 || errno == ENOBUFS)
		continue;
}

bool
leg_address_is_lost(int tcp_fd)
{
	struct sockaddr_storage address;
	socklen_t n = sizeof address;
	bool is_lost;
	int fd;

	if (getsockname(tcp_fd, (struct sockaddr *)&address, &n) < 0)
		return false;
	address_set_port(&address, 0);
	fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	is_lost = bind(fd, (const struct sockaddr *)&address, n) < 0 && errno == EADDRNOTAVAIL;
	close(fd);
	return is_lost;
}
