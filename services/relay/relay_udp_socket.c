/*
 * relay_udp_socket: one family for both: an IPv6 socket takes IPv4, too, unless the host is an IPv4
 * address; either way addresses are in their mapped form here.
 */
#include "relay/relay_udp_socket.h"

#include "net/udp_bundle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BUFFER_BYTES = 8 * 1024 * 1024,
	CONTROL_BYTES = 128,
};

union control {
	struct cmsghdr align;
	uint8_t bytes[CONTROL_BYTES];
};

struct reading {
	relay_udp_bundle_fn fn;
	void *arg;
};

/* ---- open ---- */

static int
set_options(int fd, int family, bool is_shared)
{
	int on = 1, off = 0, omit = IP_PMTUDISC_OMIT;

	if (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
		return -errno;
	if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0 ||
	    (family == AF_INET6 &&
	     (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	      setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0)))
		return -errno;
	/* Better, not needed. Datagrams may be cut on their way: WireGuard's own are sent so, and
	 * what strangers say of a path's size is not to be believed. */
	setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof(omit));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit, sizeof(omit));
	udp_bundle_prepare(fd, BUFFER_BYTES);
	return 0;
}

static int
bind_to(int fd, const struct addrinfo *address, uint16_t *port)
{
	struct sockaddr_in6 bound = { 0 };
	socklen_t n = sizeof(bound);

	if (bind(fd, address->ai_addr, address->ai_addrlen) < 0 ||
	    getsockname(fd, (struct sockaddr *)&bound, &n) < 0)
		return -errno;
	*port = ntohs(bound.sin6_port); /* at the same place in both families */
	return 0;
}

int
relay_udp_socket_open(const char *host, bool is_shared, uint16_t *port, int *ret_fd)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_PASSIVE }, *found;
	char service[8];
	int r;

	snprintf(service, sizeof(service), "%u", *port);
	if ((r = getaddrinfo(host, service, &hints, &found)) != 0)
		return r == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL;
	int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = fd < 0 ? -errno : set_options(fd, found->ai_family, is_shared);
	if (r == 0)
		r = bind_to(fd, found, port);
	freeaddrinfo(found);
	if (r < 0 && fd >= 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

/* ---- read ---- */

static void
map(struct in6_addr *ret, const void *four)
{
	memset(ret, 0, sizeof(*ret));
	ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
	memcpy(ret->s6_addr + 12, four, 4);
}

static void
read_source(const struct sockaddr_in6 *source, struct relay_udp_tuple *ret)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)source;

	if (source->sin6_family == AF_INET)
		map(&ret->remote, &four->sin_addr);
	else
		ret->remote = source->sin6_addr;
	ret->port = source->sin6_port;
}

static void
read_control(struct msghdr *header, struct relay_udp_arrival *ret)
{
	struct in_pktinfo four;
	struct in6_pktinfo six;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&four, CMSG_DATA(c), sizeof(four));
			map(&ret->tuple.local, &four.ipi_addr);
			ret->is_broadcast = four.ipi_addr.s_addr != four.ipi_spec_dst.s_addr;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&six, CMSG_DATA(c), sizeof(six));
			if (!IN6_IS_ADDR_V4MAPPED(&six.ipi6_addr))
				ret->tuple.local = six.ipi6_addr;
		}
	}
}

static void
on_read(struct msghdr *header, const uint8_t *bytes, size_t n, size_t segment, void *arg)
{
	const struct reading *reading = arg;
	struct relay_udp_arrival arrival;

	memset(&arrival, 0, sizeof(arrival));
	read_source(header->msg_name, &arrival.tuple);
	read_control(header, &arrival);
	reading->fn(&arrival, bytes, n, segment, reading->arg);
}

int
relay_udp_socket_read(int fd, struct udp_bundle_reads *reads, relay_udp_bundle_fn fn, void *arg)
{
	struct reading reading = { fn, arg };

	return udp_bundle_read(fd, reads, on_read, &reading);
}

/* ---- send ---- */

static void
address_message(struct msghdr *header, const struct relay_udp_tuple *tuple,
		struct sockaddr_storage *to)
{
	if (IN6_IS_ADDR_V4MAPPED(&tuple->local)) {
		struct in_pktinfo from = { 0 };
		memcpy(&from.ipi_spec_dst, tuple->local.s6_addr + 12, sizeof(from.ipi_spec_dst));
		udp_control_add(header, IPPROTO_IP, IP_PKTINFO, &from, sizeof(from));
	} else {
		struct in6_pktinfo from = { .ipi6_addr = tuple->local };
		udp_control_add(header, IPPROTO_IPV6, IPV6_PKTINFO, &from, sizeof(from));
	}
	header->msg_name = to;
	header->msg_namelen = sizeof(struct sockaddr_in6);
	if (to->ss_family == AF_INET)
		header->msg_namelen = sizeof(struct sockaddr_in);
}

static void
fill_address(int fd, const struct relay_udp_tuple *tuple, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)ret;
	struct sockaddr_in *four = (struct sockaddr_in *)(void *)ret;
	int family = AF_INET6;
	socklen_t n = sizeof(family);

	memset(ret, 0, sizeof(*ret));
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n);
	ret->ss_family = (sa_family_t)family;
	six->sin6_port = tuple->port;
	if (family == AF_INET)
		memcpy(&four->sin_addr, tuple->remote.s6_addr + 12, sizeof(four->sin_addr));
	else
		six->sin6_addr = tuple->remote;
}

/* One message; -errno or 0. */
static int
send_run(int fd, const struct relay_udp_tuple *tuple, struct sockaddr_storage *to,
	 const struct iovec *datagrams, size_t n)
{
	union control control;
	struct msghdr header = { .msg_iov = (struct iovec *)(uintptr_t)datagrams,
				 .msg_iovlen = n,
				 .msg_control = &control };

	memset(&control, 0, sizeof(control));
	address_message(&header, tuple, to);
	if (n > 1)
		udp_bundle_mark(&header, datagrams[0].iov_len);
	while (sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

size_t
relay_udp_socket_send(int fd, const struct relay_udp_tuple *tuple, const struct iovec *datagrams,
		      size_t n)
{
	struct sockaddr_storage to;
	size_t sent = 0;

	fill_address(fd, tuple, &to);
	for (size_t at = 0; at < n;) {
		size_t run = udp_bundle_run(datagrams + at, n - at);
		int r = send_run(fd, tuple, &to, datagrams + at, run);

		if (r == 0) {
			sent += run;
		} else if (run > 1 && (r == -EINVAL || r == -EMSGSIZE || r == -EIO)) {
			/* They do not fit the path whole, or the device cannot: one by one. */
			for (size_t i = 0; i < run; i++)
				sent += send_run(fd, tuple, &to, datagrams + at + i, 1) == 0;
		}
		at += run;
	}
	return sent;
}
