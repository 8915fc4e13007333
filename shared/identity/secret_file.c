/*
 * secret_file: private keys (base64, as `wg genkey` writes them) and secrets (hex) on disk, one
 * line each (rings: a few), 0600. Made at first use; whoever links first wins and the other reads the winner's.
 */
#include "identity/key.h"
#include "identity/mac.h"
#include "identity/state_file.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

enum { SECRET_MAX_BYTES = 64, LINE_BYTES = 2 * SECRET_MAX_BYTES + 3, RING_MAX_SECRETS = 4 };

/* One line; its newline may be missing, nothing else may differ. */
static int
read_line(const char *path, char ret_line[LINE_BYTES])
{
	ssize_t n = state_file_read(path, true, ret_line, LINE_BYTES);

	if (n < 0)
		return (int)n;
	if (n > 0 && ret_line[n - 1] == '\n')
		ret_line[n - 1] = '\0';
	return 0;
}

static int
key_file_load(const char *path, struct key *ret_private)
{
	char line[LINE_BYTES];
	int r = read_line(path, line);

	if (r == 0)
		r = key_parse(line, ret_private);
	key_wipe(line, sizeof(line));
	return r;
}

static int
key_file_create(const char *path)
{
	struct key key;
	char line[KEY_TEXT_BYTES + 1];
	int r = key_generate(&key);

	if (r < 0)
		return r;
	key_format(&key, line);
	line[KEY_TEXT_BYTES - 1] = '\n';
	r = state_file_create(path, 0600, line, KEY_TEXT_BYTES);
	key_wipe(&key, sizeof(key));
	key_wipe(line, sizeof(line));
	return r;
}

int
key_file_load_or_create(const char *path, struct key *ret_private)
{
	int r = key_file_load(path, ret_private);

	if (r != -ENOENT)
		return r;
	r = key_file_create(path);
	if (r < 0 && r != -EEXIST)
		return r;
	return key_file_load(path, ret_private);
}

static int
hex_decode(const char *text, uint8_t *ret_bytes, size_t n)
{
	uint8_t bytes[SECRET_MAX_BYTES];
	size_t got;

	if (strlen(text) != 2 * n ||
	    OPENSSL_hexstr2buf_ex(bytes, sizeof(bytes), &got, text, '\0') != 1 || got != n)
		return -EINVAL;
	memcpy(ret_bytes, bytes, n);
	key_wipe(bytes, sizeof(bytes));
	return 0;
}

int
secret_file_load(const char *path, uint8_t *ret_secret, size_t n)
{
	char line[LINE_BYTES];
	int r;

	if (n == 0 || n > SECRET_MAX_BYTES)
		return -EINVAL;
	r = read_line(path, line);
	if (r == 0)
		r = hex_decode(line, ret_secret, n);
	key_wipe(line, sizeof(line));
	return r;
}

static int
secret_file_create(const char *path, size_t n)
{
	uint8_t secret[SECRET_MAX_BYTES];
	char line[LINE_BYTES];
	int r = mac_random(secret, n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		snprintf(line + 2 * i, 3, "%02x", secret[i]);
	line[2 * n] = '\n';
	r = state_file_create(path, 0600, line, 2 * n + 1);
	key_wipe(secret, sizeof(secret));
	key_wipe(line, sizeof(line));
	return r;
}

int
secret_file_load_or_create(const char *path, uint8_t *ret_secret, size_t n)
{
	int r = secret_file_load(path, ret_secret, n);

	if (r != -ENOENT)
		return r;
	r = secret_file_create(path, n);
	if (r < 0 && r != -EEXIST)
		return r;
	return secret_file_load(path, ret_secret, n);
}

int
secret_file_load_ring(const char *path, uint8_t *ret_secrets, size_t n, size_t max)
{
	char text[RING_MAX_SECRETS * LINE_BYTES], *line = text;
	size_t count = 0;
	ssize_t got;
	int r = 0;

	if (n == 0 || n > SECRET_MAX_BYTES || max == 0 || max > RING_MAX_SECRETS)
		return -EINVAL;
	got = state_file_read(path, true, text, sizeof(text));
	if (got < 0)
		return got == -EFBIG ? -EINVAL : (int)got;
	while (r == 0 && *line != '\0') {
		size_t length = strcspn(line, "\n");
		bool is_last = line[length] == '\0';

		line[length] = '\0';
		r = count < max ? hex_decode(line, ret_secrets + count * n, n) : -EINVAL;
		count++;
		line += is_last ? length : length + 1;
	}
	key_wipe(text, sizeof(text));
	if (r == 0 && count == 0)
		r = -EINVAL;
	if (r < 0)
		key_wipe(ret_secrets, max * n);
	return r < 0 ? r : (int)count;
}
