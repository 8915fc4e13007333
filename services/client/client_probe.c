/*
 * client_probe: see the header.
 */
#include "client/client_probe.h"

#include "client/client_echo.h"
#include "loop/clock.h"
#include "net/address.h"
#include "net/http_client.h"
#include "stun/stun_message.h"
#include "turn.pb-c.h"
#include "json/json_message.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ANSWER_MS = 3000,
	DNS_PORT = 53,
	DNS_HEADER_BYTES = 12,
	UDP_HEADERS_BYTES = 28, /* IPv4 and UDP */
	EDNS_PADDING = 12,	/* RFC 7830 */
	URL_BYTES = 700,
};

/* A question for the root's name servers, which any resolver can answer, padded to n bytes in all.
 */
static size_t
write_question(uint8_t *to, size_t n, uint16_t id)
{
	static const uint8_t question[] = { 0, 0, 2, 0, 1 };		       /* ".", NS, IN */
	static const uint8_t options[] = { 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0 }; /* EDNS */
	size_t at = DNS_HEADER_BYTES;

	memset(to, 0, n);
	memcpy(to, &id, sizeof id);
	to[2] = 1; /* recursion */
	to[5] = 1;
	to[11] = 1;
	memcpy(to + at, question, sizeof question);
	at += sizeof question;
	memcpy(to + at, options, sizeof options);
	at += sizeof options;
	size_t rest = n > at + 6 ? n - at - 2 : 4;
	to[at++] = (uint8_t)(rest >> 8);
	to[at++] = (uint8_t)rest;
	to[at + 1] = EDNS_PADDING;
	to[at + 2] = (uint8_t)((rest - 4) >> 8);
	to[at + 3] = (uint8_t)(rest - 4);
	return at + rest;
}

double
client_probe_name_server(const char *server, size_t size)
{
	struct sockaddr_storage to;
	uint8_t message[PROBE_MESSAGE_BYTES];
	uint16_t id = 0;
	double took = -1;

	if (address_parse_socket(server, DNS_PORT, &to) < 0)
		return -1;
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (int i = 0; fd >= 0 && i < PROBE_TRIES && took < 0; i++) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		if (getrandom(&id, sizeof id, 0) < 0)
			break;
		size_t n = write_question(message, size - UDP_HEADERS_BYTES, id);
		int64_t begin_us = clock_monotonic_us();
		if (connect(fd, (const struct sockaddr *)&to, address_socket_bytes(&to)) < 0 ||
		    send(fd, message, n, 0) < 0)
			break;
		if (poll(&wait, 1, ANSWER_MS) == 1 &&
		    recv(fd, message, sizeof message, 0) >= DNS_HEADER_BYTES &&
		    memcmp(message, &id, sizeof id) == 0)
			took = (double)(clock_monotonic_us() - begin_us) / 1000;
	}
	if (fd >= 0)
		close(fd);
	return took;
}

/* The answer to this echo, within ANSWER_MS. */
static bool
is_echoed(const struct client_echo *echo, uint16_t sequence, size_t bytes)
{
	int64_t end_ms = clock_monotonic_ms() + ANSWER_MS, left_ms = ANSWER_MS;
	struct pollfd wait = { .fd = echo->fd, .events = POLLIN };
	uint16_t heard;
	size_t heard_bytes;

	if (client_echo_send(echo, sequence, bytes) < 0)
		return false;
	while (left_ms > 0 && poll(&wait, 1, (int)left_ms) == 1) {
		while (client_echo_receive(echo, &heard, &heard_bytes))
			if (heard == sequence && heard_bytes == bytes)
				return true;
		left_ms = end_ms - clock_monotonic_ms();
	}
	return false;
}

enum probe_size
client_probe_size(const char *address, const char *interface, size_t bytes)
{
	struct client_echo echo;
	enum probe_size size = PROBE_SILENT;
	uint16_t sequence = 0;

	if (client_echo_open(&echo, address, interface) < 0)
		return PROBE_SILENT;
	for (int i = 0; i < PROBE_TRIES && size == PROBE_SILENT; i++)
		if (is_echoed(&echo, ++sequence, ECHO_BYTES_MIN))
			size = PROBE_LOST;
	for (int i = 0; i < PROBE_TRIES && size == PROBE_LOST; i++)
		if (is_echoed(&echo, ++sequence, bytes))
			size = PROBE_PASSES;
	client_echo_close(&echo);
	return size;
}

struct stun_asking {
	struct loop *loop;
	char host[PROBE_HOST_BYTES];
	unsigned port;
};

static void
on_servers(const struct http_answer *answer, void *arg)
{
	struct stun_asking *asking = arg;
	ProtobufCMessage *message = NULL;
	char field[JSON_FIELD_BYTES];

	if (answer->status == 200 &&
	    json_message_read(&boson__turn__stun_reply__descriptor, answer->body,
			      answer->body_bytes, 0, &message, field) == 0) {
		const Boson__Turn__StunReply *reply = (const Boson__Turn__StunReply *)message;
		const char *host = reply->n_servers > 0 ? reply->servers[0]->host : NULL;
		if (host != NULL && strlen(host) < sizeof asking->host) {
			strcpy(asking->host, host);
			asking->port =
				reply->servers[0]->has_port ? reply->servers[0]->port : STUN_PORT;
		}
		protobuf_c_message_free_unpacked(message, NULL);
	}
	loop_stop(asking->loop);
}

/* A STUN server that BosonServer names; host "" when there is none. */
static void
find_stun(const struct client_options *options, struct stun_asking *ret)
{
	struct http_client *http = NULL;
	const char *server = options->server;
	char url[URL_BYTES];
	const struct http_request request = { .method = "GET",
					      .url = url,
					      .timeout_ms = ANSWER_MS };

	snprintf(url, sizeof url, "%s/api/v1/turn/stun", server);
	if (loop_new(&ret->loop) < 0)
		return;
	if (http_client_new(ret->loop, options->ca_file, &http) == 0 &&
	    http_client_send(http, &request, on_servers, ret) == 0)
		loop_run(ret->loop);
	http_client_free(&http);
	loop_free(&ret->loop);
}

static int
ask_stun(const struct stun_asking *server, char ret_address[INET6_ADDRSTRLEN])
{
	static const uint8_t head[] = { 0, STUN_BINDING, 0, 0, 0x21, 0x12, 0xa4, 0x42 };
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM }, *found;
	uint8_t request[STUN_HEADER_BYTES], answer[STUN_MESSAGE_MAX_BYTES];
	struct stun_message message;
	struct sockaddr_in6 mapped;
	bool is_legacy;
	char port[8];
	int r = -ETIMEDOUT;

	snprintf(port, sizeof port, "%u", server->port);
	if (getaddrinfo(server->host, port, &hints, &found) != 0)
		return -EHOSTUNREACH;
	memcpy(request, head, sizeof head);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
		r = -errno;
	for (int i = 0; r == -ETIMEDOUT && i < PROBE_TRIES; i++) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		if (getrandom(request + sizeof head, STUN_TRANSACTION_BYTES, 0) < 0 ||
		    send(fd, request, sizeof request, 0) < 0 || poll(&wait, 1, ANSWER_MS) != 1)
			continue;
		ssize_t n = recv(fd, answer, sizeof answer, 0);
		if (n > 0 && stun_message_parse(answer, (size_t)n, &message) == 0 &&
		    memcmp(message.transaction, request + sizeof head, STUN_TRANSACTION_BYTES) ==
			    0 &&
		    stun_mapped_address(&message, &mapped, &is_legacy) == 0)
			r = 0;
	}
	if (fd >= 0)
		close(fd);
	freeaddrinfo(found);
	if (r == 0)
		address_format(&mapped.sin6_addr, ret_address);
	return r;
}

int
client_probe_exit(const struct client_options *options, char ret_host[PROBE_HOST_BYTES],
		  char ret_address[INET6_ADDRSTRLEN])
{
	struct stun_asking server = { .port = 0 };

	find_stun(options, &server);
	if (server.host[0] == '\0')
		return -ENOENT;
	memcpy(ret_host, server.host, sizeof server.host);
	return ask_stun(&server, ret_address);
}
