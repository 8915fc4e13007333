/*
 * load_frame: what is sent, built once, and what arrives, checked by its headers and counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LOAD_DATAGRAM_BYTES = 1408, /* a WireGuard transport message of about the usual size */
	LOAD_BATCH_MAX = 16,
	LOAD_FRAME_MAX_BYTES = 14 + 5 + LOAD_BATCH_MAX * (2 + LOAD_DATAGRAM_BYTES),
	LOAD_CHUNK_BYTES = 256 * 1024,
	LOAD_HEAD_BYTES = 32, /* of a message's beginning, kept for who asks */
	LOAD_PING_BYTES = 8,  /* of a ping of the relay's */
	LOAD_PONG_BYTES = 6 + LOAD_PING_BYTES,
};

/* How messages are told apart on a line. */
enum load_framing {
	LOAD_WEBSOCKET,	   /* masked or not */
	LOAD_CHANNEL_DATA, /* TURN, RFC 8656, section 12.4 */
	LOAD_BARE,	   /* a UDP datagram is a message */
};

/* Whole frames of one size, end to end. */
struct load_chunk {
	uint8_t *bytes;
	size_t n, frame_n;
};

/* One masked frame around a data message of `batch` random datagrams of WireGuard's shape; channel
 * 0: a client's message. Returns its size. */
size_t load_frame_build(uint8_t *to, uint32_t channel, unsigned batch);

/* Such frames, for each channel of first, first + step, ... (count of them) in turn, until the
 * chunk is full and every channel has had as many. */
void load_chunk_build(struct load_chunk *chunk, uint32_t first, uint32_t step, unsigned count,
		      unsigned batch);

/* The same for TURN's channel 0x4000 (LOAD_CHANNEL_DATA), or without any header (LOAD_BARE). */
void load_chunk_build_turn(struct load_chunk *chunk, enum load_framing framing);

struct load_parser {
	enum load_framing framing;
	bool keeps_head;
	bool is_counted; /* the message that is arriving is one of data */
	bool is_ping;
	bool has_ping; /* the latest is not answered yet: one pong answers all before it */
	uint8_t ping[LOAD_PING_BYTES];
	uint8_t header[16], head[LOAD_HEAD_BYTES];
	size_t header_n, left, head_n;
};

/* Called for each whole data message; head: its first bytes when they are kept. */
typedef void (*load_message_fn)(const uint8_t *head, size_t n, void *arg);

/* The answer to the latest ping, masked. */
void load_parser_pong(struct load_parser *parser, uint8_t to[LOAD_PONG_BYTES]);

/* expected: the size that data messages must have, 0: any. */
void load_parser_take(struct load_parser *parser, const uint8_t *at, size_t n, size_t expected,
		      load_message_fn fn, void *arg);
