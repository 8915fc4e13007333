/*
 * tls_server: blocking, one connection after the other: enough for a test, and simple.
 */
#include "tls_server.h"
#include "../../temp_folder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { REQUEST_MAX_BYTES = 64 * 1024 };

struct tls_server {
	struct tls_server_options options;
	struct temp_folder folder;
	char ca_file[64];
	SSL_CTX *ctx;
	int listen_fd, stop_fd;
	uint16_t port;
	atomic_uint connections;
	pthread_t thread;
};

struct connection {
	int fd;
	SSL *ssl; /* NULL: plain */
};

static ssize_t
connection_read(struct connection *c, char *bytes, size_t n)
{
	return c->ssl ? SSL_read(c->ssl, bytes, (int)n) : recv(c->fd, bytes, n, 0);
}

static void
connection_write(struct connection *c, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t done = c->ssl ? SSL_write(c->ssl, bytes, (int)n)
				      : send(c->fd, bytes, n, MSG_NOSIGNAL);

		if (done <= 0)
			return;
		bytes += done;
		n -= (size_t)done;
	}
}

static size_t
expected_bytes(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n");
	const char *length = strcasestr(request, "\r\nContent-Length:");

	if (!end)
		return REQUEST_MAX_BYTES;
	return (size_t)(end + 4 - request) + (length ? strtoul(length + 17, NULL, 10) : 0);
}

static bool
read_request(struct connection *c, char request[REQUEST_MAX_BYTES])
{
	size_t n = 0;

	request[0] = '\0';
	while (n < expected_bytes(request)) {
		ssize_t got = n < REQUEST_MAX_BYTES - 1
				      ? connection_read(c, request + n, REQUEST_MAX_BYTES - 1 - n)
				      : 0;

		if (got <= 0)
			return false;
		n += (size_t)got;
		request[n] = '\0';
		/* A TLS client hello at a plain server: answered, as real ones do. */
		if (request[0] == 0x16)
			return true;
	}
	return true;
}

static void
serve(struct tls_server *server, struct connection *c)
{
	static char request[REQUEST_MAX_BYTES];
	char *answer = NULL, nothing[16];
	size_t n = 0;
	FILE *out;
	bool has_answer;

	if (!read_request(c, request))
		return;
	out = open_memstream(&answer, &n);
	has_answer = server->options.fn(request, out, server->options.arg);
	fclose(out);
	if (has_answer)
		connection_write(c, answer, n);
	else
		while (connection_read(c, nothing, sizeof(nothing)) > 0)
			;
	free(answer);
}

static void
take_connection(struct tls_server *server, int fd)
{
	struct connection c = { .fd = fd };

	atomic_fetch_add(&server->connections, 1);
	if (server->ctx) {
		c.ssl = SSL_new(server->ctx);
		SSL_set_fd(c.ssl, fd);
	}
	if (!c.ssl || SSL_accept(c.ssl) == 1)
		serve(server, &c);
	if (c.ssl) {
		SSL_shutdown(c.ssl);
		SSL_free(c.ssl);
	}
	shutdown(fd, SHUT_WR);
	close(fd);
}

static void *
run(void *arg)
{
	struct tls_server *server = arg;
	struct pollfd polled[2] = { { .fd = server->listen_fd, .events = POLLIN },
				    { .fd = server->stop_fd, .events = POLLIN } };
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	while (poll(polled, 2, -1) > 0 && !polled[1].revents) {
		int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			take_connection(server, fd);
	}
	return NULL;
}

static int
listen_somewhere(struct tls_server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(address);

	server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server->listen_fd < 0 ||
	    bind(server->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(server->listen_fd, 16) < 0 ||
	    getsockname(server->listen_fd, (struct sockaddr *)&address, &n) < 0)
		return -errno;
	server->port = ntohs(address.sin_port);
	return 0;
}

static int
prepare_tls(struct tls_server *server)
{
	const char *name = server->options.name ? server->options.name : "localhost";
	int r = tls_certificate_make(server->folder.path, name, server->options.is_expired);

	if (r < 0)
		return r;
	server->ctx = SSL_CTX_new(TLS_server_method());
	if (!server->ctx ||
	    SSL_CTX_use_certificate_file(server->ctx,
					 temp_folder_file(&server->folder, "server.pem"),
					 SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(server->ctx,
					temp_folder_file(&server->folder, "server.key"),
					SSL_FILETYPE_PEM) != 1)
		return -EIO;
	return 0;
}

int
tls_server_start(const struct tls_server_options *options, struct tls_server **ret)
{
	struct tls_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->options = *options;
	temp_folder_make(&server->folder);
	snprintf(server->ca_file, sizeof(server->ca_file), "%s/ca.pem", server->folder.path);
	server->stop_fd = eventfd(0, EFD_CLOEXEC);
	r = options->is_plain ? 0 : prepare_tls(server);
	if (r == 0)
		r = listen_somewhere(server);
	if (r == 0)
		r = -pthread_create(&server->thread, NULL, run, server);
	if (r < 0)
		free(server);
	else
		*ret = server;
	return r;
}

void
tls_server_stop(struct tls_server **server)
{
	struct tls_server *s = *server;

	if (!s)
		return;
	*server = NULL;
	if (eventfd_write(s->stop_fd, 1) == 0)
		pthread_join(s->thread, NULL);
	close(s->listen_fd);
	close(s->stop_fd);
	SSL_CTX_free(s->ctx);
	temp_folder_drop(&s->folder);
	free(s);
}

uint16_t
tls_server_port(const struct tls_server *server)
{
	return server->port;
}

const char *
tls_server_ca_file(const struct tls_server *server)
{
	return server->ca_file;
}

unsigned
tls_server_connections(const struct tls_server *server)
{
	return atomic_load(&server->connections);
}

void
tls_server_write(FILE *out, int status, const char *headers, const char *body)
{
	fprintf(out, "HTTP/1.1 %d X\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s",
		status, headers, strlen(body), body);
}
