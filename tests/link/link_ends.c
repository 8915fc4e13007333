/*
 * link_ends: packet sockets that see all frames of an interface but those that it sends itself.
 */
#include "link_ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	BUFFER_BYTES = 16 << 20,
	CONTROL_BYTES =
		CMSG_SPACE(sizeof(struct tpacket_auxdata)) + CMSG_SPACE(sizeof(struct timespec)),
};

static const int64_t SEC_NS = 1000000000;

static int
set_options(int fd, unsigned index)
{
	const int one = 1, bytes = BUFFER_BYTES;
	const struct packet_mreq all = { .mr_ifindex = (int)index, .mr_type = PACKET_MR_PROMISC };

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0)
		return -errno;
	return 0;
}

int
link_end_open(struct link_end *end, const char *interface)
{
	const unsigned index = if_nametoindex(interface);
	const struct sockaddr_ll address = { .sll_family = AF_PACKET,
					     .sll_protocol = htons(ETH_P_ALL),
					     .sll_ifindex = (int)index };
	int r;

	*end = (struct link_end){ .fd = -1, .name = interface };
	if (index == 0)
		return -ENODEV;
	/* Of no protocol until it is bound: nothing of other interfaces comes in meanwhile. */
	end->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (end->fd < 0)
		return -errno;
	r = set_options(end->fd, index);
	if (r == 0 && bind(end->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	if (r < 0)
		link_end_close(end);
	return r;
}

void
link_end_close(struct link_end *end)
{
	for (unsigned i = 0; i < end->leaving_n; i++)
		free(end->leaving[i]);
	end->leaving_n = 0;
	if (end->fd >= 0)
		close(end->fd);
	end->fd = -1;
}

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * SEC_NS + t.tv_nsec;
}

/* When it came, by the kernel's clock for this, which is that of the day; 0: it does not say.
 * False: the frame lacks its checksum. */
static bool
read_control(struct msghdr *message, int64_t *ret_came_ns)
{
	bool is_whole = true;

	*ret_came_ns = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
			struct tpacket_auxdata auxdata;
			memcpy(&auxdata, CMSG_DATA(c), sizeof(auxdata));
			is_whole = (auxdata.tp_status & TP_STATUS_CSUMNOTREADY) == 0;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			struct timespec t;
			memcpy(&t, CMSG_DATA(c), sizeof(t));
			*ret_came_ns = t.tv_sec * SEC_NS + t.tv_nsec;
		}
	}
	return is_whole;
}

int
link_end_receive(struct link_end *end, link_frame_fn *on_frame, void *arg)
{
	static uint8_t bytes[LINK_BATCH][LINE_FRAME_MAX_BYTES];
	static _Alignas(struct cmsghdr) uint8_t control[LINK_BATCH][CONTROL_BYTES];
	struct iovec at[LINK_BATCH];
	struct mmsghdr messages[LINK_BATCH];

	for (unsigned i = 0; i < LINK_BATCH; i++) {
		at[i] = (struct iovec){ bytes[i], sizeof(bytes[i]) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &at[i],
						       .msg_iovlen = 1,
						       .msg_control = control[i],
						       .msg_controllen = sizeof(control[i]) };
	}
	int n = recvmmsg(end->fd, messages, LINK_BATCH, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENETDOWN ? 0 : -errno;
	const int64_t now_ns = clock_ns(CLOCK_MONOTONIC), day_ns = clock_ns(CLOCK_REALTIME);
	for (int i = 0; i < n; i++) {
		struct msghdr *header = &messages[i].msg_hdr;
		int64_t came_ns;
		if (!read_control(header, &came_ns) || (header->msg_flags & MSG_TRUNC) != 0)
			return -EPROTO;
		if (came_ns == 0 || came_ns > day_ns)
			came_ns = day_ns;
		on_frame(bytes[i], messages[i].msg_len, now_ns - (day_ns - came_ns), arg);
	}
	return n;
}

void
link_end_send(struct link_end *end, struct line_frame *frame)
{
	end->leaving[end->leaving_n++] = frame;
	if (end->leaving_n == LINK_BATCH)
		link_end_flush(end);
}

void
link_end_flush(struct link_end *end)
{
	struct iovec at[LINK_BATCH];
	struct mmsghdr messages[LINK_BATCH];

	for (unsigned i = 0; i < end->leaving_n; i++) {
		at[i] = (struct iovec){ end->leaving[i]->bytes, end->leaving[i]->n };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &at[i], .msg_iovlen = 1 };
	}
	for (unsigned sent = 0; sent < end->leaving_n;) {
		int n = sendmmsg(end->fd, messages + sent, end->leaving_n - sent, MSG_DONTWAIT);
		/* The first of them is the one that it does not take. */
		end->refused += n <= 0;
		sent += n > 0 ? (unsigned)n : 1;
	}
	for (unsigned i = 0; i < end->leaving_n; i++)
		free(end->leaving[i]);
	end->leaving_n = 0;
}

void
link_end_count_missed(struct link_end *end)
{
	struct tpacket_stats stats;
	socklen_t size = sizeof(stats);

	/* Reading resets them. */
	if (getsockopt(end->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
		end->missed += stats.tp_drops;
}

static int
turn_off(int fd, const char *interface, uint32_t command)
{
	struct ethtool_value value = { .cmd = command, .data = 0 };
	struct ifreq request = { .ifr_data = (char *)&value };

	strcpy(request.ifr_name, interface);
	return ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

int
link_end_bare(const char *interface)
{
	/* Without checksums by the interface there is no segmentation by it either; said all the
	 * same. */
	static const uint32_t commands[] = { ETHTOOL_SGRO, ETHTOOL_SGSO, ETHTOOL_STSO,
					     ETHTOOL_STXCSUM };
	int r = 0;

	if (strlen(interface) >= IFNAMSIZ || if_nametoindex(interface) == 0)
		return -ENODEV;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && r == 0; i++)
		r = turn_off(fd, interface, commands[i]);
	close(fd);
	return r;
}
