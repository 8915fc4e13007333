/*
 * herd_line: the far end of a leg as lightly as it can be, so that ten thousand fit in a process:
 * connects, with TLS where asked for, upgrades, sends and receives messages, and says what
 * happened. It never waits. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum herd_state { HERD_IDLE, HERD_CONNECTING, HERD_UPGRADING, HERD_UP };

struct herd_line;

struct herd_events {
	void (*on_up)(struct herd_line *line);
	/* A whole message, unmasked; written to at will. */
	void (*on_message)(struct herd_line *line, uint8_t *message, size_t n);
	/* Never from inside herd_line_open. code: of a close frame, an HTTP status, or 0. */
	void (*on_down)(struct herd_line *line, unsigned code);
};

struct herd_line {
	const struct herd_events *events;
	void *owner;
	int epoll_fd;
	int fd; /* -1: idle */
	enum herd_state state;
	bool wants_out, is_failed;
	void *ssl;
	void *ssl_context; /* NULL: plain. The caller's */
	void *session;	   /* of TLS, to resume */
	bool is_resumed;
	const char *id, *ticket; /* the caller's */
	uint16_t port;
	uint8_t *in, *out; /* what waits; NULL: nothing */
	size_t in_n, in_capacity, out_n, out_capacity;
};

void herd_line_init(struct herd_line *line, int epoll_fd, const struct herd_events *events,
		    void *owner);

/* Begins; on_up or on_down follows from herd_line_on_event. */
void herd_line_open(struct herd_line *line, uint16_t port, const char *id, const char *ticket);

/* Epoll's data.ptr is the line. */
void herd_line_on_event(struct herd_line *line, uint32_t events);

/* A binary message; the bytes are masked in place, which changes them. Dropped when too much waits
 * already. */
void herd_line_send(struct herd_line *line, uint8_t *message, size_t n);

/* Goes, without on_down. */
void herd_line_close(struct herd_line *line);
