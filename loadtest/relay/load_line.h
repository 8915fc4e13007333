/*
 * load_line: one connection of the load generator: TCP or TLS, blocking while it is set up,
 * non-blocking afterwards. Knows how to become a leg of a relay, or one side of a proxied pair.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct load_line {
	int fd;
	SSL *ssl; /* NULL: TCP */
};

/* Exits with a message when it fails, as everything of this program does. */
void load_line_connect(struct load_line *line, uint16_t port, SSL_CTX *tls);
void load_line_accept(struct load_line *line, int listen_fd, SSL_CTX *tls);
int load_line_listen(uint16_t port);

/* Asks the relay for this leg and waits for the 101. What came after it is left in the socket. */
void load_line_upgrade(struct load_line *line, const char *id, const char *ticket);

void load_line_write(struct load_line *line, const void *bytes, size_t n);
void load_line_read(struct load_line *line, void *bytes, size_t n);
void load_line_set_nonblocking(struct load_line *line);
void load_line_close(struct load_line *line);

/* Bytes moved, or 0: not now. */
size_t load_line_send(struct load_line *line, const uint8_t *bytes, size_t n);
size_t load_line_receive(struct load_line *line, uint8_t *bytes, size_t n);

void load_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
