/*
 * tunnel_socket: see tunnel_socket.h.
 */
#include "forwarder/tunnel_socket.h"

#include "net/udp_bundle.h"
#include "wg/datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_ROUNDS = 4, /* then others have their turn */
	SEND_MESSAGES = 16,
	BUFFER_BYTES = 4 * 1024 * 1024,
};

union send_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))];
};

struct tunnel_socket {
	int fd;
	struct loop_fd *watch;
	struct sockaddr_in wireguard;
	struct tunnel_socket_events events;
	struct metric *to_wireguard, *from_wireguard;
	struct metric *drop_shape, *drop_source, *drop_full;

	struct mmsghdr send_headers[SEND_MESSAGES];
	struct iovec send_parts[SEND_MESSAGES * UDP_BUNDLE_DATAGRAMS_MAX];
	union send_control send_controls[SEND_MESSAGES];

	struct udp_bundle_reads reads;
};

/* ---- from WireGuard ---- */

/* The address it was sent to. */
static struct in_addr
destination(struct msghdr *header)
{
	struct in_pktinfo info = { .ipi_addr.s_addr = 0 };
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			memcpy(&info, CMSG_DATA(c), sizeof info);
	return info.ipi_addr;
}

static void
read_one(struct msghdr *header, const uint8_t *bytes, size_t n, size_t segment, void *arg)
{
	struct tunnel_socket *socket = arg;
	const struct sockaddr_in *source = header->msg_name;
	struct in_addr to = destination(header);
	if (source->sin_port != socket->wireguard.sin_port ||
	    source->sin_addr.s_addr != socket->wireguard.sin_addr.s_addr || n == 0) {
		metric_add(socket->drop_source, 1);
		return;
	}
	for (size_t at = 0; at < n; at += segment) {
		size_t length = n - at < segment ? n - at : segment;
		if (datagram_check(bytes + at, length) < 0) {
			metric_add(socket->drop_shape, 1);
			continue;
		}
		metric_add(socket->from_wireguard, 1);
		socket->events.on_datagram(to, bytes + at, length, socket->events.arg);
	}
}

static void
on_readable(struct loop *loop, int fd, uint32_t ready, void *arg)
{
	(void)loop;
	(void)ready;
	struct tunnel_socket *socket = arg;
	int more = 1;
	for (int round = 0; round < READ_ROUNDS && more > 0; round++)
		more = udp_bundle_read(fd, &socket->reads, read_one, socket);
	socket->events.on_batch_end(socket->events.arg);
}

/* ---- to WireGuard ---- */

static void
send_control(struct tunnel_socket *socket, struct msghdr *header, union send_control *control,
	     struct in_addr from, size_t segment)
{
	struct in_pktinfo info = { .ipi_spec_dst = from };
	memset(control, 0, sizeof *control);
	header->msg_name = &socket->wireguard;
	header->msg_namelen = sizeof socket->wireguard;
	header->msg_control = control;
	udp_control_add(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
	if (segment != 0)
		udp_bundle_mark(header, segment);
}

static void
send_flush(struct tunnel_socket *socket, unsigned messages)
{
	unsigned done = 0;
	while (done < messages) {
		int n = sendmmsg(socket->fd, socket->send_headers + done, messages - done,
				 MSG_DONTWAIT);
		if (n > 0) {
			for (int i = 0; i < n; i++)
				metric_add(socket->to_wireguard,
					   socket->send_headers[done + (unsigned)i]
						   .msg_hdr.msg_iovlen);
			done += (unsigned)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		/* A full queue, or WireGuard is starting anew: the network loses packets too. */
		metric_add(socket->drop_full, socket->send_headers[done].msg_hdr.msg_iovlen);
		done++;
	}
}

void
tunnel_socket_send(struct tunnel_socket *socket, struct in_addr from, const struct iovec *datagrams,
		   size_t n)
{
	unsigned messages = 0;
	size_t parts = 0;
	for (size_t i = 0; i < n;) {
		if (datagram_check(datagrams[i].iov_base, datagrams[i].iov_len) < 0) {
			metric_add(socket->drop_shape, 1);
			i++;
			continue;
		}
		size_t run = 1, longest = udp_bundle_run(datagrams + i, n - i);
		while (run < longest &&
		       datagram_check(datagrams[i + run].iov_base, datagrams[i + run].iov_len) >= 0)
			run++;
		struct msghdr *header = &socket->send_headers[messages].msg_hdr;
		memcpy(&socket->send_parts[parts], datagrams + i, run * sizeof *datagrams);
		*header =
			(struct msghdr){ .msg_iov = &socket->send_parts[parts], .msg_iovlen = run };
		send_control(socket, header, &socket->send_controls[messages], from,
			     run > 1 ? datagrams[i].iov_len : 0);
		parts += run;
		i += run;
		if (++messages == SEND_MESSAGES) {
			send_flush(socket, messages);
			messages = 0;
			parts = 0;
		}
	}
	send_flush(socket, messages);
}

/* ---- life ---- */

static int
socket_open(struct tunnel_socket *socket_)
{
	int on = 1;
	struct sockaddr_in any = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	socket_->fd = fd;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof "lo") < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) < 0 ||
	    bind(fd, (const struct sockaddr *)&any, sizeof any) < 0)
		return -errno;
	udp_bundle_prepare(fd, BUFFER_BYTES);
	return 0;
}

static void
count_by(struct tunnel_socket *socket, struct metrics *metrics)
{
	static const char drops[] = "tunnel_drops_total";
	static const char drops_help[] = "Datagrams dropped between legs and WireGuard";
	socket->to_wireguard =
		metrics_counter(metrics, "tunnel_datagrams_total", "direction=\"to_wireguard\"",
				"Datagrams handed over between legs and WireGuard");
	socket->from_wireguard =
		metrics_counter(metrics, "tunnel_datagrams_total", "direction=\"from_wireguard\"",
				"Datagrams handed over between legs and WireGuard");
	socket->drop_shape = metrics_counter(metrics, drops, "reason=\"shape\"", drops_help);
	socket->drop_source = metrics_counter(metrics, drops, "reason=\"source\"", drops_help);
	socket->drop_full = metrics_counter(metrics, drops, "reason=\"full\"", drops_help);
}

int
tunnel_socket_new(struct loop *loop, struct metrics *metrics, uint16_t wireguard_port,
		  const struct tunnel_socket_events *events, struct tunnel_socket **ret)
{
	struct tunnel_socket *socket = calloc(1, sizeof *socket);
	if (!socket)
		return -ENOMEM;
	socket->fd = -1;
	socket->events = *events;
	socket->wireguard = (struct sockaddr_in){ .sin_family = AF_INET,
						  .sin_port = htons(wireguard_port),
						  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	count_by(socket, metrics);
	int r = socket_open(socket);
	if (r == 0)
		r = loop_fd_add(loop, socket->fd, EPOLLIN, on_readable, socket, &socket->watch);
	if (r < 0) {
		tunnel_socket_free(&socket);
		return r;
	}
	*ret = socket;
	return 0;
}

void
tunnel_socket_free(struct tunnel_socket **socket)
{
	if (!*socket)
		return;
	loop_fd_remove(&(*socket)->watch);
	if ((*socket)->fd >= 0)
		close((*socket)->fd);
	free(*socket);
	*socket = NULL;
}

uint16_t
tunnel_socket_port(const struct tunnel_socket *socket)
{
	struct sockaddr_in bound = { 0 };
	socklen_t n = sizeof bound;
	getsockname(socket->fd, (struct sockaddr *)&bound, &n);
	return ntohs(bound.sin_port);
}

uint64_t
tunnel_socket_drops(const struct tunnel_socket *socket)
{
	return metric_value(socket->drop_shape) + metric_value(socket->drop_source) +
	       metric_value(socket->drop_full);
}
