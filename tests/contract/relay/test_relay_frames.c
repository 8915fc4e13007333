/*
 * What an admitted leg may not do. Each costs the leg that did it, with the code the row names, and
 * no other: W27 W29 W31 W33 W35 W37 W39 W41 W43 W45 W51 W53 W55 W61 W63 W69. What one does by
 * doing nothing (W47) is in test_relay_silence.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay/relay_leg.h"
#include "relay_fixture.h"

#include "leg/leg_frame.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t session_id[UUID_BYTES] = "session-00000001";

static struct relay_fixture relay;

static int
set_up(void **state)
{
	*state = &relay;
	relay_fixture_start(&relay, false, "");
	return 0;
}

static unsigned
code_for(const void *bytes, size_t n)
{
	return leg_talk_code_for(&relay, node_id, session_id, bytes, n);
}

#define CODE(text) code_for(text, sizeof(text) - 1)

static void
test_w27_reserved_bits_get_1002(void **state)
{
	(void)state;
	assert_int_equal(CODE("\xc2\x81" NO_MASK "x"), 1002);
	assert_int_equal(CODE("\xa2\x81" NO_MASK "x"), 1002);
	assert_int_equal(CODE("\x92\x81" NO_MASK "x"), 1002);
}

static void
test_an_unmasked_frame_gets_1002(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x82\x01x"), 1002);
}

static void
test_unknown_opcodes_get_1002(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x83\x80" NO_MASK), 1002);
	assert_int_equal(CODE("\x8b\x80" NO_MASK), 1002);
	assert_int_equal(CODE("\x8f\x80" NO_MASK), 1002);
}

static void
test_w29_a_ping_of_126_bytes_gets_1002(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x89\xfe\x00\x7e" NO_MASK), 1002);
	assert_int_equal(CODE("\x09\x80" NO_MASK), 1002); /* and one in fragments */
}

static void
test_w31_a_continuation_of_nothing_gets_1002(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x80\x80" NO_MASK), 1002);
	assert_int_equal(CODE("\x02\x81" NO_MASK "x\x82\x81" NO_MASK "x"), 1002);
}

static void
test_w33_invalid_text_gets_1007_and_valid_text_1003(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x81\x82" NO_MASK "\xc0\x80"), 1007);
	assert_int_equal(CODE("\x81\x83" NO_MASK "\xed\xa0\x80"), 1007);
	assert_int_equal(CODE("\x01\x81" NO_MASK "\xe2\x80\x82" NO_MASK "\x82\xac"), 1003);
	assert_int_equal(CODE("\x81\x82" NO_MASK "hi"), 1003);
}

static void
test_w35_a_close_of_one_byte_gets_1002(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x88\x81" NO_MASK "\x03"), 1002);
	assert_int_equal(CODE("\x88\x82" NO_MASK "\x03\xe7"), 1002); /* 999 */
	assert_int_equal(CODE("\x88\x82" NO_MASK "\x03\xed"), 1002); /* 1005 */
}

static void
test_w37_a_close_reason_that_is_not_utf8_gets_1007(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x88\x83" NO_MASK "\x03\xe8\xff"), 1007);
}

static void
test_a_close_is_echoed(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x88\x82" NO_MASK "\x03\xe8"), 1000);
	assert_int_equal(CODE("\x88\x85" NO_MASK "\x0f\xa1"
			      "bye"),
			 4001);
	assert_int_equal(CODE("\x88\x80" NO_MASK), 1005);
}

static void
test_w39_a_length_with_its_top_bit_set_gets_1002(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x82\xff\x80\0\0\0\0\0\0\1" NO_MASK), 1002);
}

static void
test_w41_a_length_that_is_not_minimal_gets_1002(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x82\xfe\x00\x7d" NO_MASK), 1002);
	assert_int_equal(CODE("\x82\xff\0\0\0\0\0\0\xff\xff" NO_MASK), 1002);
}

static void
test_a_message_over_64_kib_gets_1009_before_it_has_come(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x82\xff\0\0\0\0\0\1\0\1" NO_MASK), 1009);
	assert_int_equal(CODE("\x82\xff\0\0\1\0\0\0\0\0" NO_MASK), 1009);
}

static void
test_w43_a_ninth_fragment_gets_1008(void **state)
{
	static const char eight[] = "\x02\x81" NO_MASK "x"
				    "\0\x81" NO_MASK "x\0\x81" NO_MASK "x\0\x81" NO_MASK "x"
				    "\0\x81" NO_MASK "x\0\x81" NO_MASK "x\0\x81" NO_MASK "x"
				    "\0\x81" NO_MASK "x";

	(void)state;
	char nine[sizeof(eight) + 7];
	memcpy(nine, eight, sizeof(eight) - 1);
	memcpy(nine + sizeof(eight) - 1, "\0\x81" NO_MASK "x", 7);
	assert_int_equal(code_for(nine, sizeof(eight) - 1 + 7), 1008);
}

static void
test_w45_a_flood_of_pings_gets_1008(void **state)
{
	enum { PINGS = 2 * RELAY_PINGS_PER_SECOND + 2 }; /* two seconds may share them */
	static char pings[PINGS * 6];

	(void)state;
	for (size_t i = 0; i < PINGS; i++)
		memcpy(pings + i * 6, "\x89\x80" NO_MASK, 6);
	assert_int_equal(code_for(pings, sizeof(pings)), 1008);
}

/* As many in a second as a window sends on a fast way whose messages are small. */
static void
test_marks_of_a_window_are_no_flood(void **state)
{
	enum { MARKS = 1000 * 1000 / (LEG_WINDOW_TARGET_LEAST_US / 2) };
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session_id);
	uint32_t channel = leg_talk_channel(node, session_id);
	struct raw_frame pong;
	uint64_t mark = 0;

	(void)state;
	while (++mark <= MARKS)
		assert_true(raw_leg_send(node, 0x89, (const uint8_t *)&mark, sizeof(mark)));
	do /* one answers for several */
		assert_true(raw_leg_receive(node, &pong) && pong.first == 0x8a);
	while (memcmp(pong.payload, &(uint64_t){ MARKS }, sizeof(mark)) != 0);
	leg_talk_exchange(node, client, channel);
	raw_leg_close(&client);
	raw_leg_close(&node);
	relay_fixture_await_empty(&relay);
}

/* W51: a leg's messages have no version of their own (the subprotocol's name has it); the byte that
 * stands first and would tell one is their kind. */
static void
test_w51_an_unknown_kind_gets_4400(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x82\x82" NO_MASK "\x09x"), 4400);
	assert_int_equal(CODE("\x82\x82" NO_MASK "\x00x"), 4400);
	assert_int_equal(CODE("\x82\x80" NO_MASK), 4400);
}

static void
test_w53_a_datagram_longer_than_its_message_gets_4400(void **state)
{
	(void)state;
	assert_int_equal(CODE("\x82\x85" NO_MASK "\x01\x00\x03xx"), 4400);
	assert_int_equal(CODE("\x82\x85" NO_MASK "\x01\xff\xffxx"), 4400);
	assert_int_equal(CODE("\x82\x84" NO_MASK "\x01\x00\x00x"), 4400);
	assert_int_equal(CODE("\x82\x83" NO_MASK "\x01\x00\x01"), 4400);
	assert_int_equal(CODE("\x82\x81" NO_MASK "\x01"), 4400);
}

static void
test_w55_65_datagrams_in_a_batch_get_4400(void **state)
{
	static uint8_t message[8192], frame[sizeof(message) + RAW_FRAME_HEADER_BYTES];

	(void)state;
	size_t n = leg_talk_message(message, 0, 65, 32);
	assert_int_equal(code_for(frame, raw_leg_frame(frame, 0x82, message, n)), 4400);
}

/* W61: what a message says of its direction is nothing: kind and length are all there is, and a
 * client's channel bytes are payload. */
static void
test_w61_a_client_cannot_name_a_channel(void **state)
{
	(void)state;
	/* A node's data message, sent by a client: the channel reads as a length of 0. */
	assert_int_equal(CODE("\x82\x89" NO_MASK "\x01\0\0\0\x01\0\x02xx"), 4400);
}

static void
test_w63_a_control_message_that_is_none_gets_4400(void **state)
{
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);

	(void)state;
	/* From a client: none is allowed. */
	assert_int_equal(CODE("\x82\x83" NO_MASK "\x02\x0a\x00"), 4400);
	raw_leg_close(&node);
	/* From a node: a field that is not ours ("compressed": true), gzip, a relay's own word. */
	static const struct {
		const char *bytes;
		size_t n;
	} bad[] = {
		{ "\x82\x83" NO_MASK "\x02\x78\x01", 9 },
		{ "\x82\x85" NO_MASK "\x02\x1f\x8b\x08\x00", 11 },
		{ "\x82\x83" NO_MASK "\x02\x0a\x00", 9 },
		{ "\x82\x81" NO_MASK "\x02", 7 },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		node = raw_leg_open(&relay, node_id, NULL);
		assert_true(raw_leg_write(node, bad[i].bytes, bad[i].n));
		assert_int_equal(raw_leg_close_code(node), 4400);
		raw_leg_close(&node);
	}
}

static void
test_channel_0_gets_4400_and_an_unknown_channel_is_counted(void **state)
{
	uint8_t message[256];
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	uint64_t before = relay_fixture_counter(&relay, "drops_total{reason=\"no_channel\"}");
	size_t n = leg_talk_message(message, 12345678, 3, 48);

	(void)state;
	assert_true(raw_leg_send(node, 0x82, message, n));
	relay_fixture_await(&relay, "drops_total{reason=\"no_channel\"}", before + 3);
	memset(message + 1, 0, 4);
	assert_true(raw_leg_send(node, 0x82, message, n));
	assert_int_equal(raw_leg_close_code(node), 4400);
	raw_leg_close(&node);
}

/* W69: each KeyUpdate costs the relay a key schedule; so many without data are an attack. */
static void
test_w69_a_flood_of_key_updates_is_closed(void **state)
{
	static struct relay_fixture with_tls;
	struct raw_leg *leg;
	bool is_closed = false;

	(void)state;
	relay_fixture_start(&with_tls, true, "");
	leg = raw_leg_open(&with_tls, node_id, NULL);
	for (int i = 0; i < 3; i++) { /* an honest number */
		assert_int_equal(SSL_key_update(leg->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_true(raw_leg_send(leg, 0x8a, (const uint8_t *)"", 0));
	}
	assert_true(raw_leg_is_quiet(leg, 100));
	for (int i = 0; i < 1000 && !is_closed; i++)
		is_closed = SSL_key_update(leg->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
			    SSL_do_handshake(leg->ssl) != 1 ||
			    !raw_leg_send(leg, 0x8a, (const uint8_t *)"", 0);
	assert_int_equal(raw_leg_close_code(leg), 0);
	raw_leg_close(&leg);
	relay_fixture_stop(&with_tls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_w27_reserved_bits_get_1002),
		cmocka_unit_test(test_an_unmasked_frame_gets_1002),
		cmocka_unit_test(test_unknown_opcodes_get_1002),
		cmocka_unit_test(test_w29_a_ping_of_126_bytes_gets_1002),
		cmocka_unit_test(test_w31_a_continuation_of_nothing_gets_1002),
		cmocka_unit_test(test_w33_invalid_text_gets_1007_and_valid_text_1003),
		cmocka_unit_test(test_w35_a_close_of_one_byte_gets_1002),
		cmocka_unit_test(test_w37_a_close_reason_that_is_not_utf8_gets_1007),
		cmocka_unit_test(test_a_close_is_echoed),
		cmocka_unit_test(test_w39_a_length_with_its_top_bit_set_gets_1002),
		cmocka_unit_test(test_w41_a_length_that_is_not_minimal_gets_1002),
		cmocka_unit_test(test_a_message_over_64_kib_gets_1009_before_it_has_come),
		cmocka_unit_test(test_w43_a_ninth_fragment_gets_1008),
		cmocka_unit_test(test_w45_a_flood_of_pings_gets_1008),
		cmocka_unit_test(test_marks_of_a_window_are_no_flood),
		cmocka_unit_test(test_w51_an_unknown_kind_gets_4400),
		cmocka_unit_test(test_w53_a_datagram_longer_than_its_message_gets_4400),
		cmocka_unit_test(test_w55_65_datagrams_in_a_batch_get_4400),
		cmocka_unit_test(test_w61_a_client_cannot_name_a_channel),
		cmocka_unit_test(test_w63_a_control_message_that_is_none_gets_4400),
		cmocka_unit_test(test_channel_0_gets_4400_and_an_unknown_channel_is_counted),
		cmocka_unit_test(test_w69_a_flood_of_key_updates_is_closed),
	};

	return cmocka_run_group_tests(tests, set_up, relay_fixture_tear_down);
}
