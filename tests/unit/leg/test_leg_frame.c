/*
 * What leg_frame accepts and refuses: one byte too few, one too many, the wrong kind, and that what
 * a writer builds a reader gives back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg/leg_frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNEL = 0x01020304 };

/* An exact heap copy, so that a sanitizer sees a read beyond the end. */
static int
check(bool is_node_leg, const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	int r = leg_message_check(is_node_leg, copy, n);
	free(copy);
	return r;
}

static void
test_what_is_written_is_read_back(void **state)
{
	(void)state;
	for (int is_node_leg = 0; is_node_leg < 2; is_node_leg++) {
		uint8_t buffer[4096];
		struct leg_writer writer;
		leg_writer_init(&writer, is_node_leg, CHANNEL, buffer, sizeof buffer);
		for (unsigned i = 1; i <= 5; i++) {
			uint8_t datagram[300];
			memset(datagram, (int)i, sizeof datagram);
			assert_int_equal(leg_writer_add(&writer, datagram, i * 50), 0);
		}
		struct leg_reader reader;
		assert_int_equal(leg_reader_init(&reader, is_node_leg, buffer, writer.n), 0);
		assert_int_equal(reader.channel, is_node_leg ? CHANNEL : 0);
		for (unsigned i = 1; i <= 5; i++) {
			const uint8_t *datagram;
			size_t n;
			assert_int_equal(leg_reader_next(&reader, &datagram, &n), 1);
			assert_int_equal(n, i * 50);
			assert_int_equal(datagram[0], i);
			assert_int_equal(datagram[n - 1], i);
		}
		const uint8_t *datagram = NULL;
		size_t n;
		assert_int_equal(leg_reader_next(&reader, &datagram, &n), 0);
		assert_null(datagram);
	}
}

static void
test_the_bytes_on_the_wire_are_those_of_the_protocol(void **state)
{
	(void)state;
	uint8_t buffer[64];
	struct leg_writer writer;
	const uint8_t node[] = { 1, 1, 2, 3, 4, 0, 2, 'a', 'b', 0, 1, 'c' };
	const uint8_t client[] = { 1, 0, 2, 'a', 'b', 0, 1, 'c' };

	leg_writer_init(&writer, true, CHANNEL, buffer, sizeof buffer);
	assert_int_equal(leg_writer_add(&writer, (const uint8_t *)"ab", 2), 0);
	assert_int_equal(leg_writer_add(&writer, (const uint8_t *)"c", 1), 0);
	assert_int_equal(writer.n, sizeof node);
	assert_memory_equal(buffer, node, sizeof node);

	leg_writer_init(&writer, false, 0, buffer, sizeof buffer);
	assert_int_equal(leg_writer_add(&writer, (const uint8_t *)"ab", 2), 0);
	assert_int_equal(leg_writer_add(&writer, (const uint8_t *)"c", 1), 0);
	assert_int_equal(writer.n, sizeof client);
	assert_memory_equal(buffer, client, sizeof client);
}

static void
test_each_shorter_piece_of_a_message_is_refused(void **state)
{
	(void)state;
	const uint8_t node[] = { 1, 1, 2, 3, 4, 0, 2, 'a', 'b', 0, 1, 'c' };
	const uint8_t client[] = { 1, 0, 2, 'a', 'b', 0, 1, 'c' };

	assert_int_equal(check(true, node, sizeof node), 0);
	for (size_t n = 0; n < sizeof node; n++)
		if (n != 9) /* the first datagram alone is a message too */
			assert_int_equal(check(true, node, n), -EBADMSG);
	assert_int_equal(check(false, client, sizeof client), 0);
	for (size_t n = 0; n < sizeof client; n++)
		if (n != 5)
			assert_int_equal(check(false, client, n), -EBADMSG);
}

static void
test_wrong_kind_channel_zero_and_length_zero_are_refused(void **state)
{
	(void)state;
	const uint8_t control[] = { 2, 0, 1, 'a' };
	const uint8_t kind_zero[] = { 0, 0, 1, 'a' };
	const uint8_t channel_zero[] = { 1, 0, 0, 0, 0, 0, 1, 'a' };
	const uint8_t empty_first[] = { 1, 0, 0, 0, 1, 'a' };
	const uint8_t empty_last[] = { 1, 0, 1, 'a', 0, 0 };
	const uint8_t beyond[] = { 1, 0, 1, 'a', 0, 2, 'b' };
	const uint8_t huge[] = { 1, 0xff, 0xff, 'a' };

	assert_int_equal(check(false, control, sizeof control), -EBADMSG);
	assert_int_equal(check(false, kind_zero, sizeof kind_zero), -EBADMSG);
	assert_int_equal(check(true, channel_zero, sizeof channel_zero), -EBADMSG);
	assert_int_equal(check(false, empty_first, sizeof empty_first), -EBADMSG);
	assert_int_equal(check(false, empty_last, sizeof empty_last), -EBADMSG);
	assert_int_equal(check(false, beyond, sizeof beyond), -EBADMSG);
	assert_int_equal(check(false, huge, sizeof huge), -EBADMSG);
}

static void
test_a_batch_of_64_is_accepted_and_of_65_refused(void **state)
{
	(void)state;
	uint8_t message[1 + 65 * 3];

	message[0] = LEG_KIND_DATA;
	for (size_t i = 0; i < 65; i++)
		memcpy(message + 1 + 3 * i, "\0\1x", 3);
	assert_int_equal(check(false, message, 1 + 64 * 3), 0);
	assert_int_equal(check(false, message, 1 + 65 * 3), -EBADMSG);
}

static void
test_a_message_beyond_the_largest_is_refused(void **state)
{
	(void)state;
	static uint8_t message[LEG_MESSAGE_MAX_BYTES + 1];
	size_t half = LEG_MESSAGE_MAX_BYTES / 2;

	/* two datagrams that fill it exactly */
	message[0] = LEG_KIND_DATA;
	message[1] = (uint8_t)((half - 3) >> 8);
	message[2] = (uint8_t)(half - 3);
	message[half] = (uint8_t)((half - 2) >> 8);
	message[half + 1] = (uint8_t)(half - 2);
	assert_int_equal(check(false, message, LEG_MESSAGE_MAX_BYTES), 0);
	message[half] = (uint8_t)((half - 1) >> 8);
	message[half + 1] = (uint8_t)(half - 1);
	assert_int_equal(check(false, message, LEG_MESSAGE_MAX_BYTES + 1), -EBADMSG);
}

static void
test_a_writer_is_full_by_count_by_bytes_and_by_capacity(void **state)
{
	(void)state;
	static uint8_t buffer[LEG_MESSAGE_MAX_BYTES];
	static const uint8_t datagram[UINT16_MAX + 1];
	struct leg_writer writer;

	leg_writer_init(&writer, false, 0, buffer, sizeof buffer);
	for (int i = 0; i < LEG_BATCH_SEND_MAX; i++)
		assert_int_equal(leg_writer_add(&writer, datagram, 1), 0);
	assert_int_equal(leg_writer_add(&writer, datagram, 1), -ENOSPC);

	leg_writer_init(&writer, false, 0, buffer, sizeof buffer);
	assert_int_equal(leg_writer_add(&writer, datagram, LEG_BATCH_SEND_BYTES - 3 - 3), 0);
	assert_int_equal(leg_writer_add(&writer, datagram, 2), -ENOSPC);
	assert_int_equal(leg_writer_add(&writer, datagram, 1), 0);

	leg_writer_init(&writer, false, 0, buffer, 10);
	assert_int_equal(leg_writer_add(&writer, datagram, 4), 0);
	size_t n = writer.n;
	assert_int_equal(leg_writer_add(&writer, datagram, 2), -ENOSPC);
	assert_int_equal(writer.n, n);
	assert_int_equal(leg_writer_add(&writer, datagram, 1), 0);
}

static void
test_a_large_datagram_goes_alone_and_an_impossible_one_not_at_all(void **state)
{
	(void)state;
	static uint8_t buffer[LEG_MESSAGE_MAX_BYTES + 100]; /* room alone allows no more */
	static const uint8_t datagram[UINT16_MAX + 1];
	struct leg_writer writer;

	leg_writer_init(&writer, true, CHANNEL, buffer, sizeof buffer);
	assert_int_equal(leg_writer_add(&writer, datagram, 65507), 0);
	assert_int_equal(check(true, buffer, writer.n), 0);
	leg_writer_init(&writer, true, CHANNEL, buffer, sizeof buffer);
	assert_int_equal(leg_writer_add(&writer, datagram, 0), -EMSGSIZE);
	assert_int_equal(leg_writer_add(&writer, datagram, UINT16_MAX), -EMSGSIZE);
	assert_int_equal(leg_writer_add(&writer, datagram, UINT16_MAX + 1), -EMSGSIZE);
	assert_int_equal(leg_writer_add(&writer, datagram, SIZE_MAX), -EMSGSIZE);
	assert_int_equal(writer.count, 0);
}

static void
test_a_writer_stays_in_the_smallest_buffer(void **state)
{
	const uint8_t full[] = { 1, 0, 1, 'a', 'x', 'x', 'x', 'x' };
	uint8_t buffer[sizeof full];
	struct leg_writer writer;

	(void)state;
	memset(buffer, 'x', sizeof buffer);
	leg_writer_init(&writer, false, CHANNEL, buffer, 4);
	assert_memory_equal(buffer + 4, full + 4, sizeof full - 4);
	assert_int_equal(leg_writer_add(&writer, (const uint8_t *)"ab", 2), -EMSGSIZE);
	assert_int_equal(leg_writer_add(&writer, (const uint8_t *)"a", 1), 0);
	assert_memory_equal(buffer, full, sizeof full);
}

/* A batch of datagrams of 50, 100, 150, 200 and 250 bytes. */
static void
test_a_batch_is_cut_between_datagrams_and_counted(void **state)
{
	uint8_t buffer[4096], datagram[300] = { 0 };
	struct leg_writer writer;

	(void)state;
	leg_writer_init(&writer, true, CHANNEL, buffer, sizeof buffer);
	for (size_t i = 1; i <= 5; i++)
		assert_int_equal(leg_writer_add(&writer, datagram, i * 50), 0);
	const uint8_t *batch = buffer + LEG_DATA_HEADER_NODE_BYTES;
	size_t n = writer.n - LEG_DATA_HEADER_NODE_BYTES;
	assert_int_equal(leg_message_count(true, buffer, writer.n), 5);
	assert_int_equal(leg_batch_cut(batch, n, n), n);
	assert_int_equal(leg_batch_cut(batch, n, n - 1), n - 252);
	assert_int_equal(leg_batch_cut(batch, n, 52 + 102), 52 + 102);
	assert_int_equal(leg_batch_cut(batch, n, 52 + 101), 52);
	assert_int_equal(leg_batch_cut(batch, n, 1), 52); /* one at least */
	assert_int_equal(leg_batch_cut(batch, 0, 100), 0);
	/* What cannot be read goes whole, and counts. */
	assert_int_equal(leg_batch_cut((const uint8_t *)"\0\1a\0\11b", 6, 4), 6);
	assert_int_equal(leg_batch_cut(batch, n - 1, 60), 52);
	assert_int_equal(leg_batch_cut(batch + 1, n - 1, 60), n - 1);
	assert_int_equal(leg_message_count(true, buffer, 3), 1);
	assert_int_equal(leg_message_count(false, buffer, 0), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read_back),
		cmocka_unit_test(test_the_bytes_on_the_wire_are_those_of_the_protocol),
		cmocka_unit_test(test_each_shorter_piece_of_a_message_is_refused),
		cmocka_unit_test(test_wrong_kind_channel_zero_and_length_zero_are_refused),
		cmocka_unit_test(test_a_batch_of_64_is_accepted_and_of_65_refused),
		cmocka_unit_test(test_a_message_beyond_the_largest_is_refused),
		cmocka_unit_test(test_a_writer_is_full_by_count_by_bytes_and_by_capacity),
		cmocka_unit_test(test_a_large_datagram_goes_alone_and_an_impossible_one_not_at_all),
		cmocka_unit_test(test_a_writer_stays_in_the_smallest_buffer),
		cmocka_unit_test(test_a_batch_is_cut_between_datagrams_and_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
