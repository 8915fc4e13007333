/*
 * gateway_connection_out: from libmicrohttpd to the peer: answers, refusals of our own, ends; see
 * gateway_connection.h.
 */
#include "gateway/gateway_answer.h"
#include "gateway/gateway_listener_inside.h"
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
	LINGER_MAX_BYTES = 8 * 1024 * 1024,
	REFUSAL_MAX_BYTES = 2048,
};

void
gateway_connection_enter(struct gateway_connection *connection, enum gateway_phase phase)
{
	const struct gateway_listener_options *options = &connection->listener->options;
	int64_t now_ms = loop_now_ms(connection->listener->loop), limit_ms = LINGER_MS;
	if (connection->peer.fd < 0)
		return; /* nobody waits for anything */
	if (phase == PHASE_HEAD)
		limit_ms = options->head_ms;
	else if (phase == PHASE_REQUEST)
		limit_ms = options->body_ms;
	else if (phase == PHASE_ANSWER)
		limit_ms = options->answer_ms;
	connection->phase = phase;
	connection->deadline_ms = phase == PHASE_TUNNEL ? INT64_MAX : now_ms + limit_ms;
}

static void
leave_server(struct gateway_connection *connection)
{
	loop_fd_remove(&connection->server_watch);
	if (connection->server >= 0)
		close(connection->server);
	connection->server = -1;
}

static void
rest_free(struct gateway_rest *rest)
{
	free(rest->bytes);
	*rest = (struct gateway_rest){ 0 };
}

static void
connection_free(struct gateway_connection *connection)
{
	gateway_listener_remove(connection->listener, connection);
	free(connection);
}

void
gateway_connection_close(struct gateway_connection *connection)
{
	loop_fd_remove(&connection->peer_watch);
	if (connection->peer.ssl != NULL && connection->phase != PHASE_LINGER)
		gateway_stream_end(&connection->peer);
	gateway_stream_fini(&connection->peer);
	leave_server(connection);
	free(connection->kept);
	connection->kept = NULL;
	connection->kept_n = 0;
	rest_free(&connection->up);
	rest_free(&connection->down);
	connection->deadline_ms = INT64_MAX;
	if (!connection->is_served)
		connection_free(connection);
}

void
gateway_connection_released(struct gateway_connection *connection)
{
	connection->is_served = false;
	if (connection->peer.fd < 0)
		connection_free(connection);
}

/* libmicrohttpd waits while the peer takes nothing: its hangup cannot be masked out, only not be
 * watched. */
static void
pause_server(struct gateway_connection *connection, bool pause)
{
	if (pause)
		loop_fd_remove(&connection->server_watch);
	else if (connection->server >= 0 && connection->server_watch == NULL)
		(void)loop_fd_add(connection->listener->loop, connection->server,
				  connection->server_events, gateway_connection_on_server,
				  connection, &connection->server_watch);
}

/* What it does not take is kept. false: it is gone, and the connection closed. */
static bool
send_to_peer(struct gateway_connection *connection, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = gateway_stream_write(&connection->peer, bytes, n);
		if (sent == -EAGAIN)
			break;
		if (sent < 0) {
			gateway_connection_close(connection);
			return false;
		}
		bytes += sent;
		n -= (size_t)sent;
	}
	if (n == 0)
		return true;
	connection->down = (struct gateway_rest){ .bytes = malloc(n), .n = n };
	if (connection->down.bytes == NULL) {
		gateway_connection_close(connection);
		return false;
	}
	memcpy(connection->down.bytes, bytes, n);
	pause_server(connection, true);
	gateway_connection_watch_peer(connection, connection->peer.waits);
	return true;
}

bool
gateway_connection_flush(struct gateway_connection *connection)
{
	struct gateway_rest *down = &connection->down;
	while (down->at < down->n) {
		ssize_t sent = gateway_stream_write(&connection->peer, down->bytes + down->at,
						    down->n - down->at);
		if (sent == -EAGAIN) {
			gateway_connection_watch_peer(connection, connection->peer.waits);
			return true;
		}
		if (sent < 0) {
			gateway_connection_close(connection);
			return false;
		}
		down->at += (size_t)sent;
	}
	rest_free(down);
	pause_server(connection, false);
	gateway_connection_watch_peer(connection, EPOLLIN);
	return true;
}

static void
settle(struct gateway_connection *connection)
{
	if (connection->down.bytes != NULL || connection->phase == PHASE_LINGER)
		return;
	if (connection->is_ending) {
		gateway_stream_end(&connection->peer);
		gateway_connection_enter(connection, PHASE_LINGER);
		gateway_connection_watch_peer(connection, EPOLLIN);
	} else if (connection->is_answered) {
		connection->is_answered = false;
		gateway_connection_enter(connection, PHASE_HEAD);
		gateway_connection_consume_kept(connection);
	}
}

void
gateway_connection_pump(struct gateway_connection *connection)
{
	char *answers = connection->listener->answers;
	ssize_t got = connection->server >= 0 ? GATEWAY_READ_BYTES : 0;
	while (connection->down.bytes == NULL && got == GATEWAY_READ_BYTES) {
		got = recv(connection->server, answers, GATEWAY_READ_BYTES, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (got <= 0) {
			leave_server(connection);
			connection->is_ending = true;
			break;
		}
		if (!send_to_peer(connection, answers, (size_t)got))
			return;
	}
	settle(connection);
}

static void
flush_up(struct gateway_connection *connection)
{
	struct gateway_rest *up = &connection->up;
	ssize_t sent = send(connection->server, up->bytes + up->at, up->n - up->at,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	connection->listener->options.fed(connection->listener->options.arg);
	if (sent < 0 && errno == EAGAIN)
		return;
	up->at += sent > 0 ? (size_t)sent : up->n - up->at;
	if (up->at < up->n)
		return;
	rest_free(up);
	gateway_connection_watch_server(connection, EPOLLIN);
	gateway_connection_watch_peer(connection, EPOLLIN);
}

void
gateway_connection_on_server(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop;
	(void)fd;
	struct gateway_connection *connection = arg;
	if (connection->up.bytes != NULL && (events & EPOLLOUT) != 0)
		flush_up(connection);
	if ((events & ~(uint32_t)EPOLLOUT) != 0)
		gateway_connection_pump(connection);
}

void
gateway_connection_answered(struct gateway_connection *connection, bool closes)
{
	if (connection->server < 0 || connection->phase == PHASE_TUNNEL)
		return;
	/* Closing, libmicrohttpd ends its side before long: that is our sign. An answer before the
	 * end of the body would leave the rest of it to be taken for a head. */
	if (connection->body.state != BODY_DONE)
		connection->is_ending = true;
	else if (!closes && !connection->closes && !connection->listener->is_draining)
		connection->is_answered = true;
	gateway_connection_pump(connection);
}

static void
count_refusal(struct gateway_listener *listener, const char *code)
{
	char label[64];
	snprintf(label, sizeof(label), "code=\"%s\"", code);
	metric_add(metrics_counter(listener->options.metrics, "heads_refused_total", label,
				   "Requests refused before libmicrohttpd saw them"),
		   1);
}

static int
refusal_text(struct gateway_listener *listener, int status, const char *code, char *text, size_t n)
{
	char trace[BUS_TRACE_BYTES];
	struct gateway_answer answer = { 0 };
	gateway_trace_make(listener->options.traces, trace);
	gateway_answer_error(&answer, status, code, NULL, trace);
	int length = snprintf(text, n,
			      "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: "
			      "%zu\r\n%sCache-Control: no-store\r\nConnection: close\r\n\r\n%s",
			      status, gateway_answer_reason(status), answer.body_bytes,
			      status == 405 ? "Allow: GET, HEAD, POST, DELETE, OPTIONS\r\n" : "",
			      answer.body != NULL ? answer.body : "");
	gateway_answer_fini(&answer);
	log_debug("head_refused", "status=%d code=%s trace=%s", status, code, trace);
	return length;
}

void
gateway_connection_refuse(struct gateway_connection *connection, int status, const char *code)
{
	char text[REFUSAL_MAX_BYTES];
	int n = refusal_text(connection->listener, status, code, text, sizeof(text));
	count_refusal(connection->listener, code);
	leave_server(connection);
	rest_free(&connection->up);
	connection->is_ending = true;
	gateway_connection_enter(connection, PHASE_ANSWER);
	if (n > 0 && (size_t)n < sizeof(text) && !send_to_peer(connection, text, (size_t)n))
		return;
	settle(connection);
}

void
gateway_connection_linger(struct gateway_connection *connection)
{
	char waste[4096];
	for (int i = 0; i < LINGER_READS_A_TURN; i++) {
		ssize_t n = recv(connection->peer.fd, waste, sizeof(waste), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n > 0)
			connection->wasted_bytes += (size_t)n;
		if (n <= 0 || connection->wasted_bytes > LINGER_MAX_BYTES) {
			gateway_connection_close(connection);
			return;
		}
	}
}

void
gateway_connection_expire(struct gateway_connection *connection)
{
	bool is_late_in =
		connection->phase == PHASE_HEAD
			? connection->kept_n > 0
			: connection->phase == PHASE_REQUEST && connection->body.state != BODY_DONE;
	if (connection->phase != PHASE_LINGER)
		metric_add(connection->listener->late, 1);
	/* Behind what the peer does not take, no answer would reach it either. */
	if (is_late_in && connection->down.bytes == NULL)
		gateway_connection_refuse(connection, 408, "timeout");
	else
		gateway_connection_close(connection);
}

void
gateway_connection_drain(struct gateway_connection *connection)
{
	if (connection->phase == PHASE_HEAD)
		gateway_connection_close(connection);
}
