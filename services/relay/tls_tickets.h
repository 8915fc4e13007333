/*
 * tls_tickets: the keys that seal the session tickets of a TLS server (RFC 5077, RFC 8446 4.6.1):
 * the newest one seals, one more still opens. Made of secrets, so that servers with the same
 * secrets know each other's tickets. May be changed while other threads shake hands.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TLS_TICKET_SECRET_BYTES = 32,
	TLS_TICKET_SECRETS = 2, /* newest first */
	TLS_TICKET_NAME_BYTES = 16,
	TLS_TICKET_KEY_BYTES = 32,
};

struct ssl_ctx_st;

struct tls_ticket_key {
	uint8_t name[TLS_TICKET_NAME_BYTES];
	uint8_t cipher[TLS_TICKET_KEY_BYTES], mac[TLS_TICKET_KEY_BYTES];
};

struct tls_tickets {
	pthread_mutex_t lock;
	size_t n;
	struct tls_ticket_key keys[TLS_TICKET_SECRETS];
};

void tls_tickets_init(struct tls_tickets *tickets);
void tls_tickets_fini(struct tls_tickets *tickets);

/* From now on these n secrets, newest first, and no others. 0, -EIO. */
int tls_tickets_set(struct tls_tickets *tickets, const uint8_t secrets[][TLS_TICKET_SECRET_BYTES],
		    size_t n);

/* The context gives and takes tickets from now on, which hold for life_sec. 0, -EINVAL. */
int tls_tickets_use(struct tls_tickets *tickets, struct ssl_ctx_st *context, long life_sec);
