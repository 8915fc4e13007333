/*
 * gateway_listener: connections, their first bytes and their deadlines; see the header.
 */
#include "gateway/gateway_listener.h"

#include "gateway/gateway_answer.h"
#include "gateway/gateway_gate.h"
#include "gateway/gateway_limits.h"
#include "gateway/gateway_trace.h"
#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPTS_A_TURN = 64,
	BACKLOG = 512,
	REAP_PERIOD_MS = 100,
	LINGER_MS = 1000,
	LINGER_READS_A_TURN = 16,
	DRAIN_MS = 5000,
	REFUSAL_MAX_BYTES = 2048,
};

struct gateway_listener {
	struct loop *loop;
	struct gateway_listener_options options;
	int fd;
	uint16_t port;
	struct loop_fd *watch;
	bool is_paused; /* full, or out of descriptors */
	struct loop_timer *reaper;
	struct gateway_connection *connections;
	size_t connections_n;
	loop_fn drained;
	void *drained_arg;
	struct metric *accepted, *refused_address, *late, *open;
	char peeked[GATE_HEAD_MAX_BYTES + 1];
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
listener_tell_if_drained(struct gateway_listener *listener)
{
	loop_fn fn = listener->drained;
	if (fn == NULL || listener->connections_n > 0)
		return;
	listener->drained = NULL;
	fn(listener->loop, listener->drained_arg);
}

static void
connection_free(struct gateway_connection *connection)
{
	struct gateway_listener *listener = connection->listener;
	loop_fd_remove(&connection->watch);
	if (connection->previous != NULL)
		connection->previous->next = connection->next;
	else
		listener->connections = connection->next;
	if (connection->next != NULL)
		connection->next->previous = connection->previous;
	listener->connections_n--;
	metric_set(listener->open, (double)listener->connections_n);
	free(connection);
}

void
gateway_connection_closed(struct gateway_connection *connection)
{
	struct gateway_listener *listener = connection->listener;
	connection_free(connection);
	listener_tell_if_drained(listener);
}

/* Only while it is ours. */
static void
connection_close(struct gateway_connection *connection)
{
	loop_fd_remove(&connection->watch);
	close(connection->fd);
	gateway_connection_closed(connection);
}

void
gateway_connection_enter(struct gateway_connection *connection, enum gateway_phase phase)
{
	const struct gateway_listener_options *options = &connection->listener->options;
	int64_t limit_ms = LINGER_MS;
	if (phase == PHASE_PEEK || phase == PHASE_HEAD)
		limit_ms = options->head_ms;
	else if (phase == PHASE_BODY)
		limit_ms = options->body_ms;
	else if (phase == PHASE_ANSWER)
		limit_ms = options->answer_ms;
	connection->phase = phase;
	connection->deadline_ms = loop_now_ms(connection->listener->loop) + limit_ms;
}

static void
count_refusal(struct gateway_listener *listener, const char *code)
{
	char label[64];
	snprintf(label, sizeof(label), "code=\"%s\"", code);
	metric_add(metrics_counter(listener->options.metrics, "heads_refused_total", label,
				   "Requests refused by the gate, before libmicrohttpd saw them"),
		   1);
}

/* The answer is small and the send buffer empty: one send does it, or the peer goes without. */
static void
connection_refuse(struct gateway_connection *connection, int status, const char *code)
{
	char text[REFUSAL_MAX_BYTES], trace[BUS_TRACE_BYTES];
	struct gateway_answer answer = { 0 };
	gateway_trace_make(trace);
	gateway_answer_error(&answer, status, code, NULL, trace);
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: "
			 "%zu\r\n%sCache-Control: no-store\r\nConnection: close\r\n\r\n%s",
			 status, gateway_answer_reason(status), answer.body_bytes,
			 status == 405 ? "Allow: GET, HEAD, POST, DELETE, OPTIONS\r\n" : "",
			 answer.body != NULL ? answer.body : "");
	gateway_answer_fini(&answer);
	if (n > 0 && (size_t)n < sizeof(text) &&
	    send(connection->fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("refusal_unsent", "error=%s", strerror(errno));
	shutdown(connection->fd, SHUT_WR);
	count_refusal(connection->listener, code);
	log_debug("head_refused", "status=%d code=%s trace=%s", status, code, trace);
	gateway_connection_enter(connection, PHASE_LINGER);
}

/* Closing with bytes unread would reset the connection, and the peer might lose our answer. */
static void
connection_linger(struct gateway_connection *connection)
{
	char waste[4096];
	for (int i = 0; i < LINGER_READS_A_TURN; i++) {
		ssize_t n = recv(connection->fd, waste, sizeof(waste), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			break;
	}
	connection_close(connection);
}

static void
connection_peek(struct gateway_connection *connection, uint32_t events)
{
	struct gateway_listener *listener = connection->listener;
	ssize_t n = recv(connection->fd, listener->peeked, sizeof(listener->peeked),
			 MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		connection_close(connection);
		return;
	}
	struct gate_verdict verdict;
	long head = gateway_gate_head(listener->peeked, (size_t)n, listener->options.body_max_bytes,
				      &verdict);
	if (head < 0) {
		connection_refuse(connection, verdict.status, verdict.code);
		connection_linger(connection);
	} else if (head > 0) {
		loop_fd_remove(&connection->watch);
		listener->options.take(connection, listener->options.arg);
	} else if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
		connection_close(connection);
	}
}

static void
connection_on_ready(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop;
	(void)fd;
	struct gateway_connection *connection = arg;
	if (connection->phase == PHASE_PEEK)
		connection_peek(connection, events);
	else
		connection_linger(connection);
}

static void
address_of(const struct sockaddr_storage *from, struct in6_addr *ret, uint16_t *ret_port)
{
	*ret = in6addr_any;
	*ret_port = 0;
	if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)from;
		*ret = in6->sin6_addr;
		*ret_port = in6->sin6_port;
	} else if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in4 = (const struct sockaddr_in *)(const void *)from;
		ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
		memcpy(ret->s6_addr + 12, &in4->sin_addr, sizeof(in4->sin_addr));
		*ret_port = in4->sin_port;
	}
}

static bool
address_has_room(const struct gateway_listener *listener, const struct in6_addr *address)
{
	size_t n = 0;
	for (const struct gateway_connection *c = listener->connections; c != NULL; c = c->next)
		n += IN6_ARE_ADDR_EQUAL(&c->address, address) ? 1 : 0;
	return n < listener->options.connections_per_address ||
	       gateway_limits_is_proxy(listener->options.limits, address);
}

static struct gateway_connection *
connection_new(struct gateway_listener *listener, int fd, const struct sockaddr_storage *from)
{
	struct gateway_connection *connection = calloc(1, sizeof(*connection));
	if (connection == NULL)
		return NULL;
	connection->listener = listener;
	connection->fd = fd;
	address_of(from, &connection->address, &connection->port);
	connection->next = listener->connections;
	if (connection->next != NULL)
		connection->next->previous = connection;
	listener->connections = connection;
	listener->connections_n++;
	metric_set(listener->open, (double)listener->connections_n);
	return connection;
}

static void
listener_admit(struct gateway_listener *listener, int fd, const struct sockaddr_storage *from)
{
	struct in6_addr address;
	uint16_t port;
	address_of(from, &address, &port);
	metric_add(listener->accepted, 1);
	if (!address_has_room(listener, &address)) {
		metric_add(listener->refused_address, 1);
		close(fd);
		return;
	}
	struct gateway_connection *connection = connection_new(listener, fd, from);
	if (connection == NULL) {
		close(fd);
		return;
	}
	if (!listener->options.peeks) {
		gateway_connection_enter(connection, PHASE_HEAD);
		listener->options.take(connection, listener->options.arg);
		return;
	}
	gateway_connection_enter(connection, PHASE_PEEK);
	/* Edges: bytes that were only peeked at stay readable. */
	if (loop_fd_add(listener->loop, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, connection_on_ready,
			connection, &connection->watch) < 0)
		connection_close(connection);
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
connection_expire(struct gateway_connection *connection)
{
	struct gateway_listener *listener = connection->listener;
	if (connection->phase == PHASE_LINGER) {
		connection_close(connection);
		return;
	}
	metric_add(listener->late, 1);
	if (connection->phase == PHASE_PEEK) {
		connection_refuse(connection, 408, "timeout");
		connection_linger(connection);
		return;
	}
	connection->is_doomed = true;
	shutdown(connection->fd, SHUT_RDWR);
}

static void
listener_reap(struct loop *loop, void *arg)
{
	struct gateway_listener *listener = arg;
	int64_t now_ms = loop_now_ms(loop);
	struct gateway_connection *next;
	for (struct gateway_connection *c = listener->connections; c != NULL; c = next) {
		next = c->next; /* only c itself goes */
		if (now_ms >= c->deadline_ms && !c->is_doomed)
			connection_expire(c);
	}
	if (listener->connections_n < listener->options.connections_max)
		listener_pause(listener, false);
}

/* [::] hears IPv4 as well. */
static int
listen_address(const struct gateway_listener_options *options, struct sockaddr_storage *ret,
	       socklen_t *ret_bytes)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(options->port) };
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(options->port) };
	if (inet_pton(AF_INET, options->host, &in4.sin_addr) == 1) {
		memcpy(ret, &in4, sizeof(in4));
		*ret_bytes = sizeof(in4);
	} else if (inet_pton(AF_INET6, options->host, &in6.sin6_addr) == 1) {
		memcpy(ret, &in6, sizeof(in6));
		*ret_bytes = sizeof(in6);
	} else {
		return -EINVAL;
	}
	return 0;
}

static int
listener_bind(struct gateway_listener *listener)
{
	struct sockaddr_storage to = { 0 };
	socklen_t to_bytes = 0;
	int off = 0, on = 1;
	int r = listen_address(&listener->options, &to, &to_bytes);
	if (r < 0)
		return r;
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
	uint16_t port;
	address_of(&to, &address, &port);
	listener->port = ntohs(port);
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
	while (l->connections != NULL)
		connection_close(l->connections);
	loop_timer_stop(&l->reaper);
	free(l);
	*listener = NULL;
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
	listener->drained = fn;
	listener->drained_arg = arg;
	listener_stop_accepting(listener);
	for (struct gateway_connection *c = listener->connections; c != NULL; c = c->next) {
		if (c->phase == PHASE_PEEK || c->phase == PHASE_HEAD) {
			c->is_doomed = c->phase == PHASE_HEAD;
			shutdown(c->fd, SHUT_RDWR);
		}
		if (c->deadline_ms > soon_ms)
			c->deadline_ms = soon_ms;
	}
	listener_tell_if_drained(listener);
}
