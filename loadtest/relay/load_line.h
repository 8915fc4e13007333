/*
 * load_line: one connection of the load generator: TCP, TLS or connected UDP, blocking while it is
 * set up, non-blocking afterwards. Knows how to ask for a WebSocket, and how to grant one.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct load_line {
	int fd;
	SSL *ssl;    /* NULL: TCP or UDP */
	bool is_udp; /* a send or receive is a datagram */
};

/* Of connections made from now on, at most; 0: the system's. */
extern int load_line_segment_bytes;

/* Exits with a message when it fails, as everything of this program does. */
void load_line_connect(struct load_line *line, uint16_t port, SSL_CTX *tls);
void load_line_accept(struct load_line *line, int listen_fd, SSL_CTX *tls);
int load_line_listen(uint16_t port);

/* A UDP socket of a port of its own; *ret_port may be NULL. */
void load_line_bind(struct load_line *line, uint16_t *ret_port);
void load_line_aim(struct load_line *line, uint16_t port);

/* Asks for this leg, or with ticket "" for any WebSocket. load_line_answered waits for the 101;
 * what came after it is left in the socket. load_line_grant is the other side of both. */
void load_line_ask(struct load_line *line, const char *id, const char *ticket);
void load_line_answered(struct load_line *line);
void load_line_grant(struct load_line *line);

void load_line_write(struct load_line *line, const void *bytes, size_t n);
void load_line_read(struct load_line *line, void *bytes, size_t n);
void load_line_set_nonblocking(struct load_line *line);

/* Bytes moved, or 0: not now. */
size_t load_line_send(struct load_line *line, const uint8_t *bytes, size_t n);
size_t load_line_receive(struct load_line *line, uint8_t *bytes, size_t n);

void load_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
