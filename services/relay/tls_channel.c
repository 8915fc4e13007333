/*
 * tls_channel: a BIO of our own hands OpenSSL the caller's buffers. With SSL_MODE_RELEASE_BUFFERS
 * OpenSSL's own are freed whenever they are empty.
 */
#include "relay/tls_channel.h"

#include "log/log.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

struct tls_context {
	SSL_CTX *ssl;
	struct tls_tickets tickets;
	BIO_METHOD *method;
};

struct tls_channel {
	SSL *ssl;
	struct tls_io *io; /* of the call under way */
	uint32_t key_updates;
	uint32_t bytes_since;
};

static int
wire_read(BIO *bio, char *to, size_t n, size_t *ret_n)
{
	struct tls_io *io = ((struct tls_channel *)BIO_get_data(bio))->io;

	BIO_clear_retry_flags(bio);
	if (io == NULL || io->in_n == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	*ret_n = n < io->in_n ? n : io->in_n;
	memcpy(to, io->in, *ret_n);
	io->in += *ret_n;
	io->in_n -= *ret_n;
	return 1;
}

static int
wire_write(BIO *bio, const char *from, size_t n, size_t *ret_n)
{
	struct tls_io *io = ((struct tls_channel *)BIO_get_data(bio))->io;

	BIO_clear_retry_flags(bio);
	if (io == NULL || n > io->out_capacity - io->out_n)
		return 0; /* a defect of the caller's: the channel fails */
	memcpy(io->out + io->out_n, from, n);
	io->out_n += n;
	*ret_n = n;
	return 1;
}

static long
wire_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/* Counts KeyUpdates, each of which costs us a key schedule and an answer. */
static void
message_seen(int is_written, int version, int type, const void *bytes, size_t n, SSL *ssl,
	     void *arg)
{
	struct tls_channel *channel = arg;

	(void)version;
	(void)ssl;
	if (!is_written && type == SSL3_RT_HANDSHAKE && n > 0 &&
	    *(const uint8_t *)bytes == SSL3_MT_KEY_UPDATE)
		channel->key_updates++;
}

static int
choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_n,
		const unsigned char *offered, unsigned int n, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, ret_n, ours, sizeof(ours) - 1, offered, n) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int
refuse(const char *what, const char *path)
{
	unsigned long error = ERR_peek_last_error();

	log_error("tls_config", "what=%s path=%s reason=\"%s\"", what, path,
		  error != 0 ? ERR_reason_error_string(error) : "unknown");
	ERR_clear_error();
	return -EINVAL;
}

static int
load_keys(SSL_CTX *ssl, const char *certificate_path, const char *key_path)
{
	if (SSL_CTX_use_certificate_chain_file(ssl, certificate_path) != 1)
		return refuse("certificate", certificate_path);
	if (SSL_CTX_use_PrivateKey_file(ssl, key_path, SSL_FILETYPE_PEM) != 1)
		return refuse("private_key", key_path);
	if (SSL_CTX_check_private_key(ssl) != 1)
		return refuse("private_key_does_not_fit", key_path);
	return 0;
}

static int
set_up(SSL_CTX *ssl)
{
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ssl, 0);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
	if (SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ssl, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					  "TLS_CHACHA20_POLY1305_SHA256") != 1 ||
	    SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
		return -EINVAL;
	return 0;
}

static BIO_METHOD *
wire_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");

	if (method == NULL)
		return NULL;
	BIO_meth_set_read_ex(method, wire_read);
	BIO_meth_set_write_ex(method, wire_write);
	BIO_meth_set_ctrl(method, wire_control);
	return method;
}

int
tls_context_new(const char *certificate_path, const char *key_path, struct tls_context **ret)
{
	struct tls_context *context = calloc(1, sizeof(*context));
	int r = -ENOMEM;

	if (context == NULL)
		return -ENOMEM;
	tls_tickets_init(&context->tickets);
	context->ssl = SSL_CTX_new(TLS_server_method());
	context->method = wire_method();
	if (context->ssl != NULL && context->method != NULL)
		r = set_up(context->ssl);
	if (r == 0)
		r = load_keys(context->ssl, certificate_path, key_path);
	if (r < 0) {
		tls_context_free(&context);
		return r;
	}
	*ret = context;
	return 0;
}

int
tls_context_resume(struct tls_context *context, const uint8_t secrets[][TLS_TICKET_SECRET_BYTES],
		   size_t n, int64_t life_ms)
{
	int r = tls_tickets_set(&context->tickets, secrets, n);

	return r < 0 ? r : tls_tickets_use(&context->tickets, context->ssl, (long)(life_ms / 1000));
}

void
tls_context_free(struct tls_context **context)
{
	struct tls_context *c = *context;

	*context = NULL;
	if (c == NULL)
		return;
	SSL_CTX_free(c->ssl);
	tls_tickets_fini(&c->tickets);
	BIO_meth_free(c->method);
	free(c);
}

struct tls_channel *
tls_channel_new(struct tls_context *context)
{
	struct tls_channel *channel = calloc(1, sizeof(*channel));
	BIO *bio;

	if (channel == NULL)
		return NULL;
	channel->ssl = SSL_new(context->ssl);
	bio = channel->ssl != NULL ? BIO_new(context->method) : NULL;
	if (bio == NULL) {
		tls_channel_free(&channel);
		ERR_clear_error();
		return NULL;
	}
	BIO_set_data(bio, channel);
	BIO_set_init(bio, 1);
	SSL_set_bio(channel->ssl, bio, bio);
	SSL_set_accept_state(channel->ssl);
	SSL_set_msg_callback(channel->ssl, message_seen);
	SSL_set_msg_callback_arg(channel->ssl, channel);
	return channel;
}

void
tls_channel_free(struct tls_channel **channel)
{
	struct tls_channel *c = *channel;

	*channel = NULL;
	if (c == NULL)
		return;
	SSL_free(c->ssl);
	free(c);
}

static bool
is_flooded(struct tls_channel *channel, size_t n)
{
	channel->bytes_since += (uint32_t)n;
	if (channel->bytes_since >= TLS_KEY_UPDATE_BYTES) {
		channel->bytes_since = 0;
		channel->key_updates = 0;
	}
	return channel->key_updates > TLS_KEY_UPDATES_MAX;
}

size_t
tls_channel_read(struct tls_channel *channel, struct tls_io *io, uint8_t *to, size_t capacity,
		 int *ret_state)
{
	size_t done = 0, n = 0;
	int error = SSL_ERROR_NONE;

	channel->io = io;
	*ret_state = 0;

	if (ERR_peek_error() != 0)
		ERR_clear_error(); /* which takes longer than to ask */
	/* OpenSSL asks for no more of the input than the record it is at, so that nothing is left
	 * in its hands when the input is used up. */
	do {
		if (SSL_read_ex(channel->ssl, to + done, capacity - done, &n) != 1) {
			error = SSL_get_error(channel->ssl, 0);
			ERR_clear_error();
			break;
		}
		done += n;
	} while (!is_flooded(channel, n) && io->in_n > 0 && done < capacity);
	if (is_flooded(channel, 0))
		*ret_state = -EPROTO;
	else if (error == SSL_ERROR_ZERO_RETURN)
		*ret_state = -ECONNRESET;
	else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_NONE)
		*ret_state = -EPROTO;
	channel->io = NULL;
	return done;
}

int
tls_channel_write(struct tls_channel *channel, struct tls_io *io, const uint8_t *from, size_t n)
{
	size_t written = 0;
	int ok = 1;

	if (n == 0)
		return 0;
	channel->io = io;
	ok = SSL_write_ex(channel->ssl, from, n, &written);
	channel->io = NULL;
	if (ok == 1 && written == n)
		return 0;
	ERR_clear_error();
	return -EPROTO;
}

void
tls_channel_close(struct tls_channel *channel, struct tls_io *io)
{
	channel->io = io;
	if (SSL_is_init_finished(channel->ssl))
		SSL_shutdown(channel->ssl);
	ERR_clear_error();
	channel->io = NULL;
}
