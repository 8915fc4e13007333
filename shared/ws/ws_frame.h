/*
 * ws_frame: the frames of RFC 6455 as a server sees them: strict on the way in, minimal on the way
 * out (and how a client writes one). No I/O, no clock. Reading is in place: a reader is given what
 * has arrived, and hands out one frame or message at a time without copying (fragments excepted,
 * which it gathers).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {
	WS_OPCODE_CONTINUATION = 0,
	WS_OPCODE_TEXT = 1,
	WS_OPCODE_BINARY = 2,
	WS_OPCODE_CLOSE = 8,
	WS_OPCODE_PING = 9,
	WS_OPCODE_PONG = 10,
};

enum ws_close_code {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_PROTOCOL = 1002,
	WS_CLOSE_UNSUPPORTED = 1003,
	WS_CLOSE_NO_STATUS = 1005, /* never on the wire */
	WS_CLOSE_INVALID_DATA = 1007,
	WS_CLOSE_POLICY = 1008,
	WS_CLOSE_TOO_LARGE = 1009,
	WS_CLOSE_INTERNAL = 1011,
	WS_CLOSE_RESTART = 1012,
	WS_CLOSE_OVERLOADED = 1013,
	WS_CLOSE_REPLACED = 4009,
	WS_CLOSE_BAD_MESSAGE = 4400,
	WS_CLOSE_GONE = 4404,
};

enum {
	WS_HEADER_IN_MAX_BYTES = 14,
	WS_MASK_BYTES = 4,
	WS_HEADER_OUT_MAX_BYTES = 10,
	WS_CONTROL_MAX_BYTES = 125,
	WS_CLOSE_REASON_MAX_BYTES = 123,
	WS_FRAGMENTS_MAX = 8,
	WS_PINGS_PER_SECOND = 10,
};

/* Between two reads of one connection. All zero is the start. */
struct ws_reader {
	uint8_t *message; /* fragments so far; NULL when there are none */
	uint32_t message_bytes;
	uint8_t opcode; /* of the message under way, 0: none is */
	uint8_t fragments;
	uint16_t pings_most; /* a second; 0: WS_PINGS_PER_SECOND */
	uint16_t pings;	     /* within ping_second */
	uint32_t ping_second;
};

enum ws_event_kind {
	WS_EVENT_MORE,	   /* incomplete; `wanted` bytes in all would tell more */
	WS_EVENT_FRAGMENT, /* taken in, nothing to do */
	WS_EVENT_BINARY,   /* a message; still under its mask when mask != 0 */
	WS_EVENT_TEXT,	   /* a message, valid UTF-8 */
	WS_EVENT_PING,
	WS_EVENT_PONG,
	WS_EVENT_CLOSE, /* code and payload (the reason) */
	WS_EVENT_FAIL,	/* close with code; reason says why */
};

struct ws_event {
	enum ws_event_kind kind;
	uint16_t code;
	const char *reason;
	uint8_t *payload; /* in the reader's input, or the reader's until its next call */
	size_t n;
	uint32_t mask;	 /* see ws_mask.h */
	size_t consumed; /* of the input */
	size_t wanted;
};

void ws_reader_fini(struct ws_reader *reader);

/* The next frame of bytes[0..n). limit: of a whole message's payload. now_ms: any steady clock, for
 * the ping budget. Writes into bytes where it takes masks off. */
void ws_reader_next(struct ws_reader *reader, uint8_t *bytes, size_t n, size_t limit,
		    int64_t now_ms, struct ws_event *ret);

/* What a server's frame header for n payload bytes takes: 2, 4 or 10. */
static inline size_t
ws_header_bytes(size_t n)
{
	return n < 126 ? 2 : n <= UINT16_MAX ? 4 : 10;
}

/* Writes a whole, unmasked frame's header; returns its size. */
size_t ws_header_write(uint8_t *to, enum ws_opcode opcode, size_t n);

/* A client's: masks the payload of a whole frame in place, and writes its header directly before
 * it, where WS_HEADER_IN_MAX_BYTES must be free. Returns the header's size. */
size_t ws_mask_frame(enum ws_opcode opcode, uint8_t *payload, size_t n,
		     const uint8_t key[WS_MASK_BYTES]);

/* Size of the whole frame that ws_header_write began. */
size_t ws_frame_bytes(const uint8_t *frame);

/* A whole close frame; reason is cut at 123 bytes. Returns its size. */
size_t ws_close_write(uint8_t to[2 + WS_CONTROL_MAX_BYTES], uint16_t code, const char *reason);

/* RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF. */
bool ws_utf8_is_valid(const uint8_t *text, size_t n);
