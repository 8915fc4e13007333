/*
 * load_line: see the header.
 */
#include "load_line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
load_die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("relay-load: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(1);
}

static struct sockaddr_in
loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void
start_tls(struct load_line *line, SSL_CTX *tls, bool is_server)
{
	if (tls == NULL)
		return;
	line->ssl = SSL_new(tls);
	SSL_set_fd(line->ssl, line->fd);
	if ((is_server ? SSL_accept(line->ssl) : SSL_connect(line->ssl)) != 1)
		load_die("TLS handshake failed: %s",
			 ERR_reason_error_string(ERR_peek_last_error()));
}

int load_line_segment_bytes;

static void
set_segment(int fd)
{
	if (load_line_segment_bytes != 0)
		setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &load_line_segment_bytes,
			   sizeof(load_line_segment_bytes));
}

void
load_line_connect(struct load_line *line, uint16_t port, SSL_CTX *tls)
{
	struct sockaddr_in address = loopback(port);
	int on = 1;

	*line = (struct load_line){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	set_segment(line->fd);
	if (line->fd < 0 || connect(line->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		load_die("connect to port %u: %s", port, strerror(errno));
	setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	start_tls(line, tls, false);
}

int
load_line_listen(uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	set_segment(fd);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 1024) < 0)
		load_die("listen on port %u: %s", port, strerror(errno));
	return fd;
}

void
load_line_accept(struct load_line *line, int listen_fd, SSL_CTX *tls)
{
	int on = 1;

	*line = (struct load_line){ .fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC) };
	if (line->fd < 0)
		load_die("accept: %s", strerror(errno));
	setsockopt(line->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	start_tls(line, tls, true);
}

void
load_line_write(struct load_line *line, const void *bytes, size_t n)
{
	if (load_line_send(line, bytes, n) != n)
		load_die("write while setting up failed");
}

void
load_line_read(struct load_line *line, void *bytes, size_t n)
{
	for (size_t done = 0; done < n;) {
		size_t got = load_line_receive(line, (uint8_t *)bytes + done, n - done);
		if (got == 0)
			load_die("read while setting up failed");
		done += got;
	}
}

void
load_line_bind(struct load_line *line, uint16_t *ret_port)
{
	struct sockaddr_in address = loopback(0);
	socklen_t n = sizeof(address);
	int size = 4 * 1024 * 1024;

	*line = (struct load_line){ .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
				    .is_udp = true };
	if (line->fd < 0 || bind(line->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockname(line->fd, (struct sockaddr *)&address, &n) < 0)
		load_die("UDP socket: %s", strerror(errno));
	setsockopt(line->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (ret_port != NULL)
		*ret_port = ntohs(address.sin_port);
}

void
load_line_aim(struct load_line *line, uint16_t port)
{
	struct sockaddr_in address = loopback(port);

	if (connect(line->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		load_die("UDP connect: %s", strerror(errno));
}

void
load_line_ask(struct load_line *line, const char *id, const char *ticket)
{
	char text[1024];
	int length =
		snprintf(text, sizeof(text),
			 "GET /relay/%s HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\n"
			 "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
			 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: higgs.v1\r\n"
			 "Authorization: Bearer %s\r\n\r\n",
			 id, ticket);

	load_line_write(line, text, (size_t)length);
}

/* Reads a head, byte by byte: nothing beyond it is taken. */
static void
read_head(struct load_line *line, char *text, size_t size)
{
	size_t n = 0;

	do {
		if (n == size - 1)
			load_die("the head of an upgrade does not end");
		load_line_read(line, text + n++, 1);
		text[n] = '\0';
	} while (n < 4 || memcmp(text + n - 4, "\r\n\r\n", 4) != 0);
}

void
load_line_answered(struct load_line *line)
{
	char text[2048];

	read_head(line, text, sizeof(text));
	if (strncmp(text, "HTTP/1.1 101 ", 13) != 0)
		load_die("the upgrade was refused: %.40s", text);
}

void
load_line_grant(struct load_line *line)
{
	static const char answer[] =
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
		"Sec-WebSocket-Protocol: higgs.v1\r\n\r\n";
	char text[4096];

	read_head(line, text, sizeof(text));
	load_line_write(line, answer, sizeof(answer) - 1);
}

void
load_line_set_nonblocking(struct load_line *line)
{
	fcntl(line->fd, F_SETFL, O_NONBLOCK);
	if (line->ssl != NULL)
		SSL_set_mode(line->ssl,
			     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static size_t
tls_result(struct load_line *line, int ok, size_t n)
{
	if (ok == 1)
		return n;
	int error = SSL_get_error(line->ssl, ok);
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		load_die("TLS connection is lost (%d)", error);
	return 0;
}

static size_t
tcp_result(ssize_t n)
{
	if (n > 0)
		return (size_t)n;
	if (n < 0 &&
	    (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ECONNREFUSED))
		return 0;
	load_die("connection is lost: %s", n == 0 ? "closed" : strerror(errno));
}

size_t
load_line_send(struct load_line *line, const uint8_t *bytes, size_t n)
{
	size_t done = 0;

	if (line->ssl != NULL) {
		int ok = SSL_write_ex(line->ssl, bytes, n, &done);

		return tls_result(line, ok, done);
	}
	return tcp_result(send(line->fd, bytes, n, MSG_NOSIGNAL));
}

size_t
load_line_receive(struct load_line *line, uint8_t *bytes, size_t n)
{
	size_t done = 0;

	if (line->ssl != NULL) {
		int ok = SSL_read_ex(line->ssl, bytes, n, &done);

		return tls_result(line, ok, done);
	}
	return tcp_result(recv(line->fd, bytes, n, 0));
}
