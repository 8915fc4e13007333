/*
 * gateway_connection: from the peer to libmicrohttpd: heads, bodies, one request at a time; see the
 * header. The way back, refusals and ends are in gateway_connection_out.c.
 */
#include "gateway/gateway_listener_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READS_A_TURN = 16 };

void
gateway_connection_watch_peer(struct gateway_connection *connection, uint32_t events)
{
	if (connection->peer_watch == NULL || connection->peer_events == events)
		return;
	connection->peer_events = events;
	(void)loop_fd_set(connection->peer_watch, events);
}

void
gateway_connection_watch_server(struct gateway_connection *connection, uint32_t events)
{
	if (connection->server_watch == NULL || connection->server_events == events)
		return;
	connection->server_events = events;
	(void)loop_fd_set(connection->server_watch, events);
}

/* What is not passed on yet is kept for later. */
static bool
keep(struct gateway_connection *connection, const char *bytes, size_t n)
{
	char *kept = NULL;
	if (n > 0) {
		kept = malloc(n);
		if (kept == NULL)
			return false;
		memcpy(kept, bytes, n);
	}
	free(connection->kept);
	connection->kept = kept;
	connection->kept_n = n;
	return true;
}

/* A pair of sockets, one of them libmicrohttpd's. */
static bool
find_server(struct gateway_connection *connection)
{
	struct gateway_listener *listener = connection->listener;
	int pair[2];
	if (connection->server >= 0)
		return true;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	connection->server = pair[0];
	connection->server_events = EPOLLIN;
	if (loop_fd_add(listener->loop, pair[0], EPOLLIN, gateway_connection_on_server, connection,
			&connection->server_watch) < 0) {
		close(pair[1]);
		return false;
	}
	connection->is_served = listener->options.serve(connection, pair[1], listener->options.arg);
	return connection->is_served;
}

/* To libmicrohttpd. The pair's buffer holds the largest request, so that a rest is rare. One that
 * has closed its end has answered all the same: the bytes are nobody's. */
static bool
pass(struct gateway_connection *connection, const char *bytes, size_t n)
{
	if (n == 0 || connection->server < 0)
		return true;
	ssize_t sent = send(connection->server, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	connection->listener->options.fed(connection->listener->options.arg);
	if (sent < 0 && errno != EAGAIN)
		return true;
	size_t done = sent > 0 ? (size_t)sent : 0;
	if (done == n)
		return true;
	connection->up = (struct gateway_rest){ .bytes = malloc(n - done), .n = n - done };
	if (connection->up.bytes == NULL)
		return false;
	memcpy(connection->up.bytes, bytes + done, n - done);
	gateway_connection_watch_server(connection, EPOLLIN | EPOLLOUT);
	return true;
}

/* Only a line's end can make a head whole or bad, so that trickled bytes are not judged each. */
static bool
is_worth_judging(const struct gateway_connection *connection, const char *bytes, size_t n)
{
	size_t judged = connection->judged_n;
	return judged == 0 || n > GATE_HEAD_MAX_BYTES ||
	       memchr(bytes + judged, '\n', n - judged) != NULL;
}

/* The length of a good head; 0: not whole yet; -1: refused, or no memory. */
static long
take_head(struct gateway_connection *connection, const char *bytes, size_t n)
{
	struct gate_head head;
	struct gate_verdict verdict;
	if (n == 0 || !is_worth_judging(connection, bytes, n))
		return 0;
	long length = gateway_gate_head(bytes, n, connection->listener->options.body_max_bytes,
					&head, &verdict);
	connection->judged_n = length == 0 ? n : 0;
	if (length == 0)
		return 0;
	if (length > 0 && !find_server(connection)) {
		length = -1;
		verdict = (struct gate_verdict){ 503, "busy" };
	}
	if (length < 0) {
		gateway_connection_refuse(connection, verdict.status, verdict.code);
		return -1;
	}
	connection->closes = head.tally.closes;
	gateway_body_init(&connection->body, &head.tally);
	gateway_connection_enter(connection, PHASE_REQUEST);
	return length;
}

/* Bytes of the body, or -1: refused. */
static long
take_body(struct gateway_connection *connection, const char *bytes, size_t n)
{
	const char *content;
	size_t content_n, at = 0;
	while (at < n && connection->body.state != BODY_DONE) {
		long taken = gateway_body_take(&connection->body, bytes + at, n - at, &content,
					       &content_n);
		if (taken < 0) {
			gateway_connection_refuse(connection, 400, "chunk");
			return -1;
		}
		at += (size_t)taken;
	}
	return (long)at;
}

/* Bytes in scratch: at most one request of them goes on, and the rest is kept. false: nothing more
 * can be done here; it may be freed. */
static bool
consume(struct gateway_connection *connection, size_t n)
{
	const char *bytes = connection->listener->scratch;
	long taken = 0, more = 0;
	if (connection->phase == PHASE_HEAD)
		taken = take_head(connection, bytes, n);
	if (taken >= 0 && connection->phase != PHASE_HEAD)
		more = take_body(connection, bytes + taken, n - (size_t)taken);
	if (taken < 0 || more < 0)
		return false;
	size_t at = (size_t)(taken + more);
	if (pass(connection, bytes, at) && keep(connection, bytes + at, n - at))
		return connection->phase == PHASE_HEAD || connection->body.state != BODY_DONE;
	gateway_connection_close(connection);
	return false;
}

static size_t
fetch_kept(struct gateway_connection *connection)
{
	if (connection->kept_n > 0)
		memcpy(connection->listener->scratch, connection->kept, connection->kept_n);
	return connection->kept_n;
}

static void
receive(struct gateway_connection *connection)
{
	char *scratch = connection->listener->scratch;
	for (int i = 0; i < READS_A_TURN && connection->up.bytes == NULL; i++) {
		size_t n = fetch_kept(connection);
		size_t room = GATEWAY_READ_BYTES - n;
		ssize_t got = gateway_stream_read(&connection->peer, scratch + n, room);
		if (got == -EAGAIN)
			break;
		if (got <= 0) {
			gateway_connection_close(connection);
			return;
		}
		if (!consume(connection, n + (size_t)got))
			return;
		if ((size_t)got < room && !gateway_stream_has_pending(&connection->peer))
			break;
	}
	gateway_connection_watch_peer(connection,
				      connection->up.bytes == NULL ? connection->peer.waits : 0);
}

void
gateway_connection_consume_kept(struct gateway_connection *connection)
{
	size_t n = fetch_kept(connection);
	if (n > 0 && !consume(connection, n))
		return;
	if (gateway_stream_has_pending(&connection->peer))
		receive(connection);
	else
		gateway_connection_watch_peer(connection, EPOLLIN);
}

/* Another protocol: bytes as they come. */
static void
tunnel(struct gateway_connection *connection)
{
	char *scratch = connection->listener->scratch;
	ssize_t got = gateway_stream_read(&connection->peer, scratch, GATEWAY_READ_BYTES);
	if (got == -EAGAIN)
		return;
	if (got <= 0 || !pass(connection, scratch, (size_t)got) || connection->server < 0) {
		gateway_connection_close(connection);
		return;
	}
	gateway_connection_watch_peer(connection, connection->up.bytes == NULL ? EPOLLIN : 0);
}

static bool
wants_bytes(const struct gateway_connection *connection)
{
	return connection->phase == PHASE_HEAD || connection->body.state != BODY_DONE;
}

static void
on_peer(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop;
	(void)fd;
	struct gateway_connection *connection = arg;
	if (connection->phase == PHASE_LINGER)
		gateway_connection_linger(connection);
	else if (connection->down.bytes != NULL && !gateway_connection_flush(connection))
		return;
	else if (connection->down.bytes != NULL)
		return; /* one thing after the other */
	else if (connection->is_ending || connection->is_answered)
		gateway_connection_pump(connection);
	else if (connection->phase == PHASE_TUNNEL)
		tunnel(connection);
	else if (wants_bytes(connection))
		receive(connection);
	else if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		gateway_connection_close(connection);
	else
		gateway_connection_watch_peer(connection, 0); /* not before the answer */
}

static bool
start(struct gateway_connection *connection)
{
	gateway_connection_enter(connection, PHASE_HEAD);
	connection->peer_events = EPOLLIN;
	return loop_fd_add(connection->listener->loop, connection->peer.fd, EPOLLIN, on_peer,
			   connection, &connection->peer_watch) == 0;
}

void
gateway_connection_new(struct gateway_listener *listener, int fd, const struct in6_addr *address,
		       const struct in6_addr *network)
{
	struct gateway_connection *connection = calloc(1, sizeof(*connection));
	if (connection == NULL || gateway_stream_init(&connection->peer, fd, listener->tls) < 0) {
		free(connection);
		close(fd);
		return;
	}
	connection->listener = listener;
	connection->server = -1;
	connection->address = *address;
	connection->network = *network;
	gateway_listener_add(listener, connection);
	if (!start(connection))
		gateway_connection_close(connection);
}

const struct in6_addr *
gateway_connection_peer(const struct gateway_connection *connection)
{
	return &connection->address;
}
