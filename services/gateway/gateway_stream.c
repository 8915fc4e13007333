/*
 * gateway_stream: TCP or TLS; see the header.
 */
#include "gateway/gateway_stream.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* HTTP/1.1 or, for who offers only other things, nothing said: then the head is judged. */
static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
		unsigned int in_n, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	(void)ssl;
	(void)arg;
	unsigned char *chosen = NULL;
	if (SSL_select_next_proto(&chosen, out_n, ours, sizeof(ours) - 1, in, in_n) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* The first certificate is ours, the others are its chain. */
static bool
use_certificates(SSL_CTX *context, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool good = certificate != NULL && SSL_CTX_use_certificate(context, certificate) == 1;
	X509_free(certificate);
	while (good && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		good = SSL_CTX_add1_chain_cert(context, certificate) == 1;
		X509_free(certificate);
	}
	ERR_clear_error(); /* the end of the text is one */
	BIO_free(bio);
	return good;
}

static bool
use_private_key(SSL_CTX *context, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	bool good = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1 &&
		    SSL_CTX_check_private_key(context) == 1;
	EVP_PKEY_free(key);
	BIO_free(bio);
	return good;
}

int
gateway_stream_context_new(const struct gateway_tls *tls, SSL_CTX **ret)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (context == NULL)
		return -ENOMEM;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 1);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	if (SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
	    !use_certificates(context, tls->certificate) ||
	    !use_private_key(context, tls->private_key)) {
		SSL_CTX_free(context);
		return -EINVAL;
	}
	*ret = context;
	return 0;
}

int
gateway_stream_init(struct gateway_stream *stream, int fd, SSL_CTX *context)
{
	*stream = (struct gateway_stream){ .fd = fd, .waits = EPOLLIN };
	if (context == NULL)
		return 0;
	stream->ssl = SSL_new(context);
	if (stream->ssl == NULL || SSL_set_fd(stream->ssl, fd) != 1) {
		SSL_free(stream->ssl);
		stream->ssl = NULL;
		return -ENOMEM;
	}
	SSL_set_accept_state(stream->ssl);
	return 0;
}

void
gateway_stream_fini(struct gateway_stream *stream)
{
	SSL_free(stream->ssl);
	if (stream->fd >= 0)
		close(stream->fd);
	*stream = (struct gateway_stream){ .fd = -1 };
}

/* What SSL_read_ex and SSL_write_ex could not do, in our words. */
static ssize_t
tls_failure(struct gateway_stream *stream, int result)
{
	int error = SSL_get_error(stream->ssl, result);
	ERR_clear_error();
	switch (error) {
	case SSL_ERROR_WANT_READ:
		stream->waits = EPOLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		stream->waits = EPOLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		stream->is_broken = true;
		return -EPROTO;
	}
}

ssize_t
gateway_stream_read(struct gateway_stream *stream, void *bytes, size_t n)
{
	size_t got = 0;
	if (stream->ssl != NULL) {
		int r = SSL_read_ex(stream->ssl, bytes, n, &got);
		return r == 1 ? (ssize_t)got : tls_failure(stream, r);
	}
	ssize_t r = recv(stream->fd, bytes, n, MSG_DONTWAIT);
	if (r >= 0)
		return r;
	stream->waits = EPOLLIN;
	return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
}

ssize_t
gateway_stream_write(struct gateway_stream *stream, const void *bytes, size_t n)
{
	size_t sent = 0;
	if (stream->ssl != NULL) {
		int r = SSL_write_ex(stream->ssl, bytes, n, &sent);
		if (r == 1)
			return (ssize_t)sent;
		ssize_t failure = tls_failure(stream, r);
		return failure == 0 ? -EPIPE : failure;
	}
	ssize_t r = send(stream->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r >= 0)
		return r;
	stream->waits = EPOLLOUT;
	return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;
}

bool
gateway_stream_has_pending(const struct gateway_stream *stream)
{
	return stream->ssl != NULL && SSL_pending(stream->ssl) > 0;
}

void
gateway_stream_end(struct gateway_stream *stream)
{
	/* The alert is one small record; if the socket is full the peer goes without. */
	if (stream->ssl != NULL && !stream->is_broken && SSL_is_init_finished(stream->ssl)) {
		(void)!SSL_shutdown(stream->ssl);
		ERR_clear_error();
	}
	shutdown(stream->fd, SHUT_WR);
}
