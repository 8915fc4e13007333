/*
 * udp_bundle: datagrams that the kernel gives and takes as one (UDP_GRO, UDP_SEGMENT), for sockets
 * between legs, WireGuard and the network. No socket of its own. Any thread.
 */
#pragma once

#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
	UDP_BUNDLE_READ_BYTES = 64 * 1024, /* has room for any */
	UDP_BUNDLE_BYTES_MAX = 60 * 1024,
	UDP_BUNDLE_DATAGRAMS_MAX = 64, /* the kernel's UDP_MAX_SEGMENTS */
};

/* Bundles on arrival, and buffers of so many bytes: better, not needed. */
void udp_bundle_prepare(int fd, int buffer_bytes);

/* How long the datagrams in n bytes that were read are, of which the last may be shorter: n when
 * there is one. */
size_t udp_bundle_segment(struct msghdr *header, size_t n);

/* How many datagrams from the first on may be sent as one: all as long as the first, but for the
 * last, which may be shorter. n: 1 at least. */
size_t udp_bundle_run(const struct iovec *datagrams, size_t n);

/* Says that the parts of a message are datagrams, each but the last of this size. As below. */
void udp_bundle_mark(struct msghdr *header, size_t segment);

/* Adds a control message. msg_control has zeros and room, msg_controllen is what is there. */
void udp_control_add(struct msghdr *header, int level, int type, const void *value, size_t n);
