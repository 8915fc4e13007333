/*
 * udp_ends: see the header. The relay's clients come from addresses of their own, since it rations
 * strangers by prefix.
 */
#include "udp_ends.h"

#include "leg/leg_frame.h"
#include "relay/relay_udp_mac1.h"
#include "wg/datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	INITIATION_BYTES = 148,
	RESPONSE_BYTES = 92,
	READ_BYTES = 1 << 20,
	BUFFER_BYTES = 8 * 1024 * 1024,
	SEGMENT = 103, /* UDP_SEGMENT */
	CHANNEL_DATA_BYTES = 4,
	PATIENCE_MS = 5000,
	PING_MAX_BYTES = 125,
};

static uint8_t payload[65536];

void
udp_ends_key(unsigned client, uint8_t ret[32])
{
	memset(ret, 0x40, 32);
	memcpy(ret, &client, sizeof(client));
}

static int
udp_socket(const char *address, uint16_t port)
{
	struct sockaddr_in own = { .sin_family = AF_INET };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), bytes = BUFFER_BYTES;

	inet_pton(AF_INET, address, &own.sin_addr);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&own, sizeof(own)) < 0 ||
	    (port != 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0))
		load_die("UDP socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	return fd;
}

/* ---- a node's leg ---- */

static void
read_some(struct udp_ends *ends, bool waits)
{
	ssize_t n = recv(ends->node_fd, ends->read + ends->read_n, READ_BYTES - ends->read_n,
			 waits ? 0 : MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		load_die("the relay has closed the node's leg");
	if (n > 0)
		ends->read_n += (size_t)n;
}

/* The first whole frame: its size, 0 while there is none. */
static size_t
frame(const struct udp_ends *ends, size_t at, const uint8_t **ret, size_t *ret_n)
{
	const uint8_t *bytes = ends->read + at;
	size_t have = ends->read_n - at, header = 2, n;

	if (have < 10)
		header = have >= 2 && bytes[1] < 126 ? 2 : have >= 4 && bytes[1] == 126 ? 4 : 0;
	else
		header = bytes[1] < 126 ? 2 : bytes[1] == 126 ? 4 : 10;
	if (header == 0 || have < 2)
		return 0;
	n = header == 2 ? bytes[1] : (size_t)bytes[2] << 8 | bytes[3];
	if (header == 10)
		n = (size_t)bytes[6] << 24 | (size_t)bytes[7] << 16 | (size_t)bytes[8] << 8 |
		    bytes[9];
	*ret = bytes + header;
	*ret_n = n;
	return have < header + n ? 0 : header + n;
}

static void
keep_rest(struct udp_ends *ends, size_t at)
{
	memmove(ends->read, ends->read + at, ends->read_n - at);
	ends->read_n -= at;
}

/* Pongs say what the leg has read: the relay sends no more than it believes to be taken. */
static void
answer_ping(struct udp_ends *ends, const uint8_t *frame, const uint8_t *payload_of, size_t n)
{
	uint8_t pong[6 + PING_MAX_BYTES] = { 0x8a, (uint8_t)(0x80 | n) };

	if (frame[0] != 0x89 || n > PING_MAX_BYTES)
		return;
	memcpy(pong + 6, payload_of, n);
	if (send(ends->node_fd, pong, 6 + n, 0) != (ssize_t)(6 + n))
		load_die("cannot answer a ping");
}

/* Waits for a data message. */
static uint32_t
next_channel(struct udp_ends *ends)
{
	const uint8_t *message;
	size_t n, whole;

	for (;;) {
		while ((whole = frame(ends, 0, &message, &n)) == 0)
			read_some(ends, true);
		answer_ping(ends, ends->read, message, n);
		uint32_t channel = 0;
		if (n >= LEG_DATA_HEADER_NODE_BYTES && message[0] == LEG_KIND_DATA)
			for (unsigned i = 1; i < 5; i++)
				channel = channel << 8 | message[i];
		keep_rest(ends, whole);
		if (channel != 0)
			return channel;
	}
}

/* A masked frame around a data message of n such datagrams; the mask is zero, as others' is not. */
static size_t
build_frame(uint8_t *to, uint32_t channel, const uint8_t *datagram, size_t bytes, unsigned n)
{
	size_t message_n = LEG_DATA_HEADER_NODE_BYTES + n * (bytes + 2), at = 0;

	to[at++] = 0x82;
	if (message_n < 126) {
		to[at++] = (uint8_t)(0x80 | message_n);
	} else {
		to[at++] = 0x80 | 126;
		to[at++] = (uint8_t)(message_n >> 8);
		to[at++] = (uint8_t)message_n;
	}
	memset(to + at, 0, 4);
	at += 4;
	to[at++] = LEG_KIND_DATA;
	for (unsigned i = 0; i < 4; i++)
		to[at++] = (uint8_t)(channel >> (24 - 8 * i));
	for (unsigned i = 0; i < n; i++) {
		to[at++] = (uint8_t)(bytes >> 8);
		to[at++] = (uint8_t)bytes;
		memcpy(to + at, datagram, bytes);
		at += bytes;
	}
	return at;
}

/* ---- handshakes that are only shapes ---- */

static void
handshake(uint8_t *message, uint8_t type, size_t n, uint32_t sender, unsigned receiver)
{
	struct mac1_key mac1;
	uint8_t key[32];

	memset(message, 0x5a, n);
	memcpy(message, (const uint8_t[]){ type, 0, 0, 0 }, 4);
	memcpy(message + 4, &sender, sizeof(sender));
	udp_ends_key(receiver, key);
	mac1_key_init(&mac1, key);
	mac1_compute(&mac1, message, n - MAC1_TAIL_BYTES, message + n - MAC1_TAIL_BYTES);
}

static void
shake_hands(struct udp_ends *ends, unsigned i)
{
	struct udp_client *client = &ends->clients[i];
	uint8_t message[INITIATION_BYTES], out[RESPONSE_BYTES + 64];
	struct pollfd wait = { .fd = client->fd, .events = POLLIN };

	handshake(message, DATAGRAM_INITIATION, INITIATION_BYTES, i + 1, 0);
	if (send(client->fd, message, INITIATION_BYTES, 0) != INITIATION_BYTES)
		load_die("cannot send an initiation");
	client->channel = next_channel(ends);
	client->index = 0x1000 + i;
	handshake(message, DATAGRAM_RESPONSE, RESPONSE_BYTES, client->index, i + 1);
	size_t n = build_frame(out, client->channel, message, RESPONSE_BYTES, 1);
	if (send(ends->node_fd, out, n, 0) != (ssize_t)n || poll(&wait, 1, PATIENCE_MS) != 1 ||
	    recv(client->fd, message, sizeof(message), 0) != RESPONSE_BYTES)
		load_die("client %u got no answer", i);
	memcpy(payload + 4, &client->index, sizeof(client->index));
	if (send(client->fd, payload, ends->bytes, 0) < 0 || next_channel(ends) != client->channel)
		load_die("client %u is not proven", i);
}

static void
connect_relay(struct udp_ends *ends, const struct load_options *options, uint16_t udp_port)
{
	struct load_line line = { .fd = -1 };
	char address[INET_ADDRSTRLEN];

	load_connect_leg(&line, options, 1, 0);
	ends->node_fd = line.fd;
	ends->read = malloc(READ_BYTES);
	size_t most = 16 + UDP_BURST_MAX * (ends->bytes + 2);
	ends->frames = malloc(ends->count * most);
	if (ends->read == NULL || ends->frames == NULL)
		load_die("out of memory");
	for (unsigned i = 0; i < ends->count; i++) {
		snprintf(address, sizeof(address), "127.1.%hhu.1", (unsigned char)i);
		ends->clients[i].fd = udp_socket(address, udp_port);
		shake_hands(ends, i);
		ends->frame_n = build_frame(ends->frames + i * most, ends->clients[i].channel,
					    payload, ends->bytes, UDP_BURST_MAX);
		memmove(ends->frames + i * ends->frame_n, ends->frames + i * most, ends->frame_n);
	}
}

static void
connect_turn(struct udp_ends *ends, uint16_t port)
{
	for (unsigned i = 0; i < ends->count; i++) {
		struct load_pair pair = { .sent_us = NULL };
		int bytes = BUFFER_BYTES;

		load_connect_turn(&pair, port, true);
		ends->clients[i].fd = pair.ends[LOAD_NEAR].line.fd;
		ends->peers[i] = pair.ends[LOAD_FAR].line.fd;
		setsockopt(ends->clients[i].fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
		setsockopt(ends->peers[i], SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
		memcpy(ends->clients[i].head,
		       (const uint8_t[]){ 0x40, 0, (uint8_t)(ends->bytes >> 8),
					  (uint8_t)ends->bytes },
		       CHANNEL_DATA_BYTES);
	}
}

void
udp_ends_connect(struct udp_ends *ends, const struct load_options *options, uint16_t udp_port)
{
	memset(payload, 0x5a, sizeof(payload));
	memset(payload, 0, 16);
	payload[0] = DATAGRAM_TRANSPORT;
	if (ends->is_turn)
		connect_turn(ends, udp_port);
	else
		connect_relay(ends, options, udp_port);
}

/* ---- bursts ---- */

/* n datagrams with this head; as one send where that is wished. */
static unsigned
send_burst(int fd, const uint8_t *head, size_t head_n, const uint8_t *bytes, size_t bytes_n,
	   unsigned n, bool is_joined)
{
	struct mmsghdr messages[UDP_BURST_MAX];
	struct iovec parts[2 * UDP_BURST_MAX];
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control = { .bytes = { 0 } };
	uint16_t size = (uint16_t)(head_n + bytes_n);

	memset(messages, 0, sizeof(messages));
	for (unsigned i = 0; i < n; i++) {
		parts[2 * i] = (struct iovec){ (void *)(uintptr_t)head, head_n };
		parts[2 * i + 1] = (struct iovec){ (void *)(uintptr_t)bytes, bytes_n };
		messages[i].msg_hdr.msg_iov = &parts[2 * i];
		messages[i].msg_hdr.msg_iovlen = 2;
	}
	if (!is_joined) {
		int sent = sendmmsg(fd, messages, n, MSG_DONTWAIT);
		return sent > 0 ? (unsigned)sent : 0;
	}
	struct msghdr header = { .msg_iov = parts,
				 .msg_iovlen = 2 * (size_t)n,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&header);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(c), &size, sizeof(size));
	return sendmsg(fd, &header, MSG_DONTWAIT) > 0 ? n : 0;
}

unsigned
udp_ends_send_up(struct udp_ends *ends, unsigned i, unsigned n)
{
	const struct udp_client *client = &ends->clients[i];

	memcpy(payload + 4, &client->index, sizeof(client->index));
	return send_burst(client->fd, client->head, ends->is_turn ? CHANNEL_DATA_BYTES : 0, payload,
			  ends->bytes, n, ends->is_joined);
}

unsigned
udp_ends_send_down(struct udp_ends *ends, unsigned i, unsigned n)
{
	if (ends->is_turn)
		return send_burst(ends->peers[i], NULL, 0, payload, ends->bytes, n,
				  ends->is_joined);
	const uint8_t *bytes = ends->frames + i * ends->frame_n;
	/* A stream has no half frames: what has begun is finished. */
	for (size_t at = 0; at < ends->frame_n;) {
		ssize_t sent = send(ends->node_fd, bytes + at, ends->frame_n - at,
				    at == 0 ? MSG_DONTWAIT : 0);
		if (sent < 0 && (errno == EAGAIN || errno == EINTR) && at == 0)
			return 0;
		if (sent < 0)
			load_die("the node's leg: %s", strerror(errno));
		at += (size_t)sent;
	}
	return UDP_BURST_MAX;
}

/* ---- arrivals ---- */

static uint64_t
drain(int fd)
{
	static uint8_t bytes[64][2048];
	struct mmsghdr messages[64];
	struct iovec parts[64];
	uint64_t sum = 0;
	int n;

	do {
		memset(messages, 0, sizeof(messages));
		for (unsigned i = 0; i < 64; i++) {
			parts[i] = (struct iovec){ bytes[i], sizeof(bytes[i]) };
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		n = recvmmsg(fd, messages, 64, MSG_DONTWAIT, NULL);
		sum += n > 0 ? (unsigned)n : 0;
	} while (n == 64);
	return sum;
}

void
udp_ends_receive_up(struct udp_ends *ends)
{
	const uint8_t *message;
	size_t n, whole, at = 0;

	for (unsigned i = 0; ends->is_turn && i < ends->count; i++)
		ends->received_up += drain(ends->peers[i]);
	if (ends->is_turn)
		return;
	read_some(ends, false);
	for (; (whole = frame(ends, at, &message, &n)) > 0; at += whole) {
		answer_ping(ends, ends->read + at, message, n);
		if (ends->read[at] == 0x82 && message[0] == LEG_KIND_DATA)
			ends->received_up += (n - LEG_DATA_HEADER_NODE_BYTES) / (ends->bytes + 2);
	}
	keep_rest(ends, at);
}

void
udp_ends_receive_down(struct udp_ends *ends)
{
	for (unsigned i = 0; i < ends->count; i++)
		ends->received_down += drain(ends->clients[i].fd);
}
