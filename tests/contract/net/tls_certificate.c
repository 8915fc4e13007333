/*
 * tls_certificate: an authority and a server certificate signed by it, made anew for each test.
 */
#include "tls_server.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { DAY_SEC = 24 * 3600 };

static int
add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;
	int ok;

	X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return ok ? 0 : -EIO;
}

/* issuer NULL: signs itself. */
static X509 *
certificate_new(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
		bool is_expired)
{
	X509 *certificate = X509_new();
	X509_NAME *subject = certificate ? X509_get_subject_name(certificate) : NULL;
	static long serial;
	char alternative[128];

	if (!certificate)
		return NULL;
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -2 * DAY_SEC);
	X509_gmtime_adj(X509_getm_notAfter(certificate), is_expired ? -DAY_SEC : DAY_SEC);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : subject);
	X509_set_pubkey(certificate, key);
	snprintf(alternative, sizeof(alternative), "DNS:%s", name);
	if (issuer)
		add_extension(certificate, issuer, NID_subject_alt_name, alternative);
	else
		add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
	if (X509_sign(certificate, issuer_key, EVP_sha256()) == 0) {
		X509_free(certificate);
		return NULL;
	}
	return certificate;
}

static int
write_pem(const char *folder, const char *file_name, X509 *certificate, EVP_PKEY *key)
{
	char path[256];
	FILE *file;
	int ok;

	snprintf(path, sizeof(path), "%s/%s", folder, file_name);
	file = fopen(path, "we");
	if (!file)
		return -errno;
	if (certificate)
		ok = PEM_write_X509(file, certificate);
	else
		ok = PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	return fclose(file) == 0 && ok ? 0 : -EIO;
}

int
tls_certificate_make(const char *folder, const char *name, bool is_expired)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *ca = certificate_new("Test authority", ca_key, NULL, ca_key, false);
	X509 *certificate = certificate_new(name, key, ca, ca_key, is_expired);
	int r = ca && certificate ? 0 : -EIO;

	if (r == 0)
		r = write_pem(folder, "ca.pem", ca, NULL);
	if (r == 0)
		r = write_pem(folder, "server.pem", certificate, NULL);
	if (r == 0)
		r = write_pem(folder, "server.key", NULL, key);
	X509_free(certificate);
	X509_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	return r;
}
