/*
 * gateway_listener: accepts, counts and reaps connections; see the header.
 */
#include "gateway/gateway_listener_inside.h"

#include "gateway/gateway_limits.h"
#include "identity/mac.h"
#include "net/address.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPTS_A_TURN = 64,
	BACKLOG = 512,
	REAP_PERIOD_MS = 100,
	DRAIN_MS = 10 * 1000, /* longer than a call on the bus */
};

static void
listener_pause(struct gateway_listener *listener, bool pause)
{
	if (listener->watch == NULL || listener->is_paused == pause)
		return;
	listener->is_paused = pause;
	loop_fd_set(listener->watch, pause ? 0 : EPOLLIN);
}

static void
tell_if_drained(struct gateway_listener *listener)
{
	loop_fn fn = listener->drained;
	if (fn == NULL || listener->connections_n > 0)
		return;
	listener->drained = NULL;
	fn(listener->loop, listener->drained_arg);
}

/* Mapped to IPv6. */
static void
address_read(const struct sockaddr_storage *from, struct in6_addr *ret, uint16_t *ret_port)
{
	*ret = in6addr_any;
	*ret_port = 0;
	if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)from;
		*ret = in6->sin6_addr;
		*ret_port = ntohs(in6->sin6_port);
	} else if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)from;
		ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
		memcpy(ret->s6_addr + 12, &in4->sin_addr, sizeof(in4->sin_addr));
		*ret_port = ntohs(in4->sin_port);
	}
}

/* Seeded, so that nobody can choose networks that meet in one. */
static struct gateway_connections *
bucket_of(struct gateway_listener *listener, const struct in6_addr *network)
{
	uint64_t high, low;
	memcpy(&high, network->s6_addr, sizeof(high));
	memcpy(&low, network->s6_addr + 8, sizeof(low));
	uint64_t hash = (high ^ listener->bucket_seed) * 0x9e3779b97f4a7c15u;
	hash = (hash ^ (hash >> 29) ^ low) * 0xbf58476d1ce4e5b9u;
	return &listener->buckets[(hash >> 32) % GATEWAY_ADDRESS_BUCKETS];
}

void
gateway_listener_add(struct gateway_listener *listener, struct gateway_connection *connection)
{
	LIST_INSERT_HEAD(bucket_of(listener, &connection->network), connection, of_bucket);
	LIST_INSERT_HEAD(&listener->connections, connection, of_all);
	listener->connections_n++;
	metric_set(listener->open, (double)listener->connections_n);
}

void
gateway_listener_remove(struct gateway_listener *listener, struct gateway_connection *connection)
{
	LIST_REMOVE(connection, of_bucket);
	LIST_REMOVE(connection, of_all);
	listener->connections_n--;
	metric_set(listener->open, (double)listener->connections_n);
	tell_if_drained(listener);
}

static bool
network_has_room(struct gateway_listener *listener, const struct in6_addr *network,
		 const struct in6_addr *address)
{
	size_t n = 0;
	const struct gateway_connection *c;
	LIST_FOREACH (c, bucket_of(listener, network), of_bucket)
		n += IN6_ARE_ADDR_EQUAL(&c->network, network) ? 1 : 0;
	return n < listener->options.connections_per_address ||
	       gateway_limits_is_proxy(listener->options.limits, address);
}

static void
listener_admit(struct gateway_listener *listener, int fd, const struct sockaddr_storage *from)
{
	struct in6_addr address;
	uint16_t port;
	int on = 1;
	address_read(from, &address, &port);
	struct in6_addr network = gateway_limits_network(&address);
	metric_add(listener->accepted, 1);
	if (!network_has_room(listener, &network, &address)) {
		metric_add(listener->refused_address, 1);
		close(fd);
		return;
	}
	/* An answer is one write: it need not wait for another. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	gateway_connection_new(listener, fd, &address, &network);
}

static void
listener_on_ready(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop;
	(void)events;
	struct gateway_listener *listener = arg;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t from_bytes = sizeof(from);
		if (listener->connections_n >= listener->options.connections_max) {
			listener_pause(listener, true);
			return;
		}
		int client = accept4(fd, (struct sockaddr *)&from, &from_bytes,
				     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client >= 0) {
			listener_admit(listener, client, &from);
			continue;
		}
		/* Out of descriptors or memory: the reaper lets us try again. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			listener_pause(listener, true);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static void
listener_reap(struct loop *loop, void *arg)
{
	struct gateway_listener *listener = arg;
	int64_t now_ms = loop_now_ms(loop);
	struct gateway_connection *next;
	for (struct gateway_connection *c = LIST_FIRST(&listener->connections); c != NULL;
	     c = next) {
		next = LIST_NEXT(c, of_all); /* only c itself goes */
		if (now_ms >= c->deadline_ms)
			gateway_connection_expire(c);
	}
	if (listener->connections_n < listener->options.connections_max)
		listener_pause(listener, false);
}

/* [::] hears IPv4 as well. */
static int
listener_bind(struct gateway_listener *listener)
{
	struct sockaddr_storage to;
	int off = 0, on = 1;
	int r = address_parse_socket(listener->options.host, listener->options.port, &to);
	if (r < 0)
		return r;
	socklen_t to_bytes = address_socket_bytes(&to);
	listener->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd < 0)
		return -errno;
	setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener->fd, (const struct sockaddr *)&to, to_bytes) < 0 ||
	    listen(listener->fd, BACKLOG) < 0 ||
	    getsockname(listener->fd, (struct sockaddr *)&to, &to_bytes) < 0)
		return -errno;
	struct in6_addr address;
	address_read(&to, &address, &listener->port);
	return 0;
}

int
gateway_listener_open(struct loop *loop, const struct gateway_listener_options *options,
		      struct gateway_listener **ret)
{
	struct gateway_listener *listener = calloc(1, sizeof(*listener));
	if (listener == NULL)
		return -ENOMEM;
	listener->loop = loop;
	listener->options = *options;
	listener->fd = -1;
	(void)!mac_random((uint8_t *)&listener->bucket_seed, sizeof(listener->bucket_seed));
	listener->accepted = metrics_counter(options->metrics, "connections_total", NULL,
					     "Connections accepted");
	listener->refused_address =
		metrics_counter(options->metrics, "connections_refused_total", NULL,
				"Connections over the limit of their address");
	listener->late = metrics_counter(options->metrics, "connections_late_total", NULL,
					 "Connections ended at a deadline");
	listener->open =
		metrics_gauge(options->metrics, "connections", NULL, "Connections open now");
	int r = listener_bind(listener);
	if (r == 0)
		r = loop_fd_add(loop, listener->fd, EPOLLIN, listener_on_ready, listener,
				&listener->watch);
	if (r == 0)
		r = loop_timer_start(loop, REAP_PERIOD_MS, REAP_PERIOD_MS, listener_reap, listener,
				     &listener->reaper);
	if (r < 0)
		gateway_listener_close(&listener);
	*ret = listener;
	return r;
}

static void
listener_stop_accepting(struct gateway_listener *listener)
{
	loop_fd_remove(&listener->watch);
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

void
gateway_listener_close(struct gateway_listener **listener)
{
	struct gateway_listener *l = *listener;
	if (l == NULL)
		return;
	l->drained = NULL;
	listener_stop_accepting(l);
	while (!LIST_EMPTY(&l->connections))
		gateway_connection_close(LIST_FIRST(&l->connections));
	loop_timer_stop(&l->reaper);
	SSL_CTX_free(l->tls);
	free(l);
	*listener = NULL;
}

void
gateway_listener_set_tls(struct gateway_listener *listener, SSL_CTX **context)
{
	SSL_CTX_free(listener->tls); /* connections hold it as long as they need it */
	listener->tls = *context;
	*context = NULL;
}

uint16_t
gateway_listener_port(const struct gateway_listener *listener)
{
	return listener->port;
}

void
gateway_listener_drain(struct gateway_listener *listener, loop_fn fn, void *arg)
{
	int64_t soon_ms = loop_now_ms(listener->loop) + DRAIN_MS;
	struct gateway_connection *next;
	listener->is_draining = true;
	listener_stop_accepting(listener);
	for (struct gateway_connection *c = LIST_FIRST(&listener->connections); c != NULL;
	     c = next) {
		next = LIST_NEXT(c, of_all); /* only c itself goes */
		if (c->deadline_ms > soon_ms && c->peer.fd >= 0)
			c->deadline_ms = soon_ms;
		gateway_connection_drain(c);
	}
	listener->drained = fn;
	listener->drained_arg = arg;
	tell_if_drained(listener);
}
