/*
 * tls_tickets: AES-256-CBC and HMAC-SHA256, as OpenSSL seals tickets by itself.
 */
#include "relay/tls_tickets.h"

#include "identity/mac.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>

enum { OPENS = 2 /* and the client is given a new one */, SEALED = 1, UNKNOWN = 0, FAILED = -1 };

void
tls_tickets_init(struct tls_tickets *tickets)
{
	memset(tickets, 0, sizeof(*tickets));
	pthread_mutex_init(&tickets->lock, NULL);
}

void
tls_tickets_fini(struct tls_tickets *tickets)
{
	pthread_mutex_destroy(&tickets->lock);
	OPENSSL_cleanse(tickets->keys, sizeof(tickets->keys));
	tickets->n = 0;
}

static int
derive(const uint8_t *secret, const char *info, uint8_t *ret, size_t n)
{
	return mac_hkdf_sha256(secret, TLS_TICKET_SECRET_BYTES, NULL, 0, info, strlen(info), ret,
			       n);
}

static int
make_key(const uint8_t *secret, struct tls_ticket_key *ret)
{
	int r = derive(secret, "tls ticket name", ret->name, sizeof(ret->name));

	if (r == 0)
		r = derive(secret, "tls ticket cipher", ret->cipher, sizeof(ret->cipher));
	if (r == 0)
		r = derive(secret, "tls ticket mac", ret->mac, sizeof(ret->mac));
	return r;
}

int
tls_tickets_set(struct tls_tickets *tickets, const uint8_t secrets[][TLS_TICKET_SECRET_BYTES],
		size_t n)
{
	struct tls_ticket_key keys[TLS_TICKET_SECRETS];
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = make_key(secrets[i], &keys[i]);
	if (r == 0) {
		pthread_mutex_lock(&tickets->lock);
		memcpy(tickets->keys, keys, n * sizeof(keys[0]));
		tickets->n = n;
		pthread_mutex_unlock(&tickets->lock);
	}
	OPENSSL_cleanse(keys, sizeof(keys));
	return r;
}

/* name NULL: the newest. */
static bool
find(struct tls_tickets *tickets, const uint8_t *name, struct tls_ticket_key *ret)
{
	bool is_found = false;

	pthread_mutex_lock(&tickets->lock);
	for (size_t i = 0; i < tickets->n && !is_found; i++) {
		is_found = name == NULL ||
			   memcmp(tickets->keys[i].name, name, TLS_TICKET_NAME_BYTES) == 0;
		if (is_found)
			*ret = tickets->keys[i];
	}
	pthread_mutex_unlock(&tickets->lock);
	return is_found;
}

static bool
set_mac(EVP_MAC_CTX *mac, struct tls_ticket_key *key)
{
	char digest[] = "SHA256";
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

static int
seal_or_open(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	     EVP_MAC_CTX *mac, int is_new)
{
	struct tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const EVP_CIPHER *aes = EVP_aes_256_cbc();
	struct tls_ticket_key key;
	bool is_done;

	if (!find(tickets, is_new ? NULL : name, &key))
		return UNKNOWN;
	if (is_new) {
		memcpy(name, key.name, sizeof(key.name));
		is_done = RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) == 1 &&
			  EVP_EncryptInit_ex(cipher, aes, NULL, key.cipher, iv) == 1;
	} else {
		is_done = EVP_DecryptInit_ex(cipher, aes, NULL, key.cipher, iv) == 1;
	}
	is_done = is_done && set_mac(mac, &key);
	OPENSSL_cleanse(&key, sizeof(key));
	return !is_done ? FAILED : is_new ? SEALED : OPENS;
}

int
tls_tickets_use(struct tls_tickets *tickets, SSL_CTX *context, long life_sec)
{
	if (SSL_CTX_set_app_data(context, tickets) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, seal_or_open) != 1)
		return -EINVAL;
	SSL_CTX_set_timeout(context, life_sec);
	SSL_CTX_clear_options(context, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(context, 1);
	return 0;
}
