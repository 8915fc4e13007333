/*
 * gateway_connection: one connection before libmicrohttpd has it, and its deadlines while it has;
 * see gateway_listener.h.
 */
#include "gateway/gateway_listener_inside.h"

#include "gateway/gateway_answer.h"
#include "gateway/gateway_trace.h"
#include "log/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LINGER_MS = 1000,
	LINGER_READS_A_TURN = 16,
	REFUSAL_MAX_BYTES = 2048,
};

struct gateway_connection *
gateway_connection_new(struct gateway_listener *listener, int fd,
		       const struct sockaddr_storage *from)
{
	struct gateway_connection *connection = calloc(1, sizeof(*connection));
	if (connection == NULL)
		return NULL;
	connection->listener = listener;
	connection->fd = fd;
	gateway_listener_address(from, &connection->address, &connection->port);
	connection->next = listener->connections;
	if (connection->next != NULL)
		connection->next->previous = connection;
	listener->connections = connection;
	listener->connections_n++;
	metric_set(listener->open, (double)listener->connections_n);
	return connection;
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
	gateway_listener_tell_if_drained(listener);
}

void
gateway_connection_close(struct gateway_connection *connection)
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
	/* No edges any more: what is left unread in one turn comes again. */
	loop_fd_set(connection->watch, EPOLLIN | EPOLLRDHUP);
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
		if (n <= 0) {
			gateway_connection_close(connection);
			return;
		}
	}
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
		gateway_connection_close(connection);
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
		gateway_connection_close(connection);
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

void
gateway_connection_start(struct gateway_connection *connection)
{
	struct gateway_listener *listener = connection->listener;
	if (!listener->options.peeks) {
		gateway_connection_enter(connection, PHASE_HEAD);
		listener->options.take(connection, listener->options.arg);
		return;
	}
	gateway_connection_enter(connection, PHASE_PEEK);
	/* Edges: bytes that were only peeked at stay readable. */
	if (loop_fd_add(listener->loop, connection->fd, EPOLLIN | EPOLLRDHUP | EPOLLET,
			connection_on_ready, connection, &connection->watch) < 0)
		gateway_connection_close(connection);
}

void
gateway_connection_expire(struct gateway_connection *connection)
{
	struct gateway_listener *listener = connection->listener;
	if (connection->phase == PHASE_LINGER) {
		gateway_connection_close(connection);
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
