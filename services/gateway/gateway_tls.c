/*
 * gateway_tls: certificate and private key; see the header.
 */
#include "gateway/gateway_tls.h"

#include "config/config.h"
#include "identity/key.h"
#include "identity/state_file.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PEM_MAX_BYTES = 64 * 1024 };

/* Certificate managers keep symbolic links to the newest pair, which a secret of our own never is.
 */
static ssize_t
pem_read(const char *path, bool is_private, char *text)
{
	char *real = realpath(path, NULL);
	if (real == NULL)
		return -errno;
	ssize_t n = state_file_read(real, is_private, text, PEM_MAX_BYTES);
	free(real);
	return n;
}

static int
pem_load(const char *path, bool is_private, char **ret, char *ret_error, size_t error_bytes)
{
	char *text = malloc(PEM_MAX_BYTES);
	ssize_t n = text != NULL ? pem_read(path, is_private, text) : -ENOMEM;
	if (n < 0) {
		snprintf(ret_error, error_bytes, "%s: %s", path,
			 n == -EPERM ? "others may read it" : strerror((int)-n));
		free(text);
		return n == -EPERM ? CONFIG_EXIT_NOPERM : CONFIG_EXIT_NOINPUT;
	}
	*ret = text;
	return 0;
}

/* Epoch milliseconds; 0 when it cannot be read. */
static int64_t
end_of(const X509 *certificate)
{
	struct tm end = { 0 };
	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
		return 0;
	return (int64_t)timegm(&end) * 1000;
}

static bool
belong_together(struct gateway_tls *tls)
{
	BIO *certificate_bio = BIO_new_mem_buf(tls->certificate, -1);
	BIO *key_bio = BIO_new_mem_buf(tls->private_key, -1);
	X509 *certificate = NULL;
	EVP_PKEY *key = NULL;
	if (certificate_bio != NULL && key_bio != NULL) {
		certificate = PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL);
		key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
	}
	bool good =
		certificate != NULL && key != NULL && X509_check_private_key(certificate, key) == 1;
	tls->expires_ms = certificate != NULL ? end_of(certificate) : 0;
	EVP_PKEY_free(key);
	X509_free(certificate);
	BIO_free(key_bio);
	BIO_free(certificate_bio);
	return good;
}

int
gateway_tls_load(const char *certificate_path, const char *private_key_path,
		 struct gateway_tls *ret, char *ret_error, size_t error_bytes)
{
	*ret = (struct gateway_tls){ 0 };
	int r = pem_load(certificate_path, false, &ret->certificate, ret_error, error_bytes);
	if (r == 0)
		r = pem_load(private_key_path, true, &ret->private_key, ret_error, error_bytes);
	if (r == 0 && !belong_together(ret)) {
		snprintf(ret_error, error_bytes,
			 "%s and %s are not PEM, or the key is another certificate's",
			 certificate_path, private_key_path);
		r = CONFIG_EXIT_CONFIG;
	}
	if (r != 0)
		gateway_tls_fini(ret);
	return r;
}

void
gateway_tls_fini(struct gateway_tls *tls)
{
	if (tls->private_key != NULL)
		key_wipe(tls->private_key, strlen(tls->private_key));
	free(tls->private_key);
	free(tls->certificate);
	*tls = (struct gateway_tls){ 0 };
}
