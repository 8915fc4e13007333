/*
 * ws_frame: each frame is judged as early as its bytes allow: a bad first byte is refused before
 * the length has come, a length that is too large before the payload has.
 */
#include "ws/ws_frame.h"

#include "ws/ws_mask.h"

#include <stdlib.h>
#include <string.h>

enum {
	FIN_BIT = 0x80,
	RESERVED_BITS = 0x70,
	OPCODE_BITS = 0x0f,
	CONTROL_BIT = 0x08,
	MASK_BIT = 0x80,
	LENGTH_BITS = 0x7f,
	LENGTH_16 = 126,
	LENGTH_64 = 127,
	USUAL_HEADER_BYTES = 8, /* a length of 16 bits, a mask */
};

struct frame {
	uint8_t opcode;
	bool is_final;
	uint64_t n;
	size_t header_bytes;
	uint32_t mask;
};

static void
fail(struct ws_event *ret, uint16_t code, const char *reason)
{
	*ret = (struct ws_event){ .kind = WS_EVENT_FAIL, .code = code, .reason = reason };
}

static void
want(struct ws_event *ret, size_t bytes)
{
	*ret = (struct ws_event){ .kind = WS_EVENT_MORE, .wanted = bytes };
}

/* What the first two bytes allow to judge. NULL: nothing wrong. */
static const char *
judge_start(const struct ws_reader *reader, const uint8_t *bytes)
{
	uint8_t opcode = bytes[0] & OPCODE_BITS;

	if (bytes[0] & RESERVED_BITS)
		return "reserved bits are set";
	if (!(bytes[1] & MASK_BIT))
		return "frame is not masked";
	if (opcode & CONTROL_BIT) {
		if (opcode > WS_OPCODE_PONG)
			return "opcode is unknown";
		if (!(bytes[0] & FIN_BIT))
			return "control frame is fragmented";
		if ((bytes[1] & LENGTH_BITS) > WS_CONTROL_MAX_BYTES)
			return "control frame is too long";
		return NULL;
	}
	if (opcode > WS_OPCODE_BINARY)
		return "opcode is unknown";
	if (opcode == WS_OPCODE_CONTINUATION && reader->opcode == 0)
		return "continuation of nothing";
	if (opcode != WS_OPCODE_CONTINUATION && reader->opcode != 0)
		return "message within a message";
	return NULL;
}

static uint64_t
big_endian(const uint8_t *bytes, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* True when *ret is filled; else *event says what is missing or wrong. */
static bool
parse_header(const struct ws_reader *reader, const uint8_t *bytes, size_t n, struct frame *ret,
	     struct ws_event *event)
{
	const char *wrong;

	if (n < 2)
		return want(event, 2), false;
	if ((wrong = judge_start(reader, bytes)) != NULL)
		return fail(event, WS_CLOSE_PROTOCOL, wrong), false;
	uint64_t length = bytes[1] & LENGTH_BITS;
	size_t length_bytes = length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
	if (n < 2 + length_bytes)
		return want(event, 2 + length_bytes + 4), false;
	if (length_bytes != 0)
		length = big_endian(bytes + 2, length_bytes);
	if (length >> 63)
		return fail(event, WS_CLOSE_PROTOCOL, "length has its top bit set"), false;
	if ((length_bytes == 2 && length < LENGTH_16) ||
	    (length_bytes == 8 && length <= UINT16_MAX))
		return fail(event, WS_CLOSE_PROTOCOL, "length is not minimal"), false;
	ret->opcode = bytes[0] & OPCODE_BITS;
	ret->is_final = bytes[0] & FIN_BIT;
	ret->n = length;
	ret->header_bytes = 2 + length_bytes + 4;
	if (n >= ret->header_bytes)
		ret->mask = ws_mask_load(bytes + 2 + length_bytes);
	return true;
}

static void
read_close(uint8_t *payload, size_t n, struct ws_event *ret)
{
	if (n == 0) {
		ret->code = WS_CLOSE_NO_STATUS;
		return;
	}
	if (n == 1)
		return fail(ret, WS_CLOSE_PROTOCOL, "close code is cut");
	uint16_t code = (uint16_t)(payload[0] << 8 | payload[1]);
	bool is_defined =
		(code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
		(code >= 3000 && code <= 4999);
	if (!is_defined)
		return fail(ret, WS_CLOSE_PROTOCOL, "close code is none");
	if (!ws_utf8_is_valid(payload + 2, n - 2))
		return fail(ret, WS_CLOSE_INVALID_DATA, "close reason is not UTF-8");
	ret->code = code;
	ret->payload += 2;
	ret->n -= 2;
}

static void
read_control(struct ws_reader *reader, const struct frame *frame, int64_t now_ms,
	     struct ws_event *ret)
{
	ws_unmask(ret->payload, ret->payload, ret->n, frame->mask);
	ret->mask = 0;
	if (frame->opcode == WS_OPCODE_CLOSE) {
		ret->kind = WS_EVENT_CLOSE;
		return read_close(ret->payload, ret->n, ret);
	}
	if (frame->opcode == WS_OPCODE_PONG) {
		ret->kind = WS_EVENT_PONG;
		return;
	}
	ret->kind = WS_EVENT_PING;
	uint32_t second = (uint32_t)(now_ms / 1000);
	if (second != reader->ping_second) {
		reader->ping_second = second;
		reader->pings = 0;
	}
	if (++reader->pings > (reader->pings_most != 0 ? reader->pings_most : WS_PINGS_PER_SECOND))
		fail(ret, WS_CLOSE_POLICY, "too many pings");
}

static void
finish_message(uint8_t opcode, struct ws_event *ret)
{
	if (opcode == WS_OPCODE_BINARY) {
		ret->kind = WS_EVENT_BINARY;
		return;
	}
	ws_unmask(ret->payload, ret->payload, ret->n, ret->mask);
	ret->mask = 0;
	ret->kind = WS_EVENT_TEXT;
	if (!ws_utf8_is_valid(ret->payload, ret->n))
		fail(ret, WS_CLOSE_INVALID_DATA, "text is not UTF-8");
}

/* Appends a fragment to the message under way; hands it out when it is whole. */
static void
gather(struct ws_reader *reader, const struct frame *frame, struct ws_event *ret)
{
	if (++reader->fragments > WS_FRAGMENTS_MAX)
		return fail(ret, WS_CLOSE_POLICY, "too many fragments");
	if (ret->n > 0) {
		uint8_t *message = realloc(reader->message, reader->message_bytes + ret->n);
		if (message == NULL)
			return fail(ret, WS_CLOSE_INTERNAL, "out of memory");
		reader->message = message;
		ws_unmask(message + reader->message_bytes, ret->payload, ret->n, frame->mask);
		reader->message_bytes += (uint32_t)ret->n;
	}
	if (frame->opcode != WS_OPCODE_CONTINUATION)
		reader->opcode = frame->opcode;
	ret->kind = WS_EVENT_FRAGMENT;
	if (!frame->is_final)
		return;
	ret->payload = reader->message;
	ret->n = reader->message_bytes;
	ret->mask = 0;
	uint8_t opcode = reader->opcode;
	reader->opcode = 0;
	reader->fragments = 0;
	finish_message(opcode, ret);
}

void
ws_reader_fini(struct ws_reader *reader)
{
	free(reader->message);
	reader->message = NULL;
	reader->message_bytes = 0;
}

/* Apart, so that usual frames do not pay for its frame on the stack. */
__attribute__((noinline)) static void
read_any(struct ws_reader *reader, uint8_t *bytes, size_t n, size_t limit, int64_t now_ms,
	 struct ws_event *ret)
{
	struct frame frame = { 0 };

	if (reader->opcode == 0 && reader->message != NULL)
		ws_reader_fini(reader); /* what was handed out last */
	if (!parse_header(reader, bytes, n, &frame, ret))
		return;
	bool is_control = frame.opcode & CONTROL_BIT;
	if (!is_control && frame.n > limit - reader->message_bytes)
		return fail(ret, WS_CLOSE_TOO_LARGE, "message is too large");
	size_t whole = frame.header_bytes + (size_t)frame.n;
	if (n < whole)
		return want(ret, whole);
	*ret = (struct ws_event){ .payload = bytes + frame.header_bytes,
				  .n = (size_t)frame.n,
				  .mask = frame.mask,
				  .consumed = whole };
	if (is_control)
		read_control(reader, &frame, now_ms, ret);
	else if (frame.is_final && reader->opcode == 0)
		finish_message(frame.opcode, ret);
	else
		gather(reader, &frame, ret);
	ret->consumed = whole;
}

/* What nearly all come to: a whole message in one binary frame of usual size, judged with fewer
 * questions. False: it is not that, and nothing has been judged. */
static bool
read_usual(const struct ws_reader *reader, uint8_t *bytes, size_t n, size_t limit,
	   struct ws_event *ret)
{
	if (n < USUAL_HEADER_BYTES || bytes[0] != (FIN_BIT | WS_OPCODE_BINARY) ||
	    bytes[1] != (MASK_BIT | LENGTH_16) || reader->message != NULL || reader->opcode != 0)
		return false;
	size_t length = (size_t)bytes[2] << 8 | bytes[3];
	if (length < LENGTH_16 || length > limit || length > n - USUAL_HEADER_BYTES)
		return false;
	*ret = (struct ws_event){ .kind = WS_EVENT_BINARY,
				  .payload = bytes + USUAL_HEADER_BYTES,
				  .n = length,
				  .mask = ws_mask_load(bytes + 4),
				  .consumed = USUAL_HEADER_BYTES + length };
	return true;
}

void
ws_reader_next(struct ws_reader *reader, uint8_t *bytes, size_t n, size_t limit, int64_t now_ms,
	       struct ws_event *ret)
{
	if (!read_usual(reader, bytes, n, limit, ret))
		read_any(reader, bytes, n, limit, now_ms, ret);
}

size_t
ws_header_write(uint8_t *to, enum ws_opcode opcode, size_t n)
{
	to[0] = (uint8_t)(FIN_BIT | opcode);
	if (n < LENGTH_16) {
		to[1] = (uint8_t)n;
		return 2;
	}
	if (n <= UINT16_MAX) {
		to[1] = LENGTH_16;
		to[2] = (uint8_t)(n >> 8);
		to[3] = (uint8_t)n;
		return 4;
	}
	to[1] = LENGTH_64;
	for (unsigned i = 0; i < 8; i++)
		to[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
	return 10;
}

size_t
ws_mask_frame(enum ws_opcode opcode, uint8_t *payload, size_t n, const uint8_t key[WS_MASK_BYTES])
{
	size_t header = ws_header_bytes(n) + WS_MASK_BYTES;
	uint8_t *frame = payload - header;

	ws_header_write(frame, opcode, n);
	frame[1] |= MASK_BIT;
	memcpy(payload - WS_MASK_BYTES, key, WS_MASK_BYTES);
	ws_unmask(payload, payload, n, ws_mask_load(key));
	return header;
}

size_t
ws_frame_bytes(const uint8_t *frame)
{
	if (frame[1] == LENGTH_16)
		return 4 + (size_t)big_endian(frame + 2, 2);
	if (frame[1] == LENGTH_64)
		return 10 + (size_t)big_endian(frame + 2, 8);
	return 2 + (size_t)frame[1];
}

size_t
ws_close_write(uint8_t to[2 + WS_CONTROL_MAX_BYTES], uint16_t code, const char *reason)
{
	size_t n = strnlen(reason, WS_CLOSE_REASON_MAX_BYTES);
	bool has_code = code != WS_CLOSE_NO_STATUS;
	size_t header = ws_header_write(to, WS_OPCODE_CLOSE, has_code ? 2 + n : 0);

	if (!has_code)
		return header;
	to[header] = (uint8_t)(code >> 8);
	to[header + 1] = (uint8_t)code;
	memcpy(to + header + 2, reason, n);
	return header + 2 + n;
}
