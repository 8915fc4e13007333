/*
 * leg_frame: reads and builds the messages of a leg, as docs/protocol.md has them. No I/O, no
 * allocation: what a reader hands out points into the message, a writer fills its caller's buffer.
 */
#include "leg/leg_frame.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

int
leg_reader_init(struct leg_reader *reader, bool is_node_leg, const uint8_t *payload, size_t n)
{
	size_t header = leg_data_header_bytes(is_node_leg);

	if (n > LEG_MESSAGE_MAX_BYTES || n <= header + LEG_DATAGRAM_HEADER_BYTES ||
	    payload[0] != LEG_KIND_DATA)
		return -EBADMSG;
	uint32_t channel = 0;
	if (is_node_leg) {
		channel = (uint32_t)payload[1] << 24 | (uint32_t)payload[2] << 16 |
			  (uint32_t)payload[3] << 8 | payload[4];
		if (channel == 0)
			return -EBADMSG;
	}
	*reader = (struct leg_reader){ .next = payload + header,
				       .end = payload + n,
				       .channel = channel };
	return 0;
}

int
leg_reader_next(struct leg_reader *reader, const uint8_t **ret_datagram, size_t *ret_n)
{
	size_t left = (size_t)(reader->end - reader->next);

	if (left == 0)
		return 0;
	if (left < LEG_DATAGRAM_HEADER_BYTES || reader->count == LEG_BATCH_MAX)
		return -EBADMSG;
	size_t n = (size_t)reader->next[0] << 8 | reader->next[1];
	if (n == 0 || n > left - LEG_DATAGRAM_HEADER_BYTES)
		return -EBADMSG;
	*ret_datagram = reader->next + LEG_DATAGRAM_HEADER_BYTES;
	*ret_n = n;
	reader->next += LEG_DATAGRAM_HEADER_BYTES + n;
	reader->count++;
	return 1;
}

int
leg_message_check(bool is_node_leg, const uint8_t *payload, size_t n)
{
	struct leg_reader reader;
	const uint8_t *datagram;
	size_t datagram_n;
	int r = leg_reader_init(&reader, is_node_leg, payload, n);

	if (r < 0)
		return r;
	do {
		r = leg_reader_next(&reader, &datagram, &datagram_n);
	} while (r == 1);
	return r;
}

unsigned
leg_message_count(bool is_node_leg, const uint8_t *payload, size_t n)
{
	struct leg_reader reader = { .count = 0 };
	const uint8_t *datagram;
	size_t datagram_n;

	if (leg_reader_init(&reader, is_node_leg, payload, n) == 0)
		while (leg_reader_next(&reader, &datagram, &datagram_n) == 1)
			;
	return reader.count > 0 ? reader.count : 1;
}

size_t
leg_batch_cut(const uint8_t *batch, size_t n, size_t most)
{
	struct leg_reader reader = { .next = batch, .end = batch + n };
	const uint8_t *datagram;
	size_t datagram_n, cut = 0;

	if (n <= most)
		return n;
	while (leg_reader_next(&reader, &datagram, &datagram_n) == 1) {
		size_t end = (size_t)(reader.next - batch);

		if (cut > 0 && end > most)
			return cut;
		cut = end;
	}
	return n;
}

void
leg_writer_init(struct leg_writer *writer, bool is_node_leg, uint32_t channel, uint8_t *buffer,
		size_t capacity)
{
	size_t header = leg_data_header_bytes(is_node_leg);

	assert(capacity > header + LEG_DATAGRAM_HEADER_BYTES);
	buffer[0] = LEG_KIND_DATA;
	if (is_node_leg) {
		buffer[1] = (uint8_t)(channel >> 24);
		buffer[2] = (uint8_t)(channel >> 16);
		buffer[3] = (uint8_t)(channel >> 8);
		buffer[4] = (uint8_t)channel;
	}
	if (capacity > LEG_MESSAGE_MAX_BYTES)
		capacity = LEG_MESSAGE_MAX_BYTES;
	*writer = (struct leg_writer){ .buffer = buffer, .capacity = capacity, .n = header };
}

int
leg_writer_add(struct leg_writer *writer, const uint8_t *datagram, size_t n)
{
	if (n == 0 || n > UINT16_MAX)
		return -EMSGSIZE;
	size_t after = writer->n + LEG_DATAGRAM_HEADER_BYTES + n;
	/* A datagram larger than a usual batch travels alone. */
	bool is_full = writer->count > 0 && after > LEG_BATCH_SEND_BYTES;

	if (is_full || writer->count == LEG_BATCH_SEND_MAX)
		return -ENOSPC;
	if (after > writer->capacity)
		return writer->count > 0 ? -ENOSPC : -EMSGSIZE;
	uint8_t *at = writer->buffer + writer->n;
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
	memcpy(at + LEG_DATAGRAM_HEADER_BYTES, datagram, n);
	writer->n = after;
	writer->count++;
	return 0;
}
