/*
 * leg_frame: what a binary WebSocket message of subprotocol `higgs.v1` holds (normative:
 * docs/protocol.md).
 *
 *	data     u8 1, [node leg only: u32 channel, big-endian],
 *	         then 1 to 64 of { u16 length, big-endian; datagram }
 *	control  u8 2, then one boson.link.Control
 *
 * Readers check before they hand out; nothing is copied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LEG_KIND_DATA = 1,
	LEG_KIND_CONTROL = 2,
	LEG_MESSAGE_MAX_BYTES = 64 * 1024,
	LEG_BATCH_MAX = 64, /* accepted; senders stay at LEG_BATCH_SEND_* */
	LEG_BATCH_SEND_MAX = 16,
	LEG_BATCH_SEND_BYTES = 24 * 1024,
	LEG_DATA_HEADER_NODE_BYTES = 5,
	LEG_DATA_HEADER_CLIENT_BYTES = 1,
	LEG_DATAGRAM_HEADER_BYTES = 2,
};

static inline size_t
leg_data_header_bytes(bool is_node_leg)
{
	return is_node_leg ? LEG_DATA_HEADER_NODE_BYTES : LEG_DATA_HEADER_CLIENT_BYTES;
}

/* Walks the datagrams of a data message. */
struct leg_reader {
	const uint8_t *next, *end;
	uint32_t channel; /* node legs */
	unsigned count;
};

/* payload: the whole message, n bytes. -EBADMSG: not data, too short, no datagram, channel 0 on a
 * node leg. */
int leg_reader_init(struct leg_reader *reader, bool is_node_leg, const uint8_t *payload, size_t n);

/* 1 and the next datagram, 0 at the end, -EBADMSG: a length beyond the end, of zero, or more than
 * LEG_BATCH_MAX. */
int leg_reader_next(struct leg_reader *reader, const uint8_t **ret_datagram, size_t *ret_n);

/* Checks the whole message without handing anything out. 0 or -EBADMSG. */
int leg_message_check(bool is_node_leg, const uint8_t *payload, size_t n);

/* Datagrams in a data message; what cannot be read counts as one. */
unsigned leg_message_count(bool is_node_leg, const uint8_t *payload, size_t n);

/* The first bytes of a batch (what follows a data message's header) that are whole datagrams and at
 * most so many, but one datagram at least: n when all of it is, or when it cannot be read. */
size_t leg_batch_cut(const uint8_t *batch, size_t n, size_t most);

/* Builds a data message in a caller's buffer. */
struct leg_writer {
	uint8_t *buffer;
	size_t capacity, n;
	unsigned count;
};

/* channel is written for node legs only. */
void leg_writer_init(struct leg_writer *writer, bool is_node_leg, uint32_t channel, uint8_t *buffer,
		     size_t capacity);

/* -ENOSPC when the batch is full by count or bytes: send it and start anew. A datagram larger than
 * a usual batch goes alone; -EMSGSIZE: empty, or too large for this buffer even alone. */
int leg_writer_add(struct leg_writer *writer, const uint8_t *datagram, size_t n);
