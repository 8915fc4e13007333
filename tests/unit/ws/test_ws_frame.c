/*
 * The frame codec against a plain reference of RFC 6455, section 5.2, written here: every length
 * class, every mask phase, every place where a stream can be cut.
 */
#include "ws/ws_frame.h"
#include "ws/ws_mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

enum { LIMIT = 64 * 1024 };

static uint8_t
byte_at(size_t i)
{
	return (uint8_t)(i * 131 + i / 251);
}

/* The reference: one byte after the other. */
static size_t
reference_frame(uint8_t *to, uint8_t first, size_t n, const uint8_t mask[4])
{
	size_t at = 0;

	to[at++] = first;
	if (n <= 125) {
		to[at++] = (uint8_t)(0x80 | n);
	} else if (n <= 65535) {
		to[at++] = 0x80 | 126;
		to[at++] = (uint8_t)(n >> 8);
		to[at++] = (uint8_t)n;
	} else {
		to[at++] = 0x80 | 127;
		for (int i = 7; i >= 0; i--)
			to[at++] = (uint8_t)((uint64_t)n >> (8 * i));
	}
	for (int i = 0; i < 4; i++)
		to[at++] = mask[i];
	for (size_t i = 0; i < n; i++)
		to[at++] = byte_at(i) ^ mask[i % 4];
	return at;
}

static void
check_payload(const struct ws_event *event, size_t n)
{
	uint8_t *plain = malloc(n + 1);

	assert_non_null(plain);
	assert_int_equal(event->n, n);
	if (n > 0)
		ws_unmask(plain, event->payload, n, event->mask);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(plain[i], byte_at(i));
	free(plain);
}

static const size_t lengths[] = { 0,	1,     2,     3,     4,	    5,	   7,	 8,   31,
				  32,	33,    63,    64,    123,   124,   125,	 126, 127,
				  128,	129,   255,   256,   257,   383,   384,	 385, 999,
				  1411, 16383, 16384, 32768, 65534, 65535, 65536 };

static void
test_every_length_class_reads_as_it_was_written(void **state)
{
	static const uint8_t masks[][4] = { { 0, 0, 0, 0 }, { 1, 2, 3, 4 }, { 255, 0, 129, 7 } };
	uint8_t *frame = malloc(LIMIT + 32);

	(void)state;
	assert_non_null(frame);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (size_t m = 0; m < 3; m++) {
			struct ws_reader reader = { 0 };
			struct ws_event event;
			size_t whole = reference_frame(frame, 0x82, lengths[i], masks[m]);

			memcpy(frame + whole, "\x89\x80", 2); /* what follows is left alone */
			ws_reader_next(&reader, frame, whole + 2, LIMIT, 0, &event);
			assert_int_equal(event.kind, WS_EVENT_BINARY);
			assert_int_equal(event.consumed, whole);
			check_payload(&event, lengths[i]);
		}
	free(frame);
}

/* Cut at every byte: never anything but MORE before the end, and `wanted` never too much. */
static void
test_a_frame_cut_at_every_byte_waits_for_the_rest(void **state)
{
	static const uint8_t mask[4] = { 9, 8, 7, 6 };
	static uint8_t frame[70000];

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct ws_reader reader = { 0 };
		struct ws_event event;
		size_t whole = reference_frame(frame, 0x82, lengths[i], mask);
		size_t step = whole > 2000 ? 997 : 1;

		for (size_t n = 0; n < whole; n += n < 20 ? 1 : step) {
			ws_reader_next(&reader, frame, n, LIMIT, 0, &event);
			assert_int_equal(event.kind, WS_EVENT_MORE);
			assert_true(event.wanted > n && event.wanted <= whole);
		}
		ws_reader_next(&reader, frame, whole, LIMIT, 0, &event);
		assert_int_equal(event.kind, WS_EVENT_BINARY);
		check_payload(&event, lengths[i]);
	}
}

/* A random stream of frames, fragments and control frames, in random pieces: the messages come out
 * as a reference that knows where each began says. */
static void
test_a_random_stream_in_random_pieces_gives_its_messages_back(void **state)
{
	(void)state;
	srand(20240601);
	for (int round = 0; round < 300; round++) {
		static uint8_t stream[200000], window[200000];
		size_t expected[64], n_expected = 0, at = 0, n_seen = 0;

		while (n_expected < 20) {
			uint8_t mask[4] = { (uint8_t)rand(), (uint8_t)rand(), (uint8_t)rand(),
					    (uint8_t)rand() };
			size_t n = (size_t)rand() % 4 == 0 ? (size_t)rand() % 9000
							   : (size_t)rand() % 300;
			unsigned fragments = rand() % 3 == 0 ? 2 + (unsigned)rand() % 7 : 1;

			/* The reference payload starts anew in each fragment, so a fragmented
			 * message is told by its length alone. */
			size_t total = 0;
			for (unsigned f = 0; f < fragments; f++) {
				size_t part = fragments == 1 ? n : n / fragments;
				uint8_t first = (uint8_t)((f == 0 ? 2 : 0) |
							  (f + 1 == fragments ? 0x80 : 0));
				at += reference_frame(stream + at, first, part, mask);
				total += part;
				if (rand() % 5 == 0)
					at += reference_frame(stream + at, 0x8a,
							      (size_t)rand() % 126, mask);
			}
			expected[n_expected++] = total;
		}
		struct ws_reader reader = { 0 };
		size_t have = 0, fed = 0;
		while (fed < at || have > 0) {
			struct ws_event event;
			size_t piece = 1 + (size_t)rand() % (rand() % 2 ? 64 : 20000);

			piece = piece < at - fed ? piece : at - fed;
			memcpy(window + have, stream + fed, piece);
			have += piece;
			fed += piece;
			for (;;) {
				ws_reader_next(&reader, window, have, LIMIT, 0, &event);
				if (event.kind == WS_EVENT_MORE)
					break;
				assert_int_not_equal(event.kind, WS_EVENT_FAIL);
				if (event.kind == WS_EVENT_BINARY)
					assert_int_equal(event.n, expected[n_seen++]);
				memmove(window, window + event.consumed, have - event.consumed);
				have -= event.consumed;
			}
			if (fed == at)
				assert_int_equal(have, 0);
		}
		assert_int_equal(n_seen, n_expected);
		ws_reader_fini(&reader);
	}
}

static void
test_fragments_are_joined_in_order(void **state)
{
	struct ws_reader reader = { 0 };
	struct ws_event event;
	uint8_t bytes[] = "\x02\x83\1\2\3\4`ba\x89\x81\0\0\0\0!\x80\x82\0\0\0\0de";
	uint8_t *at = bytes;
	size_t n = sizeof(bytes) - 1;

	(void)state;
	ws_reader_next(&reader, at, n, LIMIT, 0, &event);
	assert_int_equal(event.kind, WS_EVENT_FRAGMENT);
	at += event.consumed;
	n -= event.consumed;
	ws_reader_next(&reader, at, n, LIMIT, 0, &event);
	assert_int_equal(event.kind, WS_EVENT_PING);
	assert_int_equal(event.payload[0], '!');
	at += event.consumed;
	n -= event.consumed;
	ws_reader_next(&reader, at, n, LIMIT, 0, &event);
	assert_int_equal(event.kind, WS_EVENT_BINARY);
	assert_int_equal(event.n, 5);
	assert_memory_equal(event.payload, "a`bde", 5);
	assert_int_equal(event.mask, 0);
	ws_reader_fini(&reader);
}

/* Each is refused with this code as soon as this many of its bytes are there. */
static void
test_what_is_wrong_is_refused_as_early_as_it_shows(void **state)
{
	static const struct {
		const char *bytes;
		size_t n, shows_at;
		uint16_t code;
	} bad[] = {
		{ "\xc2\x80", 2, 2, 1002 },			  /* W27 */
		{ "\xa2\x80", 2, 2, 1002 },			  /* W27 */
		{ "\x92\x80", 2, 2, 1002 },			  /* W27 */
		{ "\x82\x00", 2, 2, 1002 },			  /* not masked */
		{ "\x83\x80", 2, 2, 1002 },			  /* opcode 3 */
		{ "\x8b\x80", 2, 2, 1002 },			  /* opcode 11 */
		{ "\x09\x80", 2, 2, 1002 },			  /* fragmented ping */
		{ "\x89\xfe\0\x7e", 4, 2, 1002 },		  /* W29 */
		{ "\x80\x80", 2, 2, 1002 },			  /* W31 */
		{ "\x82\xff\x80\0\0\0\0\0\0\0", 10, 10, 1002 },	  /* W39 */
		{ "\x82\xfe\0\x7d", 4, 4, 1002 },		  /* W41 */
		{ "\x82\xff\0\0\0\0\0\0\xff\xff", 10, 10, 1002 }, /* W41 */
		{ "\x82\xff\0\0\0\0\0\1\0\1", 10, 10, 1009 },	  /* a byte over the limit */
		{ "\x88\x81\0\0\0\0\3", 7, 7, 1002 },		  /* W35 */
		{ "\x88\x82\0\0\0\0\3\xe7", 8, 8, 1002 },	  /* code 999 */
		{ "\x88\x82\0\0\0\0\x13\x88", 8, 8, 1002 },	  /* code 5000 */
		{ "\x88\x83\0\0\0\0\3\xe8\xff", 9, 9, 1007 },	  /* W37 */
		{ "\x81\x81\0\0\0\0\xff", 7, 7, 1007 },		  /* W33 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (size_t n = 0; n <= bad[i].n; n++) {
			struct ws_reader reader = { 0 };
			struct ws_event event;
			uint8_t bytes[16];

			memcpy(bytes, bad[i].bytes, bad[i].n);
			ws_reader_next(&reader, bytes, n, LIMIT, 0, &event);
			assert_int_equal(event.kind,
					 n < bad[i].shows_at ? WS_EVENT_MORE : WS_EVENT_FAIL);
			if (event.kind == WS_EVENT_FAIL)
				assert_int_equal(event.code, bad[i].code);
		}
}

static void
test_the_limit_counts_all_fragments(void **state)
{
	struct ws_reader reader = { 0 };
	struct ws_event event;
	uint8_t first[] = "\x02\x83\0\0\0\0abc", second[] = "\x00\x83\0\0\0\0abc";

	(void)state;
	ws_reader_next(&reader, first, sizeof(first) - 1, 5, 0, &event);
	assert_int_equal(event.kind, WS_EVENT_FRAGMENT);
	ws_reader_next(&reader, second, sizeof(second) - 1, 5, 0, &event);
	assert_int_equal(event.kind, WS_EVENT_FAIL);
	assert_int_equal(event.code, 1009);
	ws_reader_fini(&reader);
}

/* W43: eight fragments pass, the ninth does not, empty ones count. */
static void
test_w43_the_ninth_fragment_is_refused(void **state)
{
	struct ws_reader reader = { 0 };
	struct ws_event event;

	(void)state;
	for (int i = 1; i <= 9; i++) {
		uint8_t frame[] = { (uint8_t)(i == 1 ? 2 : 0), 0x80, 0, 0, 0, 0 };

		ws_reader_next(&reader, frame, sizeof(frame), LIMIT, 0, &event);
		assert_int_equal(event.kind, i <= 8 ? WS_EVENT_FRAGMENT : WS_EVENT_FAIL);
	}
	assert_int_equal(event.code, 1008);
	ws_reader_fini(&reader);
}

/* W45: ten a second, and then the next second's ten. */
static void
test_w45_the_eleventh_ping_of_a_second_is_refused(void **state)
{
	struct ws_reader reader = { 0 };
	struct ws_event event;

	(void)state;
	for (int64_t second = 5; second < 8; second++)
		for (int i = 0; i < 10; i++) {
			uint8_t ping[] = { 0x89, 0x80, 1, 2, 3, 4 };

			ws_reader_next(&reader, ping, sizeof(ping), LIMIT, second * 1000 + i * 50,
				       &event);
			assert_int_equal(event.kind, WS_EVENT_PING);
		}
	uint8_t ping[] = { 0x89, 0x80, 1, 2, 3, 4 };
	ws_reader_next(&reader, ping, sizeof(ping), LIMIT, 7999, &event);
	assert_int_equal(event.kind, WS_EVENT_FAIL);
	assert_int_equal(event.code, 1008);
}

static void
test_headers_are_written_minimal_and_read_back(void **state)
{
	static uint8_t frame[70000];

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t n = lengths[i], header = ws_header_write(frame, WS_OPCODE_BINARY, n);

		assert_int_equal(header, n <= 125 ? 2 : n <= 65535 ? 4 : 10);
		assert_int_equal(header, ws_header_bytes(n));
		assert_int_equal(frame[0], 0x82);
		assert_int_equal(frame[1] & 0x80, 0);
		assert_int_equal(ws_frame_bytes(frame), header + n);
	}
}

static void
test_a_clients_frames_are_those_of_rfc_6455(void **state)
{
	const uint8_t key[] = { 0x37, 0xfa, 0x21, 0x3d };
	/* section 5.7: a masked "Hello", as a binary message */
	const uint8_t hello[] = {
		0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58
	};
	static uint8_t room[WS_HEADER_IN_MAX_BYTES + 65536];
	uint8_t *payload = room + WS_HEADER_IN_MAX_BYTES;

	(void)state;
	memcpy(payload, "Hello", 5);
	assert_int_equal(ws_mask_frame(WS_OPCODE_BINARY, payload, 5, key), 6);
	assert_memory_equal(payload - 6, hello, sizeof(hello));
	assert_int_equal(ws_mask_frame(WS_OPCODE_BINARY, payload, 125, key), 6);
	assert_int_equal(ws_mask_frame(WS_OPCODE_BINARY, payload, 126, key), 8);
	assert_memory_equal(payload - 8, "\x82\xfe\x00\x7e\x37\xfa\x21\x3d", 8);
	assert_int_equal(ws_mask_frame(WS_OPCODE_BINARY, payload, 65535, key), 8);
	assert_memory_equal(payload - 8, "\x82\xfe\xff\xff\x37\xfa\x21\x3d", 8);
	assert_int_equal(ws_mask_frame(WS_OPCODE_BINARY, payload, 65536, key), 14);
	assert_memory_equal(payload - 14, "\x82\xff\0\0\0\0\0\1\0\0\x37\xfa\x21\x3d", 14);
}

/* RFC 6455, 7.4: what a close frame may say, and what is only said of one. */
static void
test_close_codes_are_those_that_may_be_sent(void **state)
{
	static const struct {
		uint16_t from, to;
		bool is_good;
	} codes[] = {
		{ 0, 999, false },	{ 1000, 1003, true },  { 1004, 1006, false },
		{ 1007, 1014, true },	{ 1015, 2999, false }, { 3000, 4999, true },
		{ 5000, 65535, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		for (unsigned code = codes[i].from; code <= codes[i].to; code++) {
			uint8_t frame[8] = { 0x88,	   0x82, 0, 0, 0, 0, (uint8_t)(code >> 8),
					     (uint8_t)code };
			struct ws_reader reader = { 0 };
			struct ws_event event;

			ws_reader_next(&reader, frame, sizeof(frame), LIMIT, 0, &event);
			assert_int_equal(event.kind,
					 codes[i].is_good ? WS_EVENT_CLOSE : WS_EVENT_FAIL);
			assert_int_equal(event.code, codes[i].is_good ? code : 1002);
		}
}

static void
test_a_close_frame_keeps_to_125_bytes(void **state)
{
	uint8_t frame[2 + WS_CONTROL_MAX_BYTES];
	char reason[300];

	(void)state;
	memset(reason, 'r', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	assert_int_equal(ws_close_write(frame, 4009, reason), 2 + 125);
	assert_memory_equal(frame, "\x88\x7d\x0f\xa9r", 5);
	assert_int_equal(ws_close_write(frame, WS_CLOSE_NO_STATUS, ""), 2);
	assert_memory_equal(frame, "\x88\x00", 2);
}

/* Every size, every distance by which a payload may move, every phase, against one byte at a time.
 */
static void
test_unmasking_in_place_and_while_moving_is_exact(void **state)
{
	static uint8_t buffer[2100], expected[2100];
	static const uint8_t mask[4] = { 0x5a, 0xc3, 0x11, 0xfe };

	(void)state;
	for (size_t n = 0; n <= 700; n++)
		for (size_t move = 0; move <= 40; move += move < 10 ? 1 : 10)
			for (size_t phase = 0; phase < 4; phase++) {
				for (size_t i = 0; i < n; i++) {
					buffer[move + i] = byte_at(i);
					expected[i] = byte_at(i) ^ mask[(i + phase) % 4];
				}
				buffer[move + n] = 0x77;
				ws_unmask(buffer, buffer + move, n,
					  ws_mask_rotate(ws_mask_load(mask), phase));
				assert_memory_equal(buffer, expected, n);
				assert_int_equal(buffer[move + n], move + n < n ? 0 : 0x77);
			}
}

static void
test_utf8_is_judged_as_rfc_3629_has_it(void **state)
{
	static const struct {
		const char *text;
		bool is_valid;
	} texts[] = {
		{ "", true },
		{ "plain", true },
		{ "\xc2\x80", true },
		{ "\xdf\xbf", true },
		{ "\xe0\xa0\x80", true },
		{ "\xed\x9f\xbf", true },
		{ "\xee\x80\x80", true },
		{ "\xef\xbf\xbf", true },
		{ "\xf0\x90\x80\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\x80", false },
		{ "\xc0\x80", false },
		{ "\xc1\xbf", false },
		{ "\xc2", false },
		{ "\xc2\x41", false },
		{ "\xe0\x9f\xbf", false },
		{ "\xed\xa0\x80", false },
		{ "\xf0\x8f\xbf\xbf", false },
		{ "\xf4\x90\x80\x80", false },
		{ "\xf5\x80\x80\x80", false },
		{ "\xff", false },
		{ "ok\xe2\x82", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(
			ws_utf8_is_valid((const uint8_t *)texts[i].text, strlen(texts[i].text)),
			texts[i].is_valid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length_class_reads_as_it_was_written),
		cmocka_unit_test(test_a_frame_cut_at_every_byte_waits_for_the_rest),
		cmocka_unit_test(test_a_random_stream_in_random_pieces_gives_its_messages_back),
		cmocka_unit_test(test_fragments_are_joined_in_order),
		cmocka_unit_test(test_what_is_wrong_is_refused_as_early_as_it_shows),
		cmocka_unit_test(test_the_limit_counts_all_fragments),
		cmocka_unit_test(test_w43_the_ninth_fragment_is_refused),
		cmocka_unit_test(test_w45_the_eleventh_ping_of_a_second_is_refused),
		cmocka_unit_test(test_headers_are_written_minimal_and_read_back),
		cmocka_unit_test(test_a_clients_frames_are_those_of_rfc_6455),
		cmocka_unit_test(test_close_codes_are_those_that_may_be_sent),
		cmocka_unit_test(test_a_close_frame_keeps_to_125_bytes),
		cmocka_unit_test(test_unmasking_in_place_and_while_moving_is_exact),
		cmocka_unit_test(test_utf8_is_judged_as_rfc_3629_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
