/*
 * stun_message: RFC 5769's test vectors, and the rows S.. of what servers may send us. A row that
 * says "ignore" is one that the parser refuses, or that stun_socket passes over.
 */
#include "stun/stun_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t transaction[STUN_TRANSACTION_BYTES] = "\xb7\xe7\xa7\x01\xbc\x34\xd6\x86"
							   "\xfa\x87\xdf\xae";

/* RFC 5769, 2.2: 192.0.2.1 port 32853. */
static const uint8_t rfc5769_ipv4[] =
	"\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
	"\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20"
	"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43"
	"\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b"
	"\xe7\xd7"
	"\x80\x28\x00\x04\xc0\x7d\x4c\x96";

/* RFC 5769, 2.3: 2001:db8:1234:5678:11:2233:4455:6677 port 32853. */
static const uint8_t rfc5769_ipv6[] =
	"\x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
	"\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20"
	"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2"
	"\xb9\xd9"
	"\x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3"
	"\xed\x41"
	"\x80\x28\x00\x04\xc8\xfb\x0b\x4c";

static const uint8_t password[] = "VOkJxbRl1RmTxUk/WvJxBt";

static void
assert_address(const struct sockaddr_in6 *address, const char *text, uint16_t port)
{
	char found[INET6_ADDRSTRLEN];

	assert_non_null(inet_ntop(AF_INET6, &address->sin6_addr, found, sizeof(found)));
	assert_string_equal(found, text);
	assert_int_equal(ntohs(address->sin6_port), port);
}

/* Empty ones that need not be understood, so that their number alone is what is wrong. */
static void
test_a_message_has_so_many_attributes_and_no_more(void **state)
{
	uint8_t bytes[STUN_HEADER_BYTES + 4 * (STUN_ATTRIBUTES_MAX + 1)] = {
		1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42
	};
	struct stun_message message;

	(void)state;
	for (size_t n = 0; n <= STUN_ATTRIBUTES_MAX + 1; n++) {
		size_t at = STUN_HEADER_BYTES + 4 * n;

		bytes[3] = (uint8_t)(4 * n);
		if (n <= STUN_ATTRIBUTES_MAX) {
			assert_int_equal(stun_message_parse(bytes, at, &message), 0);
			assert_int_equal(message.attributes_n, n);
			bytes[at] = 0x80;
			bytes[at + 1] = 0x22;
		} else {
			assert_int_equal(stun_message_parse(bytes, at, &message), -EBADMSG);
		}
	}
}

static void
test_the_vectors_of_rfc_5769_are_read(void **state)
{
	struct stun_message message;
	struct sockaddr_in6 address;
	char software[32];
	bool is_legacy;

	(void)state;
	assert_int_equal(stun_message_parse(rfc5769_ipv4, sizeof(rfc5769_ipv4) - 1, &message), 0);
	assert_int_equal(message.class, STUN_SUCCESS);
	assert_int_equal(message.method, STUN_BINDING);
	assert_int_equal(stun_mapped_address(&message, &address, &is_legacy), 0);
	assert_false(is_legacy);
	assert_address(&address, "::ffff:192.0.2.1", 32853);
	assert_int_equal(stun_text(&message, STUN_SOFTWARE, software, sizeof(software)), 0);
	assert_string_equal(software, "test vector");
	assert_true(stun_is_authentic(&message, password, sizeof(password) - 1));
	assert_false(stun_is_authentic(&message, password, sizeof(password) - 2));
	assert_false(stun_has_unknown(&message));
	assert_int_equal(stun_message_parse(rfc5769_ipv6, sizeof(rfc5769_ipv6) - 1, &message), 0);
	assert_int_equal(stun_mapped_address(&message, &address, &is_legacy), 0);
	assert_address(&address, "2001:db8:1234:5678:11:2233:4455:6677", 32853);
	assert_true(stun_is_authentic(&message, password, sizeof(password) - 1));
}

/* RFC 5769, 2.4. */
static void
test_the_long_term_key_is_that_of_rfc_5769(void **state)
{
	uint8_t key[STUN_KEY_BYTES];

	(void)state;
	assert_int_equal(stun_long_term_key("user", "realm", "pass", key), 0);
	assert_memory_equal(key, "\x84\x93\xfb\xc5\x3b\xa5\x82\xfb\x4c\x04\x4c\x45\x6b\xdc\x40\xeb",
			    sizeof(key)); /* RFC 5389, 15.4 */
}

static void
begin(struct stun_writer *writer)
{
	stun_begin(writer, STUN_SUCCESS, STUN_BINDING, transaction);
}

static void
put_mapped(struct stun_writer *writer, enum stun_attribute_type type, const char *text)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(40000) };

	assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
	stun_put_address(writer, type, &address);
}

static void
test_what_we_write_we_can_read(void **state)
{
	uint8_t key[STUN_KEY_BYTES] = "sixteen bytes ..";
	struct stun_message message;
	struct sockaddr_in6 address;
	struct stun_writer writer;

	(void)state;
	stun_begin(&writer, STUN_ERROR, STUN_ALLOCATE, transaction);
	put_mapped(&writer, STUN_XOR_MAPPED_ADDRESS, "2001:db8::1");
	put_mapped(&writer, STUN_XOR_RELAYED_ADDRESS, "::ffff:198.51.100.7");
	put_mapped(&writer, STUN_OTHER_ADDRESS, "::ffff:198.51.100.8");
	stun_put(&writer, STUN_REALM, "higgs", 5);
	stun_put(&writer, STUN_ERROR_CODE, "\0\0\4\1Unauthorized", 16);
	assert_int_equal(stun_finish(&writer, key, sizeof(key)), 0);
	assert_int_equal(stun_message_parse(writer.bytes, writer.n, &message), 0);
	assert_int_equal(message.class, STUN_ERROR);
	assert_int_equal(message.method, STUN_ALLOCATE);
	assert_memory_equal(message.transaction, transaction, sizeof(transaction));
	assert_int_equal(stun_address(&message, STUN_XOR_MAPPED_ADDRESS, &address), 0);
	assert_address(&address, "2001:db8::1", 40000);
	assert_int_equal(stun_address(&message, STUN_XOR_RELAYED_ADDRESS, &address), 0);
	assert_address(&address, "::ffff:198.51.100.7", 40000);
	assert_int_equal(stun_address(&message, STUN_OTHER_ADDRESS, &address), 0);
	assert_address(&address, "::ffff:198.51.100.8", 40000);
	assert_int_equal(stun_error_code(&message), 401);
	assert_true(stun_is_authentic(&message, key, sizeof(key)));
	for (size_t i = 0; i < writer.n - 8; i++) { /* each byte counts */
		writer.bytes[i] ^= 1;
		assert_false(stun_message_parse(writer.bytes, writer.n, &message) == 0);
		writer.bytes[i] ^= 1;
	}
}

/* ---- rows S..: bytes that are no message for us ---- */

struct bad {
	const char *row;
	const char *bytes;
	size_t n;
};

#define HEADER(type, length) \
	type length "\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
#define ROW(row, bytes)                       \
	{                                     \
		row, bytes, sizeof(bytes) - 1 \
	}

static void
test_S01_S03_S05_S07_S37_S43_S51_what_is_no_message_is_refused(void **state)
{
	static const struct bad rows[] = {
		ROW("S01 0 bytes", ""),
		ROW("S01 19 bytes", "\x01\x01\0\0\x21\x12\xa4\x42\0\0\0\0\0\0\0\0\0\0\0"),
		ROW("S03 first bits", HEADER("\x41\x01", "\0\0")),
		ROW("S03 first bits", HEADER("\x81\x01", "\0\0")),
		ROW("S05 length beyond the datagram", HEADER("\x01\x01", "\0\4")),
		ROW("S05 length short of it", HEADER("\x01\x01", "\0\0") "\0\0\0\0"),
		ROW("S05 length not in fours", HEADER("\x01\x01", "\0\3") "\0\0\0"),
		ROW("S05 attribute beyond the message", HEADER("\x01\x01", "\0\4") "\x80\x22\0\1"),
		ROW("S07 cookie",
		    "\x01\x01\0\0\x21\x12\xa4\x43\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"),
		ROW("S37 no padding", HEADER("\x01\x01", "\0\5") "\x80\x22\0\1x"),
		ROW("S43 fingerprint wrong", HEADER("\x01\x01", "\0\10") "\x80\x28\0\4\1\2\3\4"),
		ROW("S43 fingerprint of 0 bytes", HEADER("\x01\x01", "\0\4") "\x80\x28\0\0"),
		ROW("integrity of 4 bytes", HEADER("\x01\x01", "\0\10") "\0\x08\0\4\1\2\3\4"),
	};
	static uint8_t huge[65507] = { 0x01, 0x01, 0xff, 0xcc, 0x21, 0x12, 0xa4, 0x42 };
	struct stun_message message;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* On the heap, so that a byte read too far is seen. */
		uint8_t *copy = malloc(rows[i].n == 0 ? 1 : rows[i].n);

		assert_non_null(copy);
		memcpy(copy, rows[i].bytes, rows[i].n);
		if (stun_message_parse(copy, rows[i].n, &message) != -EBADMSG)
			fail_msg("%s was taken", rows[i].row);
		free(copy);
	}
	assert_int_equal(stun_message_parse(huge, sizeof(huge), &message), -EBADMSG); /* S51 */
}

static void
test_S43_a_fingerprint_that_is_not_the_last_is_refused(void **state)
{
	struct stun_message message;
	struct stun_writer writer;

	(void)state;
	begin(&writer);
	assert_int_equal(stun_finish(&writer, NULL, 0), 0);
	assert_int_equal(stun_message_parse(writer.bytes, writer.n, &message), 0);
	stun_put(&writer, STUN_SOFTWARE, "x", 1);
	assert_int_equal(stun_message_parse(writer.bytes, writer.n, &message), -EBADMSG);
}

static void
test_S45_what_stands_behind_the_integrity_is_not_used(void **state)
{
	struct stun_message message;
	struct sockaddr_in6 address;
	struct stun_writer writer;

	(void)state;
	begin(&writer);
	put_mapped(&writer, STUN_XOR_MAPPED_ADDRESS, "2001:db8::1");
	stun_put(&writer, STUN_MESSAGE_INTEGRITY, "01234567890123456789", 20);
	stun_put_number(&writer, STUN_LIFETIME, 7);
	assert_int_equal(stun_message_parse(writer.bytes, writer.n, &message), 0);
	assert_null(stun_find(&message, STUN_LIFETIME));
	assert_int_equal(stun_address(&message, STUN_XOR_MAPPED_ADDRESS, &address), 0);
	assert_false(stun_is_authentic(&message, (const uint8_t *)"k", 1));
}

static void
test_S19_error_codes_out_of_range_or_too_short_are_refused(void **state)
{
	static const struct {
		const char *value;
		size_t n;
		int code;
	} rows[] = {
		{ "\0\0\4", 3, -EBADMSG }, /* S19 */
		{ "\0\0\4\1", 4, 401 },	     { "\0\0\3\0", 4, 300 },
		{ "\0\0\6\143", 4, 699 },    { "\0\0\6\144", 4, -EBADMSG },
		{ "\0\0\2\0", 4, -EBADMSG }, { "\0\0\7\0", 4, -EBADMSG },
	};
	struct stun_message message;
	struct stun_writer writer;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&writer);
		stun_put(&writer, STUN_ERROR_CODE, rows[i].value, rows[i].n);
		assert_int_equal(stun_finish(&writer, NULL, 0), 0);
		assert_int_equal(stun_message_parse(writer.bytes, writer.n, &message), 0);
		assert_int_equal(stun_error_code(&message), rows[i].code);
	}
}

static void
test_S23_addresses_of_other_lengths_or_families_are_refused(void **state)
{
	static const struct {
		const char *value;
		size_t n;
	} rows[] = {
		{ "\0\1\0\1", 4 },
		{ "\0\1\0\1\1\2\3", 7 },
		{ "\0\1\0\1\1\2\3\4\5", 9 },
		{ "\0\2\0\1\1\2\3\4", 8 },
		{ "\0\1\0\1\1\2\3\4\1\2\3\4\1\2\3\4\1\2\3\4", 20 },
		{ "\0\3\0\1\1\2\3\4", 8 },
		{ "", 0 },
		/* an IPv4 address in IPv6's clothes */
		{ "\0\2\0\1\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 20 },
	};
	struct stun_message message;
	struct sockaddr_in6 address;
	struct stun_writer writer;
	bool is_legacy;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&writer);
		stun_put(&writer, STUN_MAPPED_ADDRESS, rows[i].value, rows[i].n);
		assert_int_equal(stun_finish(&writer, NULL, 0), 0);
		assert_int_equal(stun_message_parse(writer.bytes, writer.n, &message), 0);
		assert_int_equal(stun_mapped_address(&message, &address, &is_legacy), -EBADMSG);
	}
}

static void
test_S21_an_old_server_is_understood_and_marked(void **state)
{
	struct stun_message message;
	struct sockaddr_in6 address;
	struct stun_writer writer;
	bool is_legacy = false;

	(void)state;
	begin(&writer);
	put_mapped(&writer, STUN_MAPPED_ADDRESS, "::ffff:192.0.2.9");
	assert_int_equal(stun_finish(&writer, NULL, 0), 0);
	assert_int_equal(stun_message_parse(writer.bytes, writer.n, &message), 0);
	assert_int_equal(stun_mapped_address(&message, &address, &is_legacy), 0);
	assert_true(is_legacy);
	assert_address(&address, "::ffff:192.0.2.9", 40000);
}

static void
test_S35_of_two_mapped_addresses_the_first_counts(void **state)
{
	struct stun_message message;
	struct sockaddr_in6 address;
	struct stun_writer writer;
	bool is_legacy;

	(void)state;
	begin(&writer);
	put_mapped(&writer, STUN_XOR_MAPPED_ADDRESS, "::ffff:192.0.2.1");
	put_mapped(&writer, STUN_XOR_MAPPED_ADDRESS, "::ffff:192.0.2.2");
	assert_int_equal(stun_finish(&writer, NULL, 0), 0);
	assert_int_equal(stun_message_parse(writer.bytes, writer.n, &message), 0);
	assert_int_equal(stun_mapped_address(&message, &address, &is_legacy), 0);
	assert_address(&address, "::ffff:192.0.2.1", 40000);
}

static void
test_S39_S41_unknown_and_empty_attributes_are_passed_over_when_they_may(void **state)
{
	struct stun_message message;
	struct stun_writer writer;

	(void)state;
	begin(&writer);
	stun_put(&writer, (enum stun_attribute_type)0x80ff, "what", 4);
	for (int i = 0; i < 20; i++)
		stun_put(&writer, (enum stun_attribute_type)0xc000, "", 0);
	assert_int_equal(stun_message_parse(writer.bytes, writer.n, &message), 0);
	assert_false(stun_has_unknown(&message));
	stun_put(&writer, (enum stun_attribute_type)0x7001, "", 0);
	assert_int_equal(stun_message_parse(writer.bytes, writer.n, &message), 0);
	assert_true(stun_has_unknown(&message));
	for (int i = 0; i < 20; i++) /* nor more than a message may have */
		stun_put(&writer, (enum stun_attribute_type)0xc000, "", 0);
	assert_int_equal(stun_message_parse(writer.bytes, writer.n, &message), -EBADMSG);
}

static void
test_S53_a_stream_tells_its_message_byte_by_byte(void **state)
{
	size_t n = sizeof(rfc5769_ipv4) - 1, told = 0;

	(void)state;
	for (size_t i = 0; i <= n && told == 0; i++)
		if (stun_message_length(rfc5769_ipv4, i) > 0)
			told = i;
	assert_int_equal(told, 8);
	assert_int_equal(stun_message_length(rfc5769_ipv4, told), n);
	assert_int_equal(stun_message_length((const uint8_t *)"\x80", 1), -EBADMSG);
	assert_int_equal(stun_message_length((const uint8_t *)"GET / HT", 8), -EBADMSG);
}

static void
test_a_message_that_does_not_fit_is_not_written(void **state)
{
	static const uint8_t much[STUN_MESSAGE_MAX_BYTES];
	struct stun_writer writer;

	(void)state;
	begin(&writer);
	stun_put(&writer, STUN_SOFTWARE, much, sizeof(much));
	assert_int_equal(stun_finish(&writer, NULL, 0), -EMSGSIZE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_has_so_many_attributes_and_no_more),
		cmocka_unit_test(test_the_vectors_of_rfc_5769_are_read),
		cmocka_unit_test(test_the_long_term_key_is_that_of_rfc_5769),
		cmocka_unit_test(test_what_we_write_we_can_read),
		cmocka_unit_test(test_S01_S03_S05_S07_S37_S43_S51_what_is_no_message_is_refused),
		cmocka_unit_test(test_S43_a_fingerprint_that_is_not_the_last_is_refused),
		cmocka_unit_test(test_S45_what_stands_behind_the_integrity_is_not_used),
		cmocka_unit_test(test_S19_error_codes_out_of_range_or_too_short_are_refused),
		cmocka_unit_test(test_S23_addresses_of_other_lengths_or_families_are_refused),
		cmocka_unit_test(test_S21_an_old_server_is_understood_and_marked),
		cmocka_unit_test(test_S35_of_two_mapped_addresses_the_first_counts),
		cmocka_unit_test(
			test_S39_S41_unknown_and_empty_attributes_are_passed_over_when_they_may),
		cmocka_unit_test(test_S53_a_stream_tells_its_message_byte_by_byte),
		cmocka_unit_test(test_a_message_that_does_not_fit_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
