/*
 * udp_bundle: see udp(7), and net/udp.h of the kernel for the limits.
 */
#include "net/udp_bundle.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>

void
udp_bundle_prepare(int fd, int buffer_bytes)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer_bytes, sizeof buffer_bytes) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
}

size_t
udp_bundle_segment(struct msghdr *header, size_t n)
{
	int size;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&size, CMSG_DATA(c), sizeof size);
			return size > 0 ? (size_t)size : n;
		}
	return n;
}

size_t
udp_bundle_run(const struct iovec *datagrams, size_t n)
{
	size_t size = datagrams[0].iov_len, total = size, i = 1;

	for (; i < n && i < UDP_BUNDLE_DATAGRAMS_MAX; i++) {
		total += datagrams[i].iov_len;
		if (datagrams[i].iov_len > size || total > UDP_BUNDLE_BYTES_MAX)
			break;
		if (datagrams[i].iov_len < size)
			return i + 1;
	}
	return i;
}

void
udp_bundle_mark(struct msghdr *header, size_t segment)
{
	uint16_t size = (uint16_t)segment;

	udp_control_add(header, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size);
}

void
udp_control_add(struct msghdr *header, int level, int type, const void *value, size_t n)
{
	uint8_t *end = (uint8_t *)header->msg_control + header->msg_controllen;
	struct cmsghdr *c = (struct cmsghdr *)(void *)end;

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), value, n);
	header->msg_controllen += CMSG_SPACE(n);
}
