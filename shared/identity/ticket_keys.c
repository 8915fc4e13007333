/*
 * ticket_keys: one key a line, 64 hex digits.
 */
#include "identity/ticket_keys.h"
#include "identity/mac.h"
#include "identity/state_file.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

enum { LINE_DIGITS = 2 * TICKET_PUBLIC_BYTES, FILE_BYTES = TICKET_KEYS_MAX * (LINE_DIGITS + 1) };

int
ticket_key_id(const uint8_t public_key[TICKET_PUBLIC_BYTES], uint8_t ret_id[TICKET_KEY_ID_BYTES])
{
	uint8_t digest[MAC_BYTES];
	int r = mac_sha256(public_key, TICKET_PUBLIC_BYTES, digest);

	memcpy(ret_id, digest, TICKET_KEY_ID_BYTES);
	return r;
}

int
ticket_keys_read(const char *path, struct ticket_keys *ret)
{
	struct ticket_keys keys = { .count = 0 };
	char text[FILE_BYTES + 1];
	ssize_t n = state_file_read(path, false, text, sizeof(text));

	if (n < 0)
		return n == -EFBIG ? -EINVAL : (int)n;
	if (n == 0 || n % (LINE_DIGITS + 1) != 0)
		return -EINVAL;
	for (ssize_t at = 0; at < n; at += LINE_DIGITS + 1) {
		size_t got;

		if (text[at + LINE_DIGITS] != '\n')
			return -EINVAL;
		text[at + LINE_DIGITS] = '\0';
		if (OPENSSL_hexstr2buf_ex(keys.keys[keys.count], TICKET_PUBLIC_BYTES, &got,
					  text + at, '\0') != 1 ||
		    got != TICKET_PUBLIC_BYTES)
			return -EINVAL;
		keys.count++;
	}
	*ret = keys;
	return 0;
}

static int
write_keys(const char *path, const struct ticket_keys *keys)
{
	char text[FILE_BYTES + 1];
	size_t at = 0;

	for (size_t k = 0; k < keys->count; k++) {
		for (size_t i = 0; i < TICKET_PUBLIC_BYTES; i++, at += 2)
			snprintf(text + at, 3, "%02x", keys->keys[k][i]);
		text[at++] = '\n';
	}
	return state_file_replace(path, 0644, text, at);
}

int
ticket_keys_publish(const char *path, const uint8_t public_key[TICKET_PUBLIC_BYTES])
{
	struct ticket_keys old = { .count = 0 }, keys = { .count = 1 };
	int r = ticket_keys_read(path, &old);

	if (r < 0 && r != -ENOENT && r != -EINVAL)
		return r;
	if (old.count > 0 && memcmp(old.keys[0], public_key, TICKET_PUBLIC_BYTES) == 0)
		return 0;
	memcpy(keys.keys[0], public_key, TICKET_PUBLIC_BYTES);
	for (size_t i = 0; i < old.count && keys.count < TICKET_KEYS_MAX; i++)
		if (memcmp(old.keys[i], public_key, TICKET_PUBLIC_BYTES) != 0)
			memcpy(keys.keys[keys.count++], old.keys[i], TICKET_PUBLIC_BYTES);
	return write_keys(path, &keys);
}
