/*
 * mac: SHA-256, HMAC and HKDF (RFC 2104, RFC 5869) by OpenSSL, and the kernel's randomness. What
 * proofs, tickets and tokens are made of. Any thread. 0 or -EIO (OpenSSL failed, as good as out of
 * memory).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { MAC_BYTES = 32 };

int mac_sha256(const void *bytes, size_t n, uint8_t ret_digest[MAC_BYTES]);
int mac_hmac_sha256(const uint8_t *key, size_t key_bytes, const void *bytes, size_t n,
		    uint8_t ret_mac[MAC_BYTES]);

/* salt may be empty. */
int mac_hkdf_sha256(const uint8_t *secret, size_t secret_bytes, const uint8_t *salt,
		    size_t salt_bytes, const void *info, size_t info_bytes, uint8_t *ret_key,
		    size_t key_bytes);

/* getrandom, whole or -errno. */
int mac_random(void *ret_bytes, size_t n);
