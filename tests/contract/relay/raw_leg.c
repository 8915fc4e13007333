/*
 * raw_leg: plain sockets and OpenSSL, nothing of the relay's.
 */
#include "raw_leg.h"

#include "relay_fixture.h"

#include "loop/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 15 * 1000, FRAME_MAX_BYTES = 14 + 128 * 1024 };

static bool
shake_hands(struct raw_leg *leg, const char *certificate)
{
	leg->ssl_context = SSL_CTX_new(TLS_client_method());
	assert_int_equal(SSL_CTX_load_verify_locations(leg->ssl_context, certificate, NULL), 1);
	SSL_CTX_set_verify(leg->ssl_context, SSL_VERIFY_PEER, NULL);
	leg->ssl = SSL_new(leg->ssl_context);
	SSL_set_fd(leg->ssl, leg->fd);
	return SSL_connect(leg->ssl) == 1;
}

struct raw_leg *
raw_leg_try(const struct relay_fixture *fixture)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(fixture->port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct raw_leg *leg = calloc(1, sizeof(*leg));
	int yes = 1;

	assert_non_null(leg);
	leg->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(leg->fd >= 0);
	setsockopt(leg->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* as honest ends do */
	if (connect(leg->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    (fixture->has_tls && !shake_hands(leg, fixture->certificate)))
		raw_leg_close(&leg);
	return leg;
}

struct raw_leg *
raw_leg_connect(const struct relay_fixture *fixture)
{
	struct raw_leg *leg = raw_leg_try(fixture);

	assert_non_null(leg);
	return leg;
}

void
raw_leg_close(struct raw_leg **leg)
{
	struct raw_leg *l = *leg;

	*leg = NULL;
	if (l == NULL)
		return;
	SSL_free(l->ssl);
	SSL_CTX_free(l->ssl_context);
	close(l->fd);
	free(l);
}

bool
raw_leg_write(struct raw_leg *leg, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	while (n > 0) {
		ssize_t sent = leg->ssl != NULL
				       ? SSL_write(leg->ssl, at, n < 16384 ? (int)n : 16384)
				       : send(leg->fd, at, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		at += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* More bytes, or false: the end, or none until end_ms. */
static bool
fill(struct raw_leg *leg, int64_t end_ms)
{
	ssize_t got = -1;

	assert_true(leg->have < sizeof(leg->input));
	for (;;) {
		struct pollfd ready = { .fd = leg->fd, .events = POLLIN };
		int64_t left_ms = end_ms - clock_monotonic_ms();

		if (leg->is_ended || left_ms <= 0)
			return false;
		if ((leg->ssl == NULL || SSL_pending(leg->ssl) == 0) &&
		    poll(&ready, 1, (int)left_ms) <= 0)
			continue;
		size_t room = sizeof(leg->input) - leg->have;
		if (leg->bite != 0 && leg->bite < room)
			room = leg->bite;
		got = leg->ssl != NULL ? SSL_read(leg->ssl, leg->input + leg->have, (int)room)
				       : recv(leg->fd, leg->input + leg->have, room, 0);
		if (got > 0)
			break;
		leg->is_ended = true;
	}
	leg->have += (size_t)got;
	return true;
}

void
raw_leg_request(char *to, size_t size, const uint8_t id[UUID_BYTES], const char *ticket)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(id, text);
	snprintf(to, size,
		 "GET /relay/%s HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\n"
		 "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: higgs.v1\r\n"
		 "Authorization: Bearer %s\r\n\r\n",
		 text, ticket);
}

static void
take(struct raw_leg *leg, size_t n)
{
	memmove(leg->input, leg->input + n, leg->have - n);
	leg->have -= n;
}

int
raw_leg_status(struct raw_leg *leg, char *ret_head, size_t size)
{
	int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
	const uint8_t *end;
	int status = 0;

	while ((end = memmem(leg->input, leg->have, "\r\n\r\n", 4)) == NULL)
		if (!fill(leg, end_ms))
			return 0;
	size_t n = (size_t)(end - leg->input) + 4;
	if (ret_head != NULL)
		snprintf(ret_head, size, "%.*s", (int)n, (const char *)leg->input);
	if (sscanf((const char *)leg->input, "HTTP/1.1 %d ", &status) != 1)
		return 0;
	take(leg, n);
	return status;
}

static int
upgrade(struct raw_leg *leg, const struct relay_fixture *fixture, const uint8_t node_id[UUID_BYTES],
	const uint8_t *session_id, char *ret_head, size_t size)
{
	char ticket[TICKET_TEXT_MAX_BYTES], request[1024];

	relay_fixture_ticket(fixture, node_id, session_id, 3600 * 1000, 0, ticket);
	raw_leg_request(request, sizeof(request), session_id != NULL ? session_id : node_id,
			ticket);
	assert_true(raw_leg_write(leg, request, strlen(request)));
	return raw_leg_status(leg, ret_head, size);
}

int
raw_leg_ask(const struct relay_fixture *fixture, const uint8_t node_id[UUID_BYTES],
	    const uint8_t *session_id)
{
	struct raw_leg *leg = raw_leg_connect(fixture);
	int status = upgrade(leg, fixture, node_id, session_id, NULL, 0);

	raw_leg_close(&leg);
	return status;
}

struct raw_leg *
raw_leg_open(const struct relay_fixture *fixture, const uint8_t node_id[UUID_BYTES],
	     const uint8_t *session_id)
{
	char head[512] = "";
	struct raw_leg *leg = raw_leg_connect(fixture);

	assert_int_equal(upgrade(leg, fixture, node_id, session_id, head, sizeof(head)), 101);
	/* RFC 6455, 1.3: the answer to this very key. */
	assert_non_null(strstr(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_non_null(strstr(head, "Sec-WebSocket-Protocol: higgs.v1\r\n"));
	return leg;
}

size_t
raw_leg_frame(uint8_t *frame, uint8_t first, const uint8_t *payload, size_t n)
{
	size_t at = 2;
	uint8_t mask[4];

	frame[0] = first;
	if (n < 126) {
		frame[1] = (uint8_t)(0x80 | n);
	} else if (n < 65536) {
		frame[1] = 0x80 | 126;
		frame[at++] = (uint8_t)(n >> 8);
		frame[at++] = (uint8_t)n;
	} else {
		frame[1] = 0x80 | 127;
		for (int i = 7; i >= 0; i--)
			frame[at++] = (uint8_t)((uint64_t)n >> (8 * i));
	}
	assert_int_equal(getrandom(mask, sizeof(mask), 0), sizeof(mask));
	memcpy(frame + at, mask, sizeof(mask));
	at += sizeof(mask);
	for (size_t i = 0; i < n; i++)
		frame[at + i] = payload[i] ^ mask[i % 4];
	return at + n;
}

bool
raw_leg_send_split(struct raw_leg *leg, uint8_t first, const uint8_t *payload, size_t n,
		   size_t part)
{
	uint8_t *frame = malloc(FRAME_MAX_BYTES);
	bool ok = true;

	assert_non_null(frame);
	assert_true(n <= FRAME_MAX_BYTES - RAW_FRAME_HEADER_BYTES);
	size_t whole = raw_leg_frame(frame, first, payload, n);
	for (size_t at = 0; at < whole && ok; at += part)
		ok = raw_leg_write(leg, frame + at, part < whole - at ? part : whole - at);
	free(frame);
	return ok;
}

bool
raw_leg_send(struct raw_leg *leg, uint8_t first, const uint8_t *payload, size_t n)
{
	return raw_leg_send_split(leg, first, payload, n, FRAME_MAX_BYTES);
}

/* The size of the whole frame at the start of the input; 0: not all of it is there. */
static size_t
frame_at(const struct raw_leg *leg, struct raw_frame *ret)
{
	const uint8_t *in = leg->input;
	size_t header = 2, n;

	if (leg->have < 2)
		return 0;
	assert_int_equal(in[1] & 0x80, 0); /* a server masks nothing */
	n = in[1];
	if (n >= 126) {
		size_t bytes = n == 126 ? 2 : 8;

		header += bytes;
		if (leg->have < header)
			return 0;
		n = 0;
		for (size_t i = 0; i < bytes; i++)
			n = n << 8 | in[2 + i];
		assert_true(bytes == 2 ? n >= 126 : n >= 65536);
	}
	if (leg->have < header + n)
		return 0;
	*ret = (struct raw_frame){ in[0], in + header, n };
	return header + n;
}

static bool
receive_until(struct raw_leg *leg, struct raw_frame *ret, int64_t end_ms)
{
	static _Thread_local uint8_t last[FRAME_MAX_BYTES];
	size_t whole;

	for (;;) {
		while ((whole = frame_at(leg, ret)) == 0)
			if (!fill(leg, end_ms))
				return false;
		memcpy(last, ret->payload, ret->n);
		ret->payload = last;
		take(leg, whole);
		if (ret->first != 0x89)
			return true;
		leg->pings++;
		raw_leg_send(leg, 0x8a, ret->payload, ret->n);
	}
}

bool
raw_leg_receive_within(struct raw_leg *leg, struct raw_frame *ret, int64_t ms)
{
	return receive_until(leg, ret, clock_monotonic_ms() + ms);
}

bool
raw_leg_receive(struct raw_leg *leg, struct raw_frame *ret)
{
	if (raw_leg_receive_within(leg, ret, PATIENCE_MS))
		return true;
	if (!leg->is_ended)
		fail_msg("no frame came");
	return false;
}

bool
raw_leg_is_quiet(struct raw_leg *leg, int64_t ms)
{
	struct raw_frame frame;

	return !raw_leg_receive_within(leg, &frame, ms) && !leg->is_ended;
}

unsigned
raw_leg_close_code(struct raw_leg *leg)
{
	struct raw_frame frame;

	while (raw_leg_receive(leg, &frame))
		if (frame.first == 0x88) {
			assert_true(frame.n == 0 || frame.n >= 2);
			return frame.n == 0 ? 1005
					    : (unsigned)(frame.payload[0] << 8 | frame.payload[1]);
		}
	return 0;
}
