/*
 * dns_listeners: see dns_listeners.h.
 */
#include "forwarder/dns_listeners.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIND_TRIES = 16, TCP_BACKLOG = 32 };

void
dns_listeners_init(struct dns_listeners *listeners)
{
	*listeners = (struct dns_listeners){ .port = 0 };
	for (int i = 0; i < DNS_LISTENERS; i++)
		listeners->fds[i] = -1;
}

static int
listen_on(struct dns_listeners *listeners, struct loop *loop,
	  const struct dns_listeners_options *options, enum dns_listener listener)
{
	bool is_ipv6 = listener == DNS_UDP6 || listener == DNS_TCP6;
	bool is_tcp = listener == DNS_TCP4 || listener == DNS_TCP6;
	int on = 1;
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(listeners->port),
				  .sin_addr = options->address4 };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(listeners->port),
				   .sin6_addr = options->address6 };
	const struct sockaddr *address = is_ipv6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
	int fd = socket(is_ipv6 ? AF_INET6 : AF_INET,
			(is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	listeners->fds[listener] = fd;
	if (is_tcp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, address, is_ipv6 ? sizeof v6 : sizeof v4) < 0 ||
	    (is_tcp && listen(fd, TCP_BACKLOG) < 0))
		return -errno;
	return loop_fd_add(loop, fd, EPOLLIN, is_tcp ? options->on_connection : options->on_query,
			   options->arg, &listeners->watches[listener]);
}

void
dns_listeners_close(struct dns_listeners *listeners)
{
	for (int i = 0; i < DNS_LISTENERS; i++) {
		loop_fd_remove(&listeners->watches[i]);
		if (listeners->fds[i] >= 0)
			close(listeners->fds[i]);
		listeners->fds[i] = -1;
	}
}

/* One port for all four: what the kernel gives the first may be taken for another. */
static int
open_once(struct dns_listeners *listeners, struct loop *loop,
	  const struct dns_listeners_options *options)
{
	struct sockaddr_in bound;
	socklen_t length = sizeof bound;
	listeners->port = 0;
	int r = listen_on(listeners, loop, options, DNS_UDP4);
	if (r < 0)
		return r;
	if (getsockname(listeners->fds[DNS_UDP4], (struct sockaddr *)&bound, &length) < 0)
		return -errno;
	listeners->port = ntohs(bound.sin_port);
	r = listen_on(listeners, loop, options, DNS_TCP4);
	if (r == 0)
		r = listen_on(listeners, loop, options, DNS_UDP6);
	if (r == 0)
		r = listen_on(listeners, loop, options, DNS_TCP6);
	if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT)
		r = 0; /* no IPv6 on this interface */
	return r;
}

int
dns_listeners_open(struct dns_listeners *listeners, struct loop *loop,
		   const struct dns_listeners_options *options)
{
	int r = -EADDRINUSE;
	for (int tries = 0; tries < BIND_TRIES && r == -EADDRINUSE; tries++) {
		dns_listeners_close(listeners);
		r = open_once(listeners, loop, options);
	}
	return r;
}

enum dns_listener
dns_listener_of(const struct dns_listeners *listeners, int fd)
{
	int listener = DNS_UDP4;
	while (listener < DNS_TCP6 && listeners->fds[listener] != fd)
		listener++;
	return (enum dns_listener)listener;
}
