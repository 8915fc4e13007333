/*
 * udp_bundle: see udp(7), and net/udp.h of the kernel for the limits.
 */
#include "net/udp_bundle.h"

#include <errno.h>
#include <netinet/udp.h>
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

/* How long the datagrams in n bytes that were read are: n when there is one. */
static size_t
segment_of(struct msghdr *header, size_t n)
{
	int size;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&size, CMSG_DATA(c), sizeof size);
			return size > 0 ? (size_t)size : n;
		}
	return n;
}

static void
prepare(struct udp_bundle_reads *reads)
{
	for (size_t i = 0; i < UDP_BUNDLE_READS; i++) {
		reads->parts[i] = (struct iovec){ reads->bytes[i], UDP_BUNDLE_READ_BYTES };
		reads->headers[i].msg_hdr =
			(struct msghdr){ .msg_name = &reads->sources[i],
					 .msg_namelen = sizeof reads->sources[i],
					 .msg_iov = &reads->parts[i],
					 .msg_iovlen = 1,
					 .msg_control = &reads->controls[i],
					 .msg_controllen = sizeof reads->controls[i] };
	}
}

int
udp_bundle_read(int fd, struct udp_bundle_reads *reads, udp_bundle_fn fn, void *arg)
{
	prepare(reads);
	int n = recvmmsg(fd, reads->headers, UDP_BUNDLE_READS, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct msghdr *header = &reads->headers[i].msg_hdr;
		size_t bytes = reads->headers[i].msg_len;

		fn(header, reads->bytes[i], bytes, segment_of(header, bytes), arg);
	}
	return n == UDP_BUNDLE_READS;
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
