/*
 * Tokens as they come (none is genuine), and any claims under a genuine MAC: what is accepted then
 * is, byte for byte, what the mint would have made.
 */
#include "identity/key.h"
#include "identity/mac.h"
#include "identity/token.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CLAIMS_MAX_BYTES = 240 };

#define NOW_MS INT64_C(1700000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const uint8_t secret[TOKEN_SECRET_BYTES] = { 7, 7, 7 };
static struct token_keys keys;

static void
require(bool holds)
{
	if (!holds)
		abort();
}

/* The header that our key makes: everything up to the first dot of a minted token. */
static size_t
write_header(char *out)
{
	const struct token sample = { .role = TOKEN_ROLE_NODE,
				      .subject = "x",
				      .issued_at_ms = NOW_MS,
				      .expires_at_ms = NOW_MS + 1000 };

	require(token_mint(&keys, &sample, out) == 0);
	return (size_t)(strchr(out, '.') - out) + 1;
}

static void
check_genuine(const uint8_t *claims, size_t n)
{
	char text[1024], minted[TOKEN_TEXT_MAX_BYTES];
	uint8_t mac[MAC_BYTES];
	struct token token;
	size_t at = write_header(text);

	base64url_encode(claims, n, text + at);
	at = strlen(text);
	require(mac_hmac_sha256(secret, sizeof(secret), text, at, mac) == 0);
	text[at++] = '.';
	base64url_encode(mac, sizeof(mac), text + at);
	if (token_verify(&keys, text, strlen(text), NOW_MS, &token) == 0) {
		require(token_mint(&keys, &token, minted) == 0);
		require(strcmp(minted, text) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct token token;

	if (keys.secrets[0] == NULL)
		token_keys_init(&keys, secret, NULL);
	require(token_verify(&keys, (const char *)data, n, NOW_MS, &token) != 0);
	if (n <= CLAIMS_MAX_BYTES)
		check_genuine(data, n);
	return 0;
}
