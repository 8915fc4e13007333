/*
 * gateway_stream: the bytes of one connection, over TCP or TLS (OpenSSL), never blocking. Owns the
 * descriptor. Knows nothing of HTTP.
 */
#pragma once

#include "gateway/gateway_tls.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* TLS 1.2 and 1.3 with this certificate. 0, -EINVAL when the two are no good, -ENOMEM. */
int gateway_stream_context_new(const struct gateway_tls *tls, SSL_CTX **ret);

struct gateway_stream {
	int fd;
	SSL *ssl;	/* NULL: plain */
	uint32_t waits; /* EPOLLIN or EPOLLOUT: what the last call that could not go on needs */
	bool is_broken; /* TLS failed: nothing more can be sent */
};

/* context NULL: plain TCP. 0 or -ENOMEM, and then fd stays the caller's. */
int gateway_stream_init(struct gateway_stream *stream, int fd, SSL_CTX *context);
void gateway_stream_fini(struct gateway_stream *stream);

/* The bytes read, at least 1; 0: the peer has ended its side; -EAGAIN: see waits; else -errno. */
ssize_t gateway_stream_read(struct gateway_stream *stream, void *bytes, size_t n);

/* The bytes written, at least 1; -EAGAIN: see waits, and try with the same bytes; else -errno. */
ssize_t gateway_stream_write(struct gateway_stream *stream, const void *bytes, size_t n);

/* More was read from the socket than was handed out: no event will tell. */
bool gateway_stream_has_pending(const struct gateway_stream *stream);

/* We send nothing more; the peer may. */
void gateway_stream_end(struct gateway_stream *stream);
