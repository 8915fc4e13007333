/*
 * load_turn: just so much of TURN (RFC 8656) as a server without authentication wants to hear
 * before it relays ChannelData: Allocate, ChannelBind.
 */
#include "load_connect.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/random.h>

enum {
	STUN_HEADER_BYTES = 20,
	STUN_ALLOCATE = 0x0003,
	STUN_CHANNEL_BIND = 0x0009,
	STUN_SUCCESS = 0x0100,
	STUN_CHANNEL_NUMBER = 0x000c,
	STUN_XOR_PEER_ADDRESS = 0x0012,
	STUN_XOR_RELAYED_ADDRESS = 0x0016,
	STUN_REQUESTED_TRANSPORT = 0x0019,
	STUN_LIFETIME = 0x000d,
	STUN_MESSAGE_MAX_BYTES = 1500,
	LIFETIME_SEC = 3600,
};

static const uint8_t cookie[] = { 0x21, 0x12, 0xa4, 0x42 };

struct message {
	uint8_t bytes[STUN_MESSAGE_MAX_BYTES];
	size_t n;
};

static void
put16(uint8_t *to, unsigned value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static unsigned
get16(const uint8_t *from)
{
	return (unsigned)from[0] << 8 | from[1];
}

static void
begin(struct message *message, unsigned type)
{
	put16(message->bytes, type);
	memcpy(message->bytes + 4, cookie, sizeof(cookie));
	if (getrandom(message->bytes + 8, 12, 0) != 12)
		load_die("no random bytes");
	message->n = STUN_HEADER_BYTES;
}

static void
add(struct message *message, unsigned type, const uint8_t *value, size_t n)
{
	put16(message->bytes + message->n, type);
	put16(message->bytes + message->n + 2, (unsigned)n);
	memcpy(message->bytes + message->n + 4, value, n);
	message->n += 4 + n;
	put16(message->bytes + 2, (unsigned)(message->n - STUN_HEADER_BYTES));
}

/* Sends the request and takes the answer, which must be a success. */
static void
ask(struct load_line *line, struct message *message)
{
	unsigned expected = get16(message->bytes) | STUN_SUCCESS;

	load_line_write(line, message->bytes, message->n);
	if (line->is_udp) {
		message->n = load_line_receive(line, message->bytes, sizeof(message->bytes));
	} else {
		load_line_read(line, message->bytes, STUN_HEADER_BYTES);
		size_t rest = get16(message->bytes + 2);
		if (STUN_HEADER_BYTES + rest > sizeof(message->bytes))
			load_die("a STUN message is too large");
		load_line_read(line, message->bytes + STUN_HEADER_BYTES, rest);
		message->n = STUN_HEADER_BYTES + rest;
	}
	if (message->n < STUN_HEADER_BYTES || get16(message->bytes) != expected)
		load_die("the TURN server answered %04x, not %04x", get16(message->bytes),
			 expected);
}

static uint16_t
relayed_port(const struct message *message)
{
	for (size_t at = STUN_HEADER_BYTES; at + 12 <= message->n;) {
		const uint8_t *attribute = message->bytes + at;

		if (get16(attribute) == STUN_XOR_RELAYED_ADDRESS)
			return (uint16_t)(get16(attribute + 6) ^ get16(cookie));
		at += 4 + ((get16(attribute + 2) + 3U) & ~3U);
	}
	load_die("the TURN server named no relayed address");
}

void
load_connect_turn(struct load_pair *pair, uint16_t port, bool is_udp)
{
	struct load_line *near = &pair->ends[LOAD_NEAR].line, *far = &pair->ends[LOAD_FAR].line;
	static const uint8_t udp[] = { 17, 0, 0, 0 }, channel[] = { 0x40, 0, 0, 0 };
	uint8_t lifetime[4] = { 0, 0, LIFETIME_SEC >> 8, LIFETIME_SEC & 0xff };
	uint8_t peer[8] = { 0, 1, 0, 0, 127 ^ 0x21, 0x12, 0xa4, 1 ^ 0x42 };
	struct message message;
	uint16_t peer_port;

	if (is_udp) {
		load_line_bind(near, NULL);
		load_line_aim(near, port);
	} else {
		load_line_connect(near, port, NULL);
	}
	begin(&message, STUN_ALLOCATE);
	add(&message, STUN_REQUESTED_TRANSPORT, udp, sizeof(udp));
	add(&message, STUN_LIFETIME, lifetime, sizeof(lifetime));
	ask(near, &message);
	uint16_t relayed = relayed_port(&message);
	load_line_bind(far, &peer_port);
	load_line_aim(far, relayed);
	put16(peer + 2, peer_port ^ get16(cookie));
	begin(&message, STUN_CHANNEL_BIND);
	add(&message, STUN_CHANNEL_NUMBER, channel, sizeof(channel));
	add(&message, STUN_XOR_PEER_ADDRESS, peer, sizeof(peer));
	ask(near, &message);
	pair->ends[LOAD_NEAR].parser.framing = LOAD_CHANNEL_DATA;
	pair->ends[LOAD_FAR].parser.framing = LOAD_BARE;
}
