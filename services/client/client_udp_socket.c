/* client_udp_socket: see the header. Reads and writes by the bundle. */
#include "client/client_udp_socket.h"

#include "net/address.h"
#include "net/udp_bundle.h"
#include "wg/datagram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ROUNDS = 8, /* a turn, then others have theirs */
	SOCKET_BUFFER_BYTES = 4 * 1024 * 1024,
};

struct client_udp_socket {
	struct loop *loop;
	struct loop_fd *watch;
	client_udp_socket_fn fn;
	void *arg;
	int fd; /* -1: closed */
	struct sockaddr_storage relay;
	struct udp_bundle_reads reads;
};

/* ---- from the relay ---- */

/* from: of either family. */
static bool
is_relay(const struct client_udp_socket *socket, const struct sockaddr_in6 *from)
{
	const struct sockaddr_in6 *relay =
		(const struct sockaddr_in6 *)(const void *)&socket->relay;
	const struct sockaddr_in *from4 = (const struct sockaddr_in *)(const void *)from;
	const struct sockaddr_in *relay4 = (const struct sockaddr_in *)(const void *)relay;

	if (from->sin6_family != relay->sin6_family)
		return false;
	if (from->sin6_family == AF_INET)
		return from4->sin_port == relay4->sin_port &&
		       from4->sin_addr.s_addr == relay4->sin_addr.s_addr;
	return from->sin6_port == relay->sin6_port &&
	       IN6_ARE_ADDR_EQUAL(&from->sin6_addr, &relay->sin6_addr);
}

static void
on_read(struct msghdr *header, const uint8_t *bytes, size_t n, size_t segment, void *arg)
{
	struct client_udp_socket *socket = arg;

	if (n > 0 && is_relay(socket, header->msg_name) &&
	    datagram_check(bytes, n < segment ? n : segment) >= 0)
		socket->fn(bytes, n, segment, socket->arg);
}

static void
on_readable(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct client_udp_socket *socket = arg;
	int more = 1;

	(void)loop;
	(void)events;
	for (int round = 0; round < ROUNDS && more > 0; round++)
		more = udp_bundle_read(fd, &socket->reads, on_read, socket);
}

/* ---- to the relay ---- */

static bool
send_bundle(struct client_udp_socket *socket, const uint8_t *bytes, size_t n, size_t segment)
{
	struct iovec vector = { (void *)(uintptr_t)bytes, n };
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control = { .bytes = { 0 } };
	struct msghdr header = { .msg_name = &socket->relay,
				 .msg_namelen = address_socket_bytes(&socket->relay),
				 .msg_iov = &vector,
				 .msg_iovlen = 1 };

	if (n > segment) {
		header.msg_control = &control;
		udp_bundle_mark(&header, segment);
	}
	return sendmsg(socket->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

size_t
client_udp_socket_send(struct client_udp_socket *socket, const uint8_t *bytes, size_t n,
		       size_t segment)
{
	size_t count = (n + segment - 1) / segment, sent = 0;

	if (send_bundle(socket, bytes, n, segment))
		return count;
	/* Too large a bundle for the way, perhaps. */
	for (size_t at = 0; count > 1 && at < n; at += segment)
		sent += send_bundle(socket, bytes + at, n - at < segment ? n - at : segment,
				    segment);
	return sent;
}

/* ---- life ---- */

static int
open_socket(struct client_udp_socket *socket_, int family)
{
	const int omit = IP_PMTUDISC_OMIT;

	client_udp_socket_close(socket_);
	socket_->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (socket_->fd < 0)
		return -errno;
	udp_bundle_prepare(socket_->fd, SOCKET_BUFFER_BYTES);
	/* Better, not needed. WireGuard's datagrams may be cut on the way. */
	if (family == AF_INET)
		setsockopt(socket_->fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof omit);
	else
		setsockopt(socket_->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit, sizeof omit);
	return loop_fd_add(socket_->loop, socket_->fd, EPOLLIN, on_readable, socket_,
			   &socket_->watch);
}

int
client_udp_socket_aim(struct client_udp_socket *socket, const char *address, uint16_t port)
{
	struct sockaddr_storage relay;
	bool is_open = socket->fd >= 0;
	int r = address_parse_socket(address, port, &relay);

	if (r == 0 && is_open && memcmp(&relay, &socket->relay, sizeof relay) == 0)
		return 0;
	if (r == 0 && (!is_open || relay.ss_family != socket->relay.ss_family))
		r = open_socket(socket, relay.ss_family);
	if (r < 0) {
		client_udp_socket_close(socket);
		return r;
	}
	socket->relay = relay;
	return 1;
}

void
client_udp_socket_close(struct client_udp_socket *socket)
{
	loop_fd_remove(&socket->watch);
	if (socket->fd >= 0)
		close(socket->fd);
	socket->fd = -1;
}

int
client_udp_socket_new(struct loop *loop, client_udp_socket_fn fn, void *arg,
		      struct client_udp_socket **ret)
{
	struct client_udp_socket *socket = calloc(1, sizeof *socket);

	if (socket == NULL)
		return -ENOMEM;
	socket->loop = loop;
	socket->fn = fn;
	socket->arg = arg;
	socket->fd = -1;
	*ret = socket;
	return 0;
}

void
client_udp_socket_free(struct client_udp_socket **socket)
{
	if (*socket == NULL)
		return;
	client_udp_socket_close(*socket);
	free(*socket);
	*socket = NULL;
}
