/*
 * relay_udp_mac1: WireGuard's mac1 (WireGuard paper, section 5.4.4): who a handshake message is
 * for. Its key is made of the receiver's public key, so that whoever knows that key can check it,
 * and nothing here is secret. The BLAKE2s beneath (RFC 7693) is our own: libsodium has none, and
 * OpenSSL's takes 1.5 to 2 times as long (370 ns against 180 to 240), since it hashes the key anew
 * with each message.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MAC1_BYTES = 16,
	MAC1_TAIL_BYTES = 32, /* mac1 and mac2 end a handshake message */
	MAC1_PUBLIC_KEY_BYTES = 32,
};

/* The hash after it has taken in the key. */
struct mac1_key {
	uint32_t state[8];
};

void mac1_key_init(struct mac1_key *ret, const uint8_t public_key[MAC1_PUBLIC_KEY_BYTES]);

/* For the other keyed hashes of WireGuard's cookies: any key of 1 to 32 bytes. */
void mac1_key_init_raw(struct mac1_key *ret, const uint8_t *key, size_t n);

/* message: an initiation or a response, whole; n of at least MAC1_TAIL_BYTES + 1. */
bool mac1_is_for(const struct mac1_key *key, const uint8_t *message, size_t n);

/* What mac1_is_for compares with; n is 1 at least. */
void mac1_compute(const struct mac1_key *key, const uint8_t *bytes, size_t n,
		  uint8_t ret[MAC1_BYTES]);

/* BLAKE2s with any digest of up to 32 bytes and no key, for the key's own derivation. */
void blake2s(const uint8_t *bytes, size_t n, uint8_t *ret, size_t digest_bytes);
