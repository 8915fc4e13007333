/*
 * leg_way: SIOCOUTQ and TCP_INFO.
 */
#include "queue/leg_way.h"

#include <linux/inet_diag.h> /* tcp_cc_info */
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
	BBR_PROBE_GAIN = 256 * 5 / 4,
};

uint64_t
leg_way_unread(int fd)
{
	int unread = 0;

	return ioctl(fd, SIOCOUTQ, &unread) < 0 || unread < 0 ? 0 : (uint64_t)unread;
}

/* Up to and with the least round trip; what an older kernel does not say is zero. */
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

/* Is all under way that the reader's window takes? */
static bool
is_reader_full(const struct tcp_info *info)
{
	uint64_t under_way =
		info->tcpi_bytes_sent - info->tcpi_bytes_retrans - info->tcpi_bytes_acked;

	return under_way + info->tcpi_snd_mss >= info->tcpi_snd_wnd;
}

static bool
is_growing(const struct tcp_info *info)
{
	return info->tcpi_ca_state == TCP_CA_Open &&
	       info->tcpi_snd_cwnd < info->tcpi_snd_ssthresh && !is_reader_full(info);
}

/* BBR's threshold means nothing, but it tells how much faster it sends than it knows to be read:
 * more than twice at its start, 5/4 at most later. Reno and cubic have nothing to say. */
static bool
may_grow(int fd)
{
	union tcp_cc_info info;
	socklen_t n = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_CC_INFO, &info, &n) < 0)
		return false;
	return n == 0 || (n == sizeof(info.bbr) && info.bbr.bbr_pacing_gain > BBR_PROBE_GAIN);
}

struct leg_way
leg_way_of(const struct tcp_info *info)
{
	bool has_least = info->tcpi_min_rtt != 0 && info->tcpi_min_rtt != UINT32_MAX;
	bool is_queued = info->tcpi_rtt > info->tcpi_min_rtt + QUEUED_US +
						  info->tcpi_min_rtt / QUEUED_PART &&
			 info->tcpi_unacked > QUEUED_PACKETS;

	return (struct leg_way){
		.least_us = has_least ? info->tcpi_min_rtt : 0,
		.is_queued = has_least && is_queued,
		.is_growing = !is_queued && is_growing(info),
	};
}

struct leg_way
leg_way_look(int fd)
{
	struct tcp_info info = { 0 };

	if (!read_info(fd, &info))
		return (struct leg_way){ 0 };
	struct leg_way way = leg_way_of(&info);
	way.is_growing = way.is_growing && may_grow(fd);
	return way;
}
