/*
 * key: X25519 by OpenSSL's EVP (RFC 7748), in WireGuard's text form.
 */
#include "identity/key.h"
#include "identity/mac.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

int
key_generate(struct key *ret_private)
{
	int r = mac_random(ret_private->bytes, KEY_BYTES);

	if (r < 0)
		return r;
	ret_private->bytes[0] &= 248;
	ret_private->bytes[31] = (uint8_t)((ret_private->bytes[31] & 127) | 64);
	return 0;
}

int
key_public(const struct key *private_key, struct key *ret_public)
{
	size_t n = KEY_BYTES;
	EVP_PKEY *pkey =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key->bytes, KEY_BYTES);
	int ok = pkey && EVP_PKEY_get_raw_public_key(pkey, ret_public->bytes, &n) == 1;

	EVP_PKEY_free(pkey);
	return ok ? 0 : -EIO;
}

/* The loop is not left early: which byte differs is nobody's business. */
static bool
is_all_zero(const struct key *key)
{
	static const struct key zero;

	return CRYPTO_memcmp(key->bytes, zero.bytes, KEY_BYTES) == 0;
}

int
key_exchange(const struct key *private_key, const struct key *public_key, struct key *ret_secret)
{
	EVP_PKEY *ours =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key->bytes, KEY_BYTES);
	EVP_PKEY *theirs =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key->bytes, KEY_BYTES);
	EVP_PKEY_CTX *ctx = ours && theirs ? EVP_PKEY_CTX_new(ours, NULL) : NULL;
	struct key secret = { 0 };
	size_t n = KEY_BYTES;
	int r = -EIO;

	if (ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, theirs) == 1) {
		/* OpenSSL refuses an all-zero secret itself; checked again, since T01 hangs on it.
		 */
		r = EVP_PKEY_derive(ctx, secret.bytes, &n) == 1 && n == KEY_BYTES &&
				    !is_all_zero(&secret)
			    ? 0
			    : -EINVAL;
	}
	if (r == 0)
		*ret_secret = secret;
	key_wipe(&secret, sizeof(secret));
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(ours);
	return r;
}

int
key_parse(const char *text, struct key *ret_key)
{
	struct key key;

	/* A length first: the text may be a peer's and long. */
	if (strnlen(text, KEY_TEXT_BYTES) != KEY_TEXT_BYTES - 1)
		return -EINVAL;
	if (base64_decode(text, key.bytes, KEY_BYTES) != KEY_BYTES)
		return -EINVAL;
	*ret_key = key;
	key_wipe(&key, sizeof(key));
	return 0;
}

void
key_format(const struct key *key, char ret_text[KEY_TEXT_BYTES])
{
	base64_encode(key->bytes, KEY_BYTES, ret_text);
}

bool
key_is_equal(const struct key *a, const struct key *b)
{
	return CRYPTO_memcmp(a->bytes, b->bytes, KEY_BYTES) == 0;
}

void
key_wipe(void *secret, size_t n)
{
	OPENSSL_cleanse(secret, n);
}
