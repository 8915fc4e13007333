/*
 * udp_bundle: datagrams that the kernel gives and takes as one (UDP_GRO, UDP_SEGMENT), for sockets
 * between legs, WireGuard and the network. No socket of its own. Any thread.
 */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
	UDP_BUNDLE_READS = 16,
	UDP_BUNDLE_READ_BYTES = 64 * 1024, /* has room for any */
	UDP_BUNDLE_CONTROL_BYTES = 128,	   /* UDP_GRO's and both kinds of PKTINFO */
	UDP_BUNDLE_BYTES_MAX = 60 * 1024,
	UDP_BUNDLE_DATAGRAMS_MAX = 64, /* the kernel's UDP_MAX_SEGMENTS */
};

/* Bundles on arrival, and buffers of so many bytes: better, not needed. */
void udp_bundle_prepare(int fd, int buffer_bytes);

/* Room for what one system call reads, so large that its owner has it in a struct of its own. */
struct udp_bundle_reads {
	struct mmsghdr headers[UDP_BUNDLE_READS];
	struct iovec parts[UDP_BUNDLE_READS];
	struct sockaddr_in6 sources[UDP_BUNDLE_READS]; /* or _in */
	union {
		struct cmsghdr align;
		uint8_t bytes[UDP_BUNDLE_CONTROL_BYTES];
	} controls[UDP_BUNDLE_READS];
	uint8_t bytes[UDP_BUNDLE_READS][UDP_BUNDLE_READ_BYTES];
};

/* n bytes from one source: datagrams of `segment` bytes, the last perhaps shorter. header: its
 * msg_name says from where, its control messages what the socket was asked to tell. Borrowed. */
typedef void (*udp_bundle_fn)(struct msghdr *header, const uint8_t *bytes, size_t n, size_t segment,
			      void *arg);

/* Reads what is there, without waiting, by one system call. Returns whether there may be more; 0 or
 * -errno otherwise. */
int udp_bundle_read(int fd, struct udp_bundle_reads *reads, udp_bundle_fn fn, void *arg);

/* How many datagrams from the first on may be sent as one: all as long as the first, but for the
 * last, which may be shorter. n: 1 at least. */
size_t udp_bundle_run(const struct iovec *datagrams, size_t n);

/* Says that the parts of a message are datagrams, each but the last of this size. As below. */
void udp_bundle_mark(struct msghdr *header, size_t segment);

/* Adds a control message. msg_control has zeros and room, msg_controllen is what is there. */
void udp_control_add(struct msghdr *header, int level, int type, const void *value, size_t n);
