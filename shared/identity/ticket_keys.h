/*
 * ticket_keys: the public halves of ticket signers as files: what a signer publishes and a verifier
 * reads. Inside shared/identity only.
 */
#pragma once

#include "identity/ticket.h"

enum {
	TICKET_KEYS_MAX = 4,
	TICKET_KEY_ID_BYTES = 4,
};

struct ticket_keys {
	uint8_t keys[TICKET_KEYS_MAX][TICKET_PUBLIC_BYTES];
	size_t count;
};

/* The first bytes of SHA-256 of the public key. */
int ticket_key_id(const uint8_t public_key[TICKET_PUBLIC_BYTES],
		  uint8_t ret_id[TICKET_KEY_ID_BYTES]);

/* -ENOENT, -EINVAL (not such a file), -errno; *ret untouched then. */
int ticket_keys_read(const char *path, struct ticket_keys *ret);

/* Puts a key first and keeps the others. Writes only when something changed. */
int ticket_keys_publish(const char *path, const uint8_t public_key[TICKET_PUBLIC_BYTES]);
