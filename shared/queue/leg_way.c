/*
 * leg_way: SIOCOUTQ and TCP_INFO.
 */
#include "queue/leg_way.h"

#include <linux/sockios.h>
#include <linux/tcp.h> /* that of netinet/ does not know the least round trip */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
	QUEUED_US = 5000, /* a round trip so much longer than the least */
	QUEUED_PART = 2,  /* and by this part of it */
	QUEUED_PACKETS = 4,
};

uint64_t
leg_way_unread(int fd)
{
	int unread = 0;

	return ioctl(fd, SIOCOUTQ, &unread) < 0 || unread < 0 ? 0 : (uint64_t)unread;
}

/* Up to and with the least round trip. */
static bool
read_info(int fd, struct tcp_info *ret)
{
	const socklen_t known = offsetof(struct tcp_info, tcpi_min_rtt) + sizeof(uint32_t);
	socklen_t n = sizeof(*ret);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret, &n) == 0 && n >= known;
}

uint64_t
leg_way_acked(int fd)
{
	struct tcp_info info = { 0 };

	return read_info(fd, &info) ? info.tcpi_bytes_acked : 0;
}

bool
leg_way_is_queued(int fd)
{
	struct tcp_info info = { 0 };

	if (!read_info(fd, &info))
		return false;
	return info.tcpi_rtt > info.tcpi_min_rtt + QUEUED_US + info.tcpi_min_rtt / QUEUED_PART &&
	       info.tcpi_unacked > QUEUED_PACKETS;
}
