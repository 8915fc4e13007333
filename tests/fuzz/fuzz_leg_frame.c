/*
 * Feeds arbitrary messages to the reader of leg data: first byte odd = a node leg. What the reader
 * hands out must lie in the message, and what it accepts must be written again to the same bytes.
 */
#include "leg/leg_frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
require(bool condition)
{
	if (!condition)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	if (n == 0)
		return 0;
	bool is_node_leg = bytes[0] & 1;
	const uint8_t *message = bytes + 1, *datagram;
	size_t message_n = n - 1, datagram_n;
	struct leg_reader reader;
	struct leg_writer writer;
	static uint8_t again[LEG_MESSAGE_MAX_BYTES];
	int r, expected = leg_message_check(is_node_leg, message, message_n);

	r = leg_reader_init(&reader, is_node_leg, message, message_n);
	if (r < 0) {
		require(expected == r);
		return 0;
	}
	leg_writer_init(&writer, is_node_leg, reader.channel, again, sizeof again);
	bool is_small = message_n <= LEG_BATCH_SEND_BYTES;
	while ((r = leg_reader_next(&reader, &datagram, &datagram_n)) == 1) {
		require(datagram_n > 0 && datagram > message &&
			datagram + datagram_n <= message + message_n);
		int w = leg_writer_add(&writer, datagram, datagram_n);
		require(w == 0 || !is_small || reader.count > LEG_BATCH_SEND_MAX);
	}
	require(r == expected);
	if (r == 0 && is_small && reader.count <= LEG_BATCH_SEND_MAX)
		require(writer.n == message_n && memcmp(again, message, message_n) == 0);
	return 0;
}
