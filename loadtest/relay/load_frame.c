/*
 * load_frame: masks are never zero in any byte, so that nobody is spared the work.
 */
#include "load_frame.h"

#include "leg/leg_frame.h"
#include "load_line.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void
fill_datagram(uint8_t *to)
{
	for (size_t at = 0; at < LOAD_DATAGRAM_BYTES; at += 256)
		if (getrandom(to + at,
			      LOAD_DATAGRAM_BYTES - at < 256 ? LOAD_DATAGRAM_BYTES - at : 256,
			      0) < 0)
			load_die("no random bytes");
	memcpy(to, "\4\0\0\0", 4);
}

size_t
load_frame_build(uint8_t *to, uint32_t channel, unsigned batch)
{
	uint8_t message[LOAD_FRAME_MAX_BYTES], *mask = to + 4;
	size_t n = 0;

	message[n++] = LEG_KIND_DATA;
	for (int shift = 24; channel != 0 && shift >= 0; shift -= 8)
		message[n++] = (uint8_t)(channel >> shift);
	for (unsigned i = 0; i < batch; i++) {
		message[n++] = LOAD_DATAGRAM_BYTES >> 8;
		message[n++] = LOAD_DATAGRAM_BYTES & 0xff;
		fill_datagram(message + n);
		n += LOAD_DATAGRAM_BYTES;
	}
	to[0] = 0x82;
	to[1] = 0x80 | 126;
	to[2] = (uint8_t)(n >> 8);
	to[3] = (uint8_t)n;
	do {
		if (getrandom(mask, 4, 0) != 4)
			load_die("no random bytes");
	} while (mask[0] == 0 || mask[1] == 0 || mask[2] == 0 || mask[3] == 0);
	for (size_t i = 0; i < n; i++)
		to[8 + i] = message[i] ^ mask[i % 4];
	return 8 + n;
}

static void
allocate(struct load_chunk *chunk, size_t more)
{
	chunk->bytes = malloc(LOAD_CHUNK_BYTES + more);
	chunk->n = 0;
	if (chunk->bytes == NULL)
		load_die("out of memory");
}

void
load_chunk_build(struct load_chunk *chunk, uint32_t first, uint32_t step, unsigned count,
		 unsigned batch)
{
	allocate(chunk, (size_t)count * LOAD_FRAME_MAX_BYTES);
	while (chunk->n < LOAD_CHUNK_BYTES)
		for (unsigned i = 0; i < count; i++)
			chunk->n += chunk->frame_n =
				load_frame_build(chunk->bytes + chunk->n, first + i * step, batch);
}

void
load_chunk_build_turn(struct load_chunk *chunk, enum load_framing framing)
{
	static const uint8_t header[] = { 0x40, 0, LOAD_DATAGRAM_BYTES >> 8,
					  LOAD_DATAGRAM_BYTES & 0xff };
	size_t header_n = framing == LOAD_CHANNEL_DATA ? sizeof(header) : 0;

	allocate(chunk, LOAD_FRAME_MAX_BYTES);
	chunk->frame_n = header_n + LOAD_DATAGRAM_BYTES;
	for (; chunk->n < LOAD_CHUNK_BYTES; chunk->n += chunk->frame_n) {
		memcpy(chunk->bytes + chunk->n, header, header_n);
		fill_datagram(chunk->bytes + chunk->n + header_n);
	}
}

/* A WebSocket header's size; 0: it has not come whole. */
static size_t
websocket_header_size(const uint8_t *header, size_t n)
{
	if (n < 2)
		return 0;
	size_t size = (size_t)((header[1] & 0x7f) == 126 ? 4 : 2) + (header[1] & 0x80 ? 4 : 0);
	if ((header[1] & 0x7f) == 127)
		load_die("a frame that nobody sent arrived");
	return n >= size ? size : 0;
}

/* True when the header is whole, and left says what follows. */
static bool
read_header(struct load_parser *parser)
{
	const uint8_t *h = parser->header;

	if (parser->framing == LOAD_CHANNEL_DATA) {
		if (parser->header_n < 4)
			return false;
		parser->left = (size_t)h[2] << 8 | h[3];
		parser->is_counted = h[0] == 0x40;
		return true;
	}
	if (websocket_header_size(h, parser->header_n) == 0)
		return false;
	parser->left = (h[1] & 0x7f) == 126 ? (size_t)h[2] << 8 | h[3] : h[1] & 0x7f;
	parser->is_ping = h[0] == 0x89;
	parser->is_counted = h[0] == 0x82 && parser->left >= LOAD_DATAGRAM_BYTES;
	return true;
}

static void
keep_head(struct load_parser *parser, const uint8_t *at, size_t n)
{
	bool is_masked = parser->framing == LOAD_WEBSOCKET && (parser->header[1] & 0x80);
	const uint8_t *mask = parser->header + parser->header_n - 4;

	for (size_t i = 0; i < n && parser->head_n < LOAD_HEAD_BYTES; i++) {
		parser->head[parser->head_n] = is_masked ? at[i] ^ mask[parser->head_n % 4] : at[i];
		parser->head_n++;
	}
}

void
load_parser_pong(struct load_parser *parser, uint8_t to[LOAD_PONG_BYTES])
{
	static const uint8_t header[] = { 0x8a, 0x80 | LOAD_PING_BYTES, 1, 2, 3, 4 };

	memcpy(to, header, sizeof(header));
	for (size_t i = 0; i < LOAD_PING_BYTES; i++)
		to[sizeof(header) + i] = parser->ping[i] ^ header[2 + i % 4];
	parser->has_ping = false;
}

void
load_parser_take(struct load_parser *parser, const uint8_t *at, size_t n, size_t expected,
		 load_message_fn fn, void *arg)
{
	while (n > 0) {
		if (parser->left > 0) {
			size_t part = n < parser->left ? n : parser->left;

			if (parser->keeps_head || parser->is_ping)
				keep_head(parser, at, part);
			parser->left -= part;
			at += part;
			n -= part;
		} else {
			parser->header[parser->header_n++] = *at++;
			n--;
			if (!read_header(parser))
				continue;
			if (parser->is_counted && expected != 0 && parser->left != expected)
				load_die("a message of %zu bytes arrived, not %zu", parser->left,
					 expected);
		}
		if (parser->left > 0)
			continue;
		if (parser->is_ping && parser->head_n == LOAD_PING_BYTES) {
			memcpy(parser->ping, parser->head, LOAD_PING_BYTES);
			parser->has_ping = true;
		}
		if (parser->is_counted)
			fn(parser->head, parser->head_n, arg);
		parser->is_counted = false;
		parser->header_n = parser->head_n = 0;
	}
}
