/* herd_wire: see the header. Certificates are not looked at: it is our own relay that is measured.
 */
#include "herd_wire.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int
on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct herd_line *line = SSL_get_app_data(ssl);

	SSL_SESSION_free(line->session);
	line->session = SSL_SESSION_dup(session);
	return 0;
}

void *
herd_wire_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context == NULL)
		return NULL;
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(context,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(context, on_new_session);
	return context;
}

static int
outcome(struct herd_line *line, int r)
{
	switch (SSL_get_error(line->ssl, r)) {
	case SSL_ERROR_WANT_WRITE:
		line->wants_out = true;
		return 0;
	case SSL_ERROR_WANT_READ:
		return 0;
	default:
		return -1;
	}
}

int
herd_wire_handshake(struct herd_line *line)
{
	if (line->ssl_context == NULL)
		return 1;
	if (line->ssl == NULL) {
		line->ssl = SSL_new(line->ssl_context);
		SSL_set_app_data(line->ssl, line);
		SSL_set_fd(line->ssl, line->fd);
		if (line->session != NULL)
			SSL_set_session(line->ssl, line->session);
	}
	int r = SSL_connect(line->ssl);
	if (r == 1) {
		line->is_resumed = SSL_session_reused(line->ssl) == 1;
		return 1;
	}
	return outcome(line, r);
}

ssize_t
herd_wire_read(struct herd_line *line, uint8_t *to, size_t n)
{
	if (line->ssl != NULL) {
		int r = SSL_read(line->ssl, to, (int)n);
		return r > 0 ? r : outcome(line, r);
	}
	ssize_t got = recv(line->fd, to, n, MSG_DONTWAIT);
	if (got > 0)
		return got;
	return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

ssize_t
herd_wire_write(struct herd_line *line, const uint8_t *bytes, size_t n)
{
	if (line->ssl != NULL) {
		int r = SSL_write(line->ssl, bytes, (int)n);
		return r > 0 ? r : outcome(line, r);
	}
	ssize_t put = send(line->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put >= 0)
		return put;
	line->wants_out = errno == EAGAIN;
	return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

void
herd_wire_close(struct herd_line *line)
{
	SSL_free(line->ssl);
	line->ssl = NULL;
	if (line->fd >= 0)
		close(line->fd);
	line->fd = -1;
}
