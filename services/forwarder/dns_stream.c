/*
 * dns_stream: see dns_stream.h. A stream is two ends; what was read from one waits in its buffer
 * until the other takes it, and nothing more is read meanwhile.
 */
#include "forwarder/dns_stream.h"

#include "forwarder/dns_upstreams.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { STREAM_LIFE_MS = 10 * 1000, BUFFER_BYTES = 4096 };

struct dns_stream;

struct stream_end {
	int fd;
	struct loop_fd *watch;
	struct dns_stream *stream;
	struct stream_end *other;
	bool is_closed; /* says nothing more */
	char buffer[BUFFER_BYTES];
	size_t at, n; /* read here, not yet written there */
};

struct dns_stream {
	struct dns_streams *streams;
	struct stream_end client, upstream;
	struct loop_timer *deadline;
	bool is_used;
};

struct dns_streams {
	struct loop *loop;
	struct dns_stream all[DNS_STREAMS_MAX];
};

static void
end_close(struct stream_end *end)
{
	loop_fd_remove(&end->watch);
	if (end->fd >= 0)
		close(end->fd);
	end->fd = -1;
}

static void
stream_close(struct dns_stream *stream)
{
	loop_timer_stop(&stream->deadline);
	end_close(&stream->client);
	end_close(&stream->upstream);
	stream->is_used = false;
}

static void
on_deadline(struct loop *loop, void *arg)
{
	(void)loop;
	struct dns_stream *stream = arg;
	stream->deadline = NULL;
	stream_close(stream);
}

/* 0, or -errno when the stream is over. */
static int
end_move(struct stream_end *from)
{
	struct stream_end *to = from->other;
	if (from->n == 0 && !from->is_closed) {
		ssize_t n = read(from->fd, from->buffer, sizeof from->buffer);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n == 0) {
			from->is_closed = true;
			shutdown(to->fd, SHUT_WR);
		}
		from->at = 0;
		from->n = n > 0 ? (size_t)n : 0;
	}
	if (from->n > 0) {
		ssize_t n = send(to->fd, from->buffer + from->at, from->n, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			from->at += (size_t)n;
			from->n -= (size_t)n;
		}
	}
	return 0;
}

static int
end_watch(struct stream_end *end)
{
	uint32_t wanted = 0;
	if (end->n == 0 && !end->is_closed)
		wanted |= EPOLLIN;
	if (end->other->n > 0)
		wanted |= EPOLLOUT;
	return loop_fd_set(end->watch, wanted);
}

static void
on_ready(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop;
	(void)fd;
	struct dns_stream *stream = ((struct stream_end *)arg)->stream;
	bool failed = (events & EPOLLERR) || end_move(&stream->client) < 0 ||
		      end_move(&stream->upstream) < 0;
	bool over = stream->client.is_closed && stream->upstream.is_closed &&
		    stream->client.n == 0 && stream->upstream.n == 0;
	/* A resolver that hung up has said all. */
	over = over || (stream->upstream.is_closed && stream->upstream.n == 0);
	if (failed || over || end_watch(&stream->client) < 0 || end_watch(&stream->upstream) < 0)
		stream_close(stream);
}

static int
upstream_connect(const struct sockaddr_storage *address, int *ret_fd)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, dns_upstream_length(address)) < 0 &&
	    errno != EINPROGRESS) {
		int r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int
dns_streams_join(struct dns_streams *streams, int client_fd,
		 const struct sockaddr_storage *upstream)
{
	struct dns_stream *stream = streams->all;
	while (stream < streams->all + DNS_STREAMS_MAX && stream->is_used)
		stream++;
	if (stream == streams->all + DNS_STREAMS_MAX) {
		close(client_fd);
		return -ENOSPC;
	}
	*stream = (struct dns_stream){ .streams = streams, .is_used = true };
	stream->client = (struct stream_end){ .fd = client_fd,
					      .stream = stream,
					      .other = &stream->upstream };
	stream->upstream =
		(struct stream_end){ .fd = -1, .stream = stream, .other = &stream->client };
	int r = upstream_connect(upstream, &stream->upstream.fd);
	if (r == 0)
		r = loop_fd_add(streams->loop, client_fd, EPOLLIN, on_ready, &stream->client,
				&stream->client.watch);
	if (r == 0)
		r = loop_fd_add(streams->loop, stream->upstream.fd, EPOLLIN, on_ready,
				&stream->upstream, &stream->upstream.watch);
	if (r == 0)
		r = loop_timer_start(streams->loop, STREAM_LIFE_MS, 0, on_deadline, stream,
				     &stream->deadline);
	if (r < 0)
		stream_close(stream);
	return r;
}

int
dns_streams_new(struct loop *loop, struct dns_streams **ret)
{
	struct dns_streams *streams = calloc(1, sizeof *streams);
	if (!streams)
		return -ENOMEM;
	streams->loop = loop;
	*ret = streams;
	return 0;
}

void
dns_streams_free(struct dns_streams **streams)
{
	if (!*streams)
		return;
	for (size_t i = 0; i < DNS_STREAMS_MAX; i++)
		if ((*streams)->all[i].is_used)
			stream_close(&(*streams)->all[i]);
	free(*streams);
	*streams = NULL;
}
