/*
 * key: WireGuard key pairs (X25519), ids and secrets on disk. Nothing here is ever logged.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_BYTES = 32, KEY_TEXT_BYTES = 45, UUID_BYTES = 16, UUID_TEXT_BYTES = 37 };

struct key {
	uint8_t bytes[KEY_BYTES];
};

/* getrandom, clamped as in RFC 7748. */
int key_generate(struct key *ret_private);
int key_public(const struct key *private_key, struct key *ret_public);

/* The shared secret of X25519; -EINVAL when it is all zero. */
int key_exchange(const struct key *private_key, const struct key *public_key,
		 struct key *ret_secret);

/* WireGuard's form: 44 characters of canonical base64, nothing before or after. -EINVAL. */
int key_parse(const char *text, struct key *ret_key);
void key_format(const struct key *key, char ret_text[KEY_TEXT_BYTES]);
bool key_is_equal(const struct key *a, const struct key *b); /* constant time */
void key_wipe(void *secret, size_t n);

/* A private key file: base64 and a newline, 0600, ours. Made when absent (O_EXCL, fsync). -EPERM
 * when others may read it. */
int key_file_load_or_create(const char *path, struct key *ret_private);

/* The same for n random bytes, kept as hex; n <= 64. */
int secret_file_load_or_create(const char *path, uint8_t *ret_secret, size_t n);
int secret_file_load(const char *path, uint8_t *ret_secret, size_t n);

/* A secret that is being replaced: up to max (at most 4) lines, the newest first. The number of
 * secrets read, or -EINVAL for a file that holds anything else; -errno. */
int secret_file_load_ring(const char *path, uint8_t *ret_secrets, size_t n, size_t max);

/* Lower-case canonical UUID text only. */
int uuid_parse(const char *text, uint8_t ret_id[UUID_BYTES]);
void uuid_format(const uint8_t id[UUID_BYTES], char ret_text[UUID_TEXT_BYTES]);
int uuid_generate_text(char ret_text[UUID_TEXT_BYTES]); /* version 4 */

/* Standard base64 with padding, canonical only. decode: the number of bytes or -EINVAL. */
void base64_encode(const uint8_t *bytes, size_t n, char *ret_text); /* 4*ceil(n/3)+1 */
int base64_decode(const char *text, uint8_t *ret_bytes, size_t capacity);
void base64url_encode(const uint8_t *bytes, size_t n, char *ret_text); /* no padding */
int base64url_decode(const char *text, size_t n, uint8_t *ret_bytes, size_t capacity);
