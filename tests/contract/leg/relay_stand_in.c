/*
 * relay_stand_in: see the header. What a connection is and how it speaks is in stand_in_wire.
 */
#include "stand_in_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DRIP_US = 100 * 1000 };

static void answer(struct connection *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void
answer(struct connection *c, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	int n = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	for (int i = 0; i < n && strcmp(c->path, "/drip") == 0; i++) {
		if (atomic_load(&c->relay->stop) || !stand_in_write_all(c, text + i, 1))
			return;
		usleep(DRIP_US);
	}
	if (strcmp(c->path, "/drip") != 0)
		stand_in_write_all(c, text, (size_t)n);
}

static void
answer_request(struct connection *c, const char *request)
{
	char body[4096] = "", text[8192], length[16] = "0";

	stand_in_header_value(request, "Content-Length", length, sizeof length);
	size_t n = (size_t)atoi(length);
	if (c->relay->answer_http == NULL || n >= sizeof body || !stand_in_read_all(c, body, n))
		return;
	n = c->relay->answer_http(request, body, text, sizeof text, c->relay->arg);
	stand_in_write_all(c, text, n);
}

/* True when the connection is a WebSocket now. */
static bool
handshake(struct connection *c)
{
	struct stand_in *relay = c->relay;
	char request[8192], key[64], joined[128], accept[32] = "";
	uint8_t digest[SHA_DIGEST_LENGTH];

	if (!stand_in_read_request(c, request, sizeof request))
		return false;
	if (!stand_in_header_value(request, "Sec-WebSocket-Key", key, sizeof key)) {
		answer_request(c, request);
		return false;
	}
	pthread_mutex_lock(&relay->lock);
	stand_in_header_value(request, "Authorization", relay->authorization,
			      sizeof relay->authorization);
	stand_in_header_value(request, "Host", relay->host, sizeof relay->host);
	pthread_mutex_unlock(&relay->lock);
	snprintf(joined, sizeof joined, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	SHA1((const unsigned char *)joined, strlen(joined), digest);
	EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
	if (strncmp(c->path, "/status/", 8) == 0)
		answer(c, "HTTP/1.1 %s Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		       c->path + 8);
	else if (strcmp(c->path, "/redirect") == 0)
		answer(c, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
		       "/echo");
	else if (strcmp(c->path, "/mute") != 0) {
		answer(c,
		       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		       "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s%s\r\n",
		       strcmp(c->path, "/wrongaccept") == 0 ? "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
							    : accept,
		       strcmp(c->path, "/nosubprotocol") == 0
			       ? ""
			       : "Sec-WebSocket-Protocol: higgs.v1\r\n",
		       relay->more_headers != NULL ? relay->more_headers : "");
		return true;
	}
	return false;
}

static void
count(struct stand_in *relay, const uint8_t *message, size_t n)
{
	unsigned number = 0;

	if (message[0] == 2 && atomic_fetch_add(&relay->control, 1) == 0)
		atomic_store(&relay->before_control, atomic_load(&relay->messages));
	if (n >= 5 && message[0] == 1) {
		memcpy(&number, message + 1, sizeof number);
		if (number <= atomic_load(&relay->last_data))
			atomic_fetch_add(&relay->order_errors, 1);
		atomic_store(&relay->last_data, number);
	}
	atomic_fetch_add(&relay->bytes, n);
	atomic_fetch_add(&relay->messages, 1);
}

static void
send_raw(struct connection *c, const char *hex)
{
	uint8_t bytes[128];
	unsigned byte;
	size_t n = 0;

	for (; n < sizeof bytes && sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
		bytes[n] = (uint8_t)byte;
	stand_in_write_all(c, bytes, n);
}

static void
send_control(struct connection *c, size_t n)
{
	static const uint8_t control[MESSAGE_MAX] = { 2 };

	while (!atomic_load(&c->relay->stop) && stand_in_send_frame(c, FIN | OP_BINARY, control, n))
		atomic_fetch_add(&c->relay->control_sent, n);
}

static bool
is_unheard(const struct connection *c)
{
	return strncmp(c->path, "/raw/", 5) == 0 ||
	       (strcmp(c->path, "/stall") == 0 && !atomic_load(&c->relay->is_released));
}

static void
begin(struct connection *c)
{
	static const uint8_t zeros[MESSAGE_MAX] = { 1 };

	if (strncmp(c->path, "/close/", 7) == 0) {
		int code = atoi(c->path + 7);
		const char *reason = code == 1012   ? "draining"
				     : code == 1013 ? "overloaded"
						    : "told to";
		uint8_t close[64] = { (uint8_t)(code >> 8), (uint8_t)code };
		memcpy(close + 2, reason, strlen(reason));
		stand_in_send_frame(c, FIN | OP_CLOSE, close, 2 + strlen(reason));
	} else if (strcmp(c->path, "/fragments") == 0) {
		stand_in_send_frame(c, OP_BINARY, "\1\0\3", 3);
		stand_in_send_frame(c, 0, "ab", 2);
		stand_in_send_frame(c, FIN, "c", 1);
	} else if (strncmp(c->path, "/halves/", 8) == 0) {
		stand_in_send_frame(c, OP_BINARY, zeros, (size_t)atoi(c->path + 8));
		stand_in_send_frame(c, FIN, zeros, (size_t)atoi(c->path + 8));
	} else if (strcmp(c->path, "/text") == 0) {
		stand_in_send_frame(c, FIN | OP_TEXT, "\1\0\1a", 4);
	} else if (strcmp(c->path, "/large") == 0) {
		stand_in_send_frame(c, FIN | OP_BINARY, zeros, 64 * 1024 + 1);
	} else if (strcmp(c->path, "/flood") == 0) {
		for (unsigned i = 1; i <= c->relay->flood_n; i++) {
			uint8_t message[1400] = { 1 };
			memcpy(message + 1, &i, sizeof i);
			if (!stand_in_send_frame(c, FIN | OP_BINARY, message,
						 5 + i % (sizeof message - 5)))
				return;
		}
	}
	if (strncmp(c->path, "/raw", 4) == 0)
		send_raw(c, strchr(c->path + 1, '/') + 1);
	else if (strncmp(c->path, "/control/", 9) == 0)
		send_control(c, (size_t)atoi(c->path + 9));
	while (is_unheard(c) && !atomic_load(&c->relay->stop))
		usleep(1000);
}

/* Each datagram of a message to the port. */
static void
to_udp(int udp, const uint8_t *message, size_t n)
{
	for (size_t at = 1; at + 2 <= n;) {
		size_t size = (size_t)message[at] << 8 | message[at + 1];
		at += 2;
		if (message[0] != 1 || size > n - at)
			return;
		send(udp, message + at, size, 0);
		at += size;
	}
}

static int
open_udp(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	connect(fd, (struct sockaddr *)&address, sizeof address);
	return fd;
}

/* One thread for both ways, since a TLS connection is for one. */
static void
carry(struct connection *c)
{
	static _Thread_local uint8_t payload[MESSAGE_MAX];
	uint16_t port = atomic_load(&c->relay->udp_port);
	struct pollfd fds[2] = { { .fd = c->fd, .events = POLLIN },
				 { .fd = open_udp(port), .events = POLLIN } };
	size_t n;
	ssize_t got;

	while (!atomic_load(&c->relay->stop)) {
		bool is_pending = c->ssl != NULL && SSL_pending(c->ssl) > 0;
		if (poll(fds, 2, is_pending ? 0 : -1) < 0)
			break;
		while ((got = recv(fds[1].fd, payload + 3, MESSAGE_MAX - 3, 0)) > 0) {
			payload[0] = 1;
			payload[1] = (uint8_t)(got >> 8);
			payload[2] = (uint8_t)got;
			if (!stand_in_send_frame(c, FIN | OP_BINARY, payload, (size_t)got + 3))
				break;
		}
		if (!is_pending && (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0)
			continue;
		int opcode = stand_in_receive_frame(c, payload, &n);
		if (opcode == OP_CLOSE)
			stand_in_send_frame(c, FIN | OP_CLOSE, payload, n);
		if (opcode < 0 || opcode == OP_CLOSE)
			break;
		if (opcode == OP_PING)
			stand_in_send_frame(c, FIN | 10, payload, n);
		else if (opcode == OP_BINARY) {
			count(c->relay, payload, n);
			if (port != atomic_load(&c->relay->deaf_port))
				to_udp(fds[1].fd, payload, n);
		}
	}
	close(fds[1].fd);
}

/* As slow as a thin uplink: each byte takes its time, and so does the next message. */
static void
be_slow(struct connection *c, const uint8_t *message, size_t n)
{
	static _Thread_local struct timespec due;
	struct timespec now;
	uint32_t channel = n >= 5 ? (uint32_t)message[3] << 8 | message[4] : 0;
	long long ns = 1000000000LL * (long long)n / atoi(c->path + strlen("/slow/"));

	if (channel < STAND_IN_CHANNELS) {
		atomic_fetch_add(&c->relay->channel_bytes[channel], n);
		atomic_fetch_add(&c->relay->channel_messages[channel], 1);
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (due.tv_sec < now.tv_sec || (due.tv_sec == now.tv_sec && due.tv_nsec < now.tv_nsec))
		due = now; /* what it could not take is not saved up */
	due.tv_nsec += (long)ns;
	due.tv_sec += due.tv_nsec / 1000000000;
	due.tv_nsec %= 1000000000;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static void
converse(struct connection *c)
{
	uint8_t *payload = malloc(MESSAGE_MAX);
	bool is_slow = strncmp(c->path, "/slow/", 6) == 0;
	bool is_echo = !is_slow && strcmp(c->path, "/sink") != 0 && strcmp(c->path, "/stall") != 0;
	size_t n = 0;
	int opcode;

	begin(c);
	while (payload != NULL && (opcode = stand_in_receive_frame(c, payload, &n)) >= 0) {
		if (opcode == OP_CLOSE) {
			atomic_store(&c->relay->close_code,
				     n >= 2 ? payload[0] << 8 | payload[1] : 1005);
			stand_in_send_frame(c, FIN | OP_CLOSE, payload, n);
			break;
		}
		if (opcode == OP_PING)
			stand_in_send_frame(c, FIN | 10, payload, n);
		if (opcode != OP_BINARY)
			continue;
		count(c->relay, payload, n);
		if (is_slow)
			be_slow(c, payload, n);
		if (is_echo && !stand_in_send_frame(c, FIN | OP_BINARY, payload, n))
			break;
	}
	free(payload);
}

struct worker {
	struct stand_in *relay;
	size_t place;
};

static void *
worker_main(void *arg)
{
	struct worker worker = *(struct worker *)arg;
	struct connection c = { .relay = worker.relay };

	free(arg);
	c.fd = atomic_load(&worker.relay->connection_fds[worker.place]);
	if (worker.relay->tls != NULL) {
		c.ssl = SSL_new(worker.relay->tls);
		SSL_set_fd(c.ssl, c.fd);
	}
	if ((c.ssl == NULL || SSL_accept(c.ssl) == 1) && handshake(&c)) {
		if (strncmp(c.path, "/relay/", 7) == 0)
			carry(&c);
		else
			converse(&c);
	}
	while (strcmp(c.path, "/mute") == 0 && !atomic_load(&worker.relay->stop))
		usleep(1000);
	SSL_free(c.ssl);
	shutdown(c.fd, SHUT_RDWR);
	return NULL;
}

static void *
accepter_main(void *arg)
{
	struct stand_in *relay = arg;

	while (!atomic_load(&relay->stop)) {
		int fd = accept(relay->fd, NULL, NULL);
		size_t place = atomic_load(&relay->connection_n);
		if (fd < 0)
			break;
		struct worker *worker = malloc(sizeof *worker);
		if (place == STAND_IN_CONNECTIONS_MAX || worker == NULL) {
			free(worker);
			close(fd);
			continue;
		}
		*worker = (struct worker){ .relay = relay, .place = place };
		atomic_store(&relay->connection_fds[place], fd);
		if (pthread_create(&relay->workers[place], NULL, worker_main, worker) != 0)
			abort();
		atomic_store(&relay->connection_n, place + 1);
	}
	return NULL;
}

int
stand_in_start(struct stand_in *relay, uint16_t port, const char *certificate, const char *key)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	socklen_t n = sizeof address;
	const int one = 1, small = 16 * 1024;

	signal(SIGPIPE, SIG_IGN);
	*relay = (struct stand_in){ .answer_http = relay->answer_http,
				    .arg = relay->arg,
				    .udp_port = atomic_load(&relay->udp_port),
				    .deaf_port = atomic_load(&relay->deaf_port),
				    .flood_n = relay->flood_n,
				    .more_headers = relay->more_headers };
	pthread_mutex_init(&relay->lock, NULL);
	if (certificate != NULL) {
		relay->tls = SSL_CTX_new(TLS_server_method());
		if (SSL_CTX_use_certificate_file(relay->tls, certificate, SSL_FILETYPE_PEM) != 1 ||
		    SSL_CTX_use_PrivateKey_file(relay->tls, key, SSL_FILETYPE_PEM) != 1)
			return -EINVAL;
	}
	/* Both families on one port. */
	relay->fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(relay->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(relay->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	if (bind(relay->fd, (struct sockaddr *)&address, n) < 0 || listen(relay->fd, 16) < 0 ||
	    getsockname(relay->fd, (struct sockaddr *)&address, &n) < 0)
		return -errno;
	relay->port = ntohs(address.sin6_port);
	return -pthread_create(&relay->accepter, NULL, accepter_main, relay);
}

void
stand_in_stop(struct stand_in *relay)
{
	atomic_store(&relay->stop, true);
	shutdown(relay->fd, SHUT_RDWR);
	pthread_join(relay->accepter, NULL);
	size_t n = atomic_load(&relay->connection_n);
	for (size_t i = 0; i < n; i++)
		shutdown(atomic_load(&relay->connection_fds[i]), SHUT_RDWR);
	for (size_t i = 0; i < n; i++) {
		pthread_join(relay->workers[i], NULL);
		close(atomic_load(&relay->connection_fds[i]));
	}
	close(relay->fd);
	SSL_CTX_free(relay->tls);
	pthread_mutex_destroy(&relay->lock);
}
