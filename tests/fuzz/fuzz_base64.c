/*
 * Whatever is decoded is canonical: encoded again it is the same text.
 */
#include "identity/key.h"

#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX_BYTES = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
require(bool holds)
{
	if (!holds)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[INPUT_MAX_BYTES + 1], back[2 * INPUT_MAX_BYTES];
	uint8_t bytes[INPUT_MAX_BYTES], id[UUID_BYTES];
	struct key key;
	int got;

	if (n > INPUT_MAX_BYTES)
		return 0;
	memcpy(text, data, n);
	text[n] = '\0';
	got = base64_decode(text, bytes, sizeof(bytes));
	if (got >= 0) {
		base64_encode(bytes, (size_t)got, back);
		require(strcmp(back, text) == 0);
	}
	got = base64url_decode(text, n, bytes, sizeof(bytes));
	if (got >= 0) {
		base64url_encode(bytes, (size_t)got, back);
		require(strlen(back) == n && memcmp(back, text, n) == 0);
	}
	if (key_parse(text, &key) == 0) {
		key_format(&key, back);
		require(strcmp(back, text) == 0);
	}
	if (uuid_parse(text, id) == 0) {
		uuid_format(id, back);
		require(strcmp(back, text) == 0);
	}
	return 0;
}
