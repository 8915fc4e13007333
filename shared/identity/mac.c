/*
 * mac: the few primitives of this folder in one place, so that nothing else names an OpenSSL
 * digest.
 */
#include "identity/mac.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>
#include <sys/random.h>

int
mac_sha256(const void *bytes, size_t n, uint8_t ret_digest[MAC_BYTES])
{
	return EVP_Digest(bytes, n, ret_digest, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

int
mac_hmac_sha256(const uint8_t *key, size_t key_bytes, const void *bytes, size_t n,
		uint8_t ret_mac[MAC_BYTES])
{
	if (key_bytes > INT_MAX)
		return -EIO;
	return HMAC(EVP_sha256(), key, (int)key_bytes, bytes, n, ret_mac, NULL) ? 0 : -EIO;
}

int
mac_hkdf_sha256(const uint8_t *secret, size_t secret_bytes, const uint8_t *salt, size_t salt_bytes,
		const void *info, size_t info_bytes, uint8_t *ret_key, size_t key_bytes)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[5], *p = params;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int r = -EIO;

	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	/* OpenSSL's parameters are not const, but inputs are only read. */
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret,
						 secret_bytes);
	if (salt_bytes)
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
							 (void *)(uintptr_t)salt, salt_bytes);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info,
						 info_bytes);
	*p = OSSL_PARAM_construct_end();
	if (ctx && EVP_KDF_derive(ctx, ret_key, key_bytes, params) == 1)
		r = 0;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return r;
}

int
mac_random(void *ret_bytes, size_t n)
{
	uint8_t *p = ret_bytes;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
	return 0;
}
