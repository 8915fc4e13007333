/*
 * leg_tls: what a leg trusts and speaks: an OpenSSL context of our own. libwebsockets 4.1 would
 * make one, but loses it, with every certificate that it trusts, whenever another of its contexts
 * begins before this one ends, as they do with each move.
 */
#include "leg/leg_thread.h"

#include <openssl/ssl.h>

static int
trust(SSL_CTX *tls, const char *ca_file)
{
	/* With a CA file of its own it trusts that alone. */
	if (ca_file != NULL)
		return SSL_CTX_load_verify_file(tls, ca_file);
	return SSL_CTX_set_default_verify_paths(tls);
}

SSL_CTX *
leg_tls_new(const char *ca_file)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	if (tls == NULL)
		return NULL;
	/* As libwebsockets expects of one: it may write from another place when it writes again. */
	SSL_CTX_set_mode(tls, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(tls, SSL_OP_NO_COMPRESSION);
	if (SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					  "TLS_CHACHA20_POLY1305_SHA256") != 1 ||
	    trust(tls, ca_file) != 1) {
		SSL_CTX_free(tls);
		return NULL;
	}
	return tls;
}
