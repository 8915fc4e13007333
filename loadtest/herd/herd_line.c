/* herd_line: see the header. What comes is read into one buffer of the process; only the beginning
 * of a frame that is not whole is kept. */
#include "herd_line.h"

#include "herd_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	READ_BYTES = 128 * 1024,
	OUT_MAX_BYTES = 256 * 1024,
	HEADER_MAX_BYTES = 8,
	OPCODE_BINARY = 2,
	OPCODE_CLOSE = 8,
	OPCODE_PING = 9,
};

static const uint8_t mask[4] = { 0x5a, 0x17, 0xc3, 0x88 };
static uint8_t arena[READ_BYTES * 2];

void
herd_line_init(struct herd_line *line, int epoll_fd, const struct herd_events *events, void *owner)
{
	memset(line, 0, sizeof(*line));
	line->events = events;
	line->owner = owner;
	line->epoll_fd = epoll_fd;
	line->fd = -1;
}

static void
watch(struct herd_line *line, int how)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = line };

	if (line->wants_out || line->out_n > 0 || line->state == HERD_CONNECTING)
		event.events |= EPOLLOUT;
	epoll_ctl(line->epoll_fd, how, line->fd, &event);
}

void
herd_line_open(struct herd_line *line, uint16_t port, const char *id, const char *ticket)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1;

	line->id = id;
	line->ticket = ticket;
	line->port = port;
	line->is_failed = line->is_resumed = false;
	line->state = HERD_CONNECTING;
	line->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (line->fd < 0) {
		perror("socket");
		exit(1);
	}
	setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* A refusal at once comes as an event as well. */
	(void)connect(line->fd, (struct sockaddr *)&address, sizeof(address));
	watch(line, EPOLL_CTL_ADD);
}

void
herd_line_close(struct herd_line *line)
{
	herd_wire_close(line);
	free(line->in);
	free(line->out);
	line->in = line->out = NULL;
	line->in_n = line->out_n = line->in_capacity = line->out_capacity = 0;
	line->state = HERD_IDLE;
	line->wants_out = false;
}

static void
down(struct herd_line *line, unsigned code)
{
	herd_line_close(line);
	line->events->on_down(line, code);
}

/* ---- out ---- */

static bool
keep_out(struct herd_line *line, const uint8_t *bytes, size_t n)
{
	if (line->out_n + n > line->out_capacity) {
		size_t capacity = line->out_n + n + 1024;
		uint8_t *larger = realloc(line->out, capacity);

		if (larger == NULL)
			return false;
		line->out = larger;
		line->out_capacity = capacity;
	}
	memcpy(line->out + line->out_n, bytes, n);
	line->out_n += n;
	return true;
}

static void
write_bytes(struct herd_line *line, const uint8_t *bytes, size_t n)
{
	ssize_t put = line->out_n == 0 ? herd_wire_write(line, bytes, n) : 0;

	if (put < 0) {
		line->is_failed = true; /* epoll says so again */
		return;
	}
	if ((size_t)put < n && keep_out(line, bytes + put, n - (size_t)put))
		watch(line, EPOLL_CTL_MOD);
}

static bool
flush_out(struct herd_line *line)
{
	ssize_t put = line->out_n > 0 ? herd_wire_write(line, line->out, line->out_n) : 0;

	if (put < 0)
		return false;
	line->out_n -= (size_t)put;
	memmove(line->out, line->out + put, line->out_n);
	if (line->out_n == 0) {
		free(line->out);
		line->out = NULL;
		line->out_capacity = 0;
		line->wants_out = false;
	}
	watch(line, EPOLL_CTL_MOD);
	return true;
}

static void
send_frame(struct herd_line *line, uint8_t opcode, uint8_t *payload, size_t n)
{
	static uint8_t frame[HEADER_MAX_BYTES + 64 * 1024];
	size_t header = 2;

	frame[0] = 0x80 | opcode;
	if (n < 126) {
		frame[1] = 0x80 | (uint8_t)n;
	} else {
		frame[1] = 0x80 | 126;
		frame[2] = (uint8_t)(n >> 8);
		frame[3] = (uint8_t)n;
		header = 4;
	}
	memcpy(frame + header, mask, sizeof(mask));
	header += sizeof(mask);
	for (size_t i = 0; i < n; i++)
		frame[header + i] = payload[i] ^ mask[i & 3];
	write_bytes(line, frame, header + n);
}

void
herd_line_send(struct herd_line *line, uint8_t *message, size_t n)
{
	if (line->state == HERD_UP && line->out_n < OUT_MAX_BYTES)
		send_frame(line, OPCODE_BINARY, message, n);
}

/* ---- in ---- */

static void
ask_upgrade(struct herd_line *line)
{
	char request[1024];
	int n = snprintf(request, sizeof(request),
			 "GET /relay/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
			 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
			 "Sec-WebSocket-Protocol: higgs.v1\r\nAuthorization: Bearer %s\r\n\r\n",
			 line->id, line->ticket);

	line->state = HERD_UPGRADING;
	write_bytes(line, (const uint8_t *)request, (size_t)n);
}

/* Bytes of the answer, or 0: not whole; -status when it is no 101. */
static ssize_t
take_answer(const uint8_t *bytes, size_t n)
{
	const uint8_t *end = memmem(bytes, n, "\r\n\r\n", 4);
	unsigned status = 0;

	if (end == NULL)
		return 0;
	sscanf((const char *)bytes, "HTTP/1.1 %3u", &status);
	return status == 101 ? end - bytes + 4 : -(ssize_t)(status > 0 ? status : 1);
}

/* One frame of ours is never fragmented. Bytes used; 0: not whole; -1: it closed. */
static ssize_t
take_frame(struct herd_line *line, uint8_t *at, size_t n)
{
	size_t header = 2, length;

	if (n < 2)
		return 0;
	length = at[1] & 0x7f;
	if (length == 126) {
		header = 4;
		if (n < header)
			return 0;
		length = (size_t)at[2] << 8 | at[3];
	} else if (length == 127) {
		header = 10;
		if (n < header)
			return 0;
		length = (size_t)at[7] << 16 | (size_t)at[8] << 8 | at[9];
	}
	if (n < header + length)
		return 0;
	uint8_t opcode = at[0] & 0x0f;
	if (opcode == OPCODE_CLOSE) {
		down(line, length >= 2 ? (unsigned)(at[header] << 8 | at[header + 1]) : 0);
		return -1;
	}
	if (opcode == OPCODE_PING)
		send_frame(line, 10, at + header, length);
	if (opcode == OPCODE_BINARY && length > 0)
		line->events->on_message(line, at + header, length);
	return line->state == HERD_UP ? (ssize_t)(header + length) : -1;
}

/* False: the line is down, or closed by its owner. */
static bool
take(struct herd_line *line, uint8_t *at, size_t n)
{
	ssize_t used = 1;

	if (line->state == HERD_UPGRADING) {
		used = take_answer(at, n);
		if (used < 0) {
			down(line, (unsigned)-used);
			return false;
		}
		if (used > 0) {
			line->state = HERD_UP;
			line->events->on_up(line);
			at += used;
			n -= (size_t)used;
		}
	}
	while (line->state == HERD_UP && used > 0 && n > 0) {
		used = take_frame(line, at, n);
		if (used < 0)
			return false;
		at += used;
		n -= (size_t)used;
	}
	if (line->state == HERD_IDLE)
		return false;
	free(line->in);
	line->in = n > 0 ? malloc(n) : NULL;
	line->in_n = line->in != NULL ? n : 0;
	if (line->in != NULL)
		memcpy(line->in, at, n);
	return true;
}

static void
readable(struct herd_line *line)
{
	for (;;) {
		size_t have = line->in_n;

		if (have > READ_BYTES)
			return down(line, 0);
		if (have > 0)
			memcpy(arena, line->in, have);
		ssize_t got = herd_wire_read(line, arena + have, READ_BYTES);
		if (got < 0)
			return down(line, 0);
		if (got == 0 || !take(line, arena, have + (size_t)got))
			return;
		if (line->ssl == NULL && got < READ_BYTES)
			return;
	}
}

void
herd_line_on_event(struct herd_line *line, uint32_t events)
{
	if (line->fd < 0)
		return;
	if (line->state == HERD_CONNECTING) {
		int error = 0, r;
		socklen_t n = sizeof(error);

		getsockopt(line->fd, SOL_SOCKET, SO_ERROR, &error, &n);
		line->wants_out = false;
		r = error != 0 || (events & EPOLLERR) ? -1 : herd_wire_handshake(line);
		if (r < 0)
			return down(line, 0);
		if (r == 0) {
			struct epoll_event wanted = { .events = EPOLLIN, .data.ptr = line };

			if (line->wants_out)
				wanted.events |= EPOLLOUT;
			epoll_ctl(line->epoll_fd, EPOLL_CTL_MOD, line->fd, &wanted);
			return;
		}
		ask_upgrade(line);
		watch(line, EPOLL_CTL_MOD);
		return;
	}
	if ((events & EPOLLOUT) && !flush_out(line))
		return down(line, 0);
	if (line->is_failed || (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		readable(line);
}
