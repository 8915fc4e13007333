/*
 * token: a JWT (RFC 7519) with no freedom left (RFC 8725): the header is one of ten exact texts,
 * the claims one exact form, and a reader accepts only what it would have written itself.
 * docs/protocol.md, "Tokens".
 */
#include "identity/token.h"
#include "identity/key.h"
#include "identity/mac.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
	CLAIMS_MAX_BYTES = 256,
	MAC_TEXT = 43, /* base64url of 32 bytes */
	LEEWAY_MS = 30 * 1000,
	MS_PER_SEC = 1000,
};

#define SECONDS_MAX INT64_C(253402300799) /* year 9999 */

static const char *const role_names[] = {
	[TOKEN_ROLE_NODE] = "node",
	[TOKEN_ROLE_CLIENT] = "client",
	[TOKEN_ROLE_ADMIN] = "admin",
};

/* The key id: one digit of the secret's digest. It chooses among our two keys and nothing else. */
static char
key_digit(const uint8_t *secret)
{
	uint8_t mac[MAC_BYTES];

	if (mac_hmac_sha256(secret, TOKEN_SECRET_BYTES, "higgs-token-kid", 15, mac) < 0)
		return '0';
	return (char)('0' + mac[0] % 10);
}

static void
write_header(const uint8_t *secret, char ret[TOKEN_HEADER_BYTES])
{
	char json[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"?\"}";

	*strchr(json, '?') = key_digit(secret);
	base64url_encode((const uint8_t *)json, strlen(json), ret);
}

void
token_keys_init(struct token_keys *keys, const uint8_t newest[TOKEN_SECRET_BYTES],
		const uint8_t *older)
{
	*keys = (struct token_keys){ .secrets = { newest, older } };
	write_header(newest, keys->headers[0]);
	if (older != NULL)
		write_header(older, keys->headers[1]);
}

/* What needs no escape in JSON, and is not empty. */
static bool
subject_is_valid(const char subject[TOKEN_SUBJECT_BYTES])
{
	size_t n = strnlen(subject, TOKEN_SUBJECT_BYTES);

	for (size_t i = 0; i < n; i++) {
		char c = subject[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '_' || c == '.' || c == ':' || c == '@'))
			return false;
	}
	return n > 0 && n < TOKEN_SUBJECT_BYTES;
}

static bool
token_is_sound(const struct token *t)
{
	return (t->role == TOKEN_ROLE_NODE || t->role == TOKEN_ROLE_CLIENT ||
		t->role == TOKEN_ROLE_ADMIN) &&
	       subject_is_valid(t->subject) && t->issued_at_ms >= 0 &&
	       t->expires_at_ms <= SECONDS_MAX * MS_PER_SEC && t->expires_at_ms > t->issued_at_ms &&
	       t->expires_at_ms - t->issued_at_ms <= TOKEN_LIFETIME_MAX_MS;
}

static size_t
write_claims(const struct token *t, char out[CLAIMS_MAX_BYTES])
{
	return (size_t)snprintf(out, CLAIMS_MAX_BYTES,
				"{\"iss\":\"boson\",\"aud\":\"boson-rest\",\"sub\":\"%s\","
				"\"role\":\"%s\",\"iat\":%" PRId64 ",\"exp\":%" PRId64 "}",
				t->subject, role_names[t->role], t->issued_at_ms / MS_PER_SEC,
				t->expires_at_ms / MS_PER_SEC);
}

int
token_mint(const struct token_keys *keys, const struct token *token,
	   char ret_text[TOKEN_TEXT_MAX_BYTES])
{
	char claims[CLAIMS_MAX_BYTES];
	uint8_t mac[MAC_BYTES];
	char *end = ret_text;
	int r;

	if (!keys->secrets[0] || !token_is_sound(token))
		return -EINVAL;
	end = stpcpy(end, keys->headers[0]);
	*end++ = '.';
	base64url_encode((const uint8_t *)claims, write_claims(token, claims), end);
	end += strlen(end);
	r = mac_hmac_sha256(keys->secrets[0], TOKEN_SECRET_BYTES, ret_text,
			    (size_t)(end - ret_text), mac);
	if (r < 0)
		return r;
	*end++ = '.';
	base64url_encode(mac, MAC_BYTES, end);
	return 0;
}

/* Takes a literal off the front. */
static bool
skip(const char **text, const char *literal)
{
	size_t n = strlen(literal);

	if (strncmp(*text, literal, n) != 0)
		return false;
	*text += n;
	return true;
}

static bool
take_seconds(const char **text, int64_t *ret_ms)
{
	int64_t seconds = 0;
	const char *start = *text;

	for (; **text >= '0' && **text <= '9'; (*text)++) {
		seconds = seconds * 10 + (**text - '0');
		if (seconds > SECONDS_MAX)
			return false;
	}
	*ret_ms = seconds * MS_PER_SEC;
	return *text > start;
}

static bool
take_string(const char **text, char *ret, size_t capacity)
{
	size_t n = strcspn(*text, "\"");

	if (n >= capacity)
		return false;
	memcpy(ret, *text, n);
	ret[n] = '\0';
	*text += n;
	return true;
}

static bool
role_parse(const char *name, enum token_role *ret)
{
	for (int role = TOKEN_ROLE_NODE; role <= TOKEN_ROLE_ADMIN; role++) {
		if (strcmp(name, role_names[role]) == 0) {
			*ret = (enum token_role)role;
			return true;
		}
	}
	return false;
}

static bool
parse_claims(const char *text, struct token *ret)
{
	char role[8];

	return skip(&text, "{\"iss\":\"boson\",\"aud\":\"boson-rest\",\"sub\":\"") &&
	       take_string(&text, ret->subject, sizeof(ret->subject)) &&
	       skip(&text, "\",\"role\":\"") && take_string(&text, role, sizeof(role)) &&
	       role_parse(role, &ret->role) && skip(&text, "\",\"iat\":") &&
	       take_seconds(&text, &ret->issued_at_ms) && skip(&text, ",\"exp\":") &&
	       take_seconds(&text, &ret->expires_at_ms) && strcmp(text, "}") == 0 &&
	       token_is_sound(ret);
}

/* One token has one text: no leading zeros, nothing that the parser forgave. */
static bool
claims_are_canonical(const struct token *token, const char *claims)
{
	char ours[CLAIMS_MAX_BYTES];

	write_claims(token, ours);
	return strcmp(ours, claims) == 0;
}

/* The header must be exactly what a signer with this key would have put first. 0, -EACCES, -EIO. */
static int
key_signed(const struct token_keys *keys, size_t i, const char *text, size_t signed_bytes,
	   size_t header_bytes, const uint8_t given[MAC_BYTES])
{
	const uint8_t *secret = keys->secrets[i];
	uint8_t mac[MAC_BYTES];
	int r;

	if (!secret || strlen(keys->headers[i]) != header_bytes ||
	    memcmp(keys->headers[i], text, header_bytes) != 0)
		return -EACCES;
	r = mac_hmac_sha256(secret, TOKEN_SECRET_BYTES, text, signed_bytes, mac);
	if (r == 0 && CRYPTO_memcmp(mac, given, MAC_BYTES) != 0)
		r = -EACCES;
	key_wipe(mac, sizeof(mac));
	return r;
}

/* Where the second dot stands, counted from the end: the MAC's text has one length. */
static bool
split(const char *text, size_t n, size_t *ret_header_bytes, size_t *ret_signed_bytes)
{
	const char *dot;

	if (n >= TOKEN_TEXT_MAX_BYTES || n <= MAC_TEXT + 1 || text[n - MAC_TEXT - 1] != '.')
		return false;
	*ret_signed_bytes = n - MAC_TEXT - 1;
	dot = memchr(text, '.', *ret_signed_bytes);
	if (!dot)
		return false;
	*ret_header_bytes = (size_t)(dot - text);
	return true;
}

int
token_verify(const struct token_keys *keys, const char *text, size_t n, int64_t wall_now_ms,
	     struct token *ret)
{
	size_t header_bytes, signed_bytes;
	uint8_t mac[MAC_BYTES];
	char claims[CLAIMS_MAX_BYTES];
	struct token token = { 0 };
	int claims_bytes, r;

	if (!split(text, n, &header_bytes, &signed_bytes) ||
	    base64url_decode(text + n - MAC_TEXT, MAC_TEXT, mac, sizeof(mac)) != MAC_BYTES)
		return -EACCES;
	r = key_signed(keys, 0, text, signed_bytes, header_bytes, mac);
	if (r == -EACCES)
		r = key_signed(keys, 1, text, signed_bytes, header_bytes, mac);
	if (r < 0)
		return r;
	claims_bytes = base64url_decode(text + header_bytes + 1, signed_bytes - header_bytes - 1,
					(uint8_t *)claims, sizeof(claims) - 1);
	if (claims_bytes < 0)
		return -EACCES;
	claims[claims_bytes] = '\0';
	if (strlen(claims) != (size_t)claims_bytes || !parse_claims(claims, &token) ||
	    !claims_are_canonical(&token, claims))
		return -EACCES;
	if (token.expires_at_ms + LEEWAY_MS <= wall_now_ms ||
	    token.issued_at_ms > wall_now_ms + LEEWAY_MS)
		return -ETIME;
	*ret = token;
	return 0;
}
