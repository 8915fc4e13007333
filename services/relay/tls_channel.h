/*
 * tls_channel: TLS over buffers (OpenSSL 3): bytes in, bytes out, no socket. The buffers are a
 * thread's, shared by all its connections, so that an idle connection holds none. A context may be
 * used by all threads, a channel by one at a time.
 */
#pragma once

#include "relay/tls_tickets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TLS_RECORD_BYTES = 16 * 1024,
	TLS_KEY_UPDATES_MAX = 8, /* per TLS_KEY_UPDATE_BYTES of data */
	TLS_KEY_UPDATE_BYTES = 1 << 20,
};

struct tls_context;
struct tls_channel;

/* TLS 1.2 at least, AES-128-GCM first, ALPN http/1.1. 0, -EINVAL after a log line (files wrong or
 * not fitting together), -ENOMEM. */
int tls_context_new(const char *certificate_path, const char *key_path, struct tls_context **ret);

/* Those who come back within life_ms need no full handshake, and know these n secrets' relays by
 * it: the first one seals their tickets, the others still open them. Again, at any time: for other
 * secrets. 0, -errno. */
int tls_context_resume(struct tls_context *context,
		       const uint8_t secrets[][TLS_TICKET_SECRET_BYTES], size_t n, int64_t life_ms);
void tls_context_free(struct tls_context **context);

/* What one call reads and writes on the wire's side. */
struct tls_io {
	const uint8_t *in;
	size_t in_n;
	uint8_t *out; /* calls append */
	size_t out_n, out_capacity;
};

/* Server side, before its handshake. NULL when out of memory. */
struct tls_channel *tls_channel_new(struct tls_context *context);
void tls_channel_free(struct tls_channel **channel);

/* Takes all of io->in: goes on with the handshake, decrypts. capacity: at least io->in_n +
 * TLS_RECORD_BYTES. Returns the bytes written to `to`. *ret_state: 0; -ECONNRESET: the peer said
 * close_notify; -EPROTO: it broke the protocol, and io->out may hold an alert. */
size_t tls_channel_read(struct tls_channel *channel, struct tls_io *io, uint8_t *to,
			size_t capacity, int *ret_state);

/* Encrypts all n bytes to io->out, which must have room: n plus a 256th plus 1 KiB. 0, -EPROTO. */
int tls_channel_write(struct tls_channel *channel, struct tls_io *io, const uint8_t *from,
		      size_t n);

/* Appends close_notify. */
void tls_channel_close(struct tls_channel *channel, struct tls_io *io);
