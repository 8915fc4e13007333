/*
 * A leg's upgrade request, as text: each row a request and the status it gets, whole and byte by
 * byte. W rows as in the contract test of upgrades; here without a socket, and in more variants.
 */
#include "relay/relay_request.h"
#include "ws/handshake_rows.h"

#include <stdio.h>

static const struct handshake_row rows[] = {
	/* W01 */
	{ LINE HOST UPGRADE KEY VERSION PROTOCOL "\r\n", 401 },
	{ LINE HOST UPGRADE KEY VERSION PROTOCOL "Authorization: Bearer \r\n\r\n", 401 },
	{ LINE HOST UPGRADE KEY VERSION PROTOCOL "Authorization: Basic abc\r\n\r\n", 401 },
	{ LINE HOST UPGRADE KEY VERSION PROTOCOL "Authorization: abc\r\n\r\n", 401 },
	/* paths */
	{ PATH("/"), 404 },
	{ PATH("/relay"), 404 },
	{ PATH("/relay/"), 404 },
	{ PATH("/relay/00112233-4455-6677-8899-aabbccddeef"), 404 },
	{ PATH("/relay/00112233-4455-6677-8899-aabbccddeefff"), 404 },
	{ PATH("/relay/00112233-4455-6677-8899-AABBCCDDEEFF"), 404 },
	{ PATH("/relay/00112233-4455-6677-8899-aabbccddeeff/"), 404 },
	{ PATH("/relay/00112233-4455-6677-8899-aabbccddeef%66"), 404 },
	/* W13 */
	{ LINE REST "Origin: http://evil\r\n\r\n", 403 },
	{ LINE REST "Origin: \r\n\r\n", 403 },
	/* W15 */
	{ LINE HOST UPGRADE KEY VERSION TICKET "\r\n", 0 },
	{ LINE HOST UPGRADE KEY VERSION "Sec-WebSocket-Protocol:\r\n" TICKET "\r\n", 400 },
	{ LINE HOST UPGRADE KEY VERSION "Sec-WebSocket-Protocol: chat\r\n" TICKET "\r\n", 400 },
	/* W21 */
	{ PATH("/relay/00112233-4455-6677-8899-aabbccddeeff?token=x"), 400 },
	{ PATH("/relay/00112233-4455-6677-8899-aabbccddeeff?"), 400 },
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static int
judge(const uint8_t *bytes, size_t n, size_t *scanned)
{
	struct relay_request request;

	return relay_request_parse(bytes, n, scanned, &request);
}

static void
test_each_request_gets_its_status(void **state)
{
	(void)state;
	handshake_rows_check(handshake_rows, HANDSHAKE_ROWS, judge);
	handshake_rows_check(rows, ROWS, judge);
}

static void
test_each_request_gets_its_status_byte_by_byte(void **state)
{
	(void)state;
	handshake_rows_check_bytes(handshake_rows, HANDSHAKE_ROWS, judge);
	handshake_rows_check_bytes(rows, ROWS, judge);
}

static void
test_a_good_request_is_read_whole(void **state)
{
	static const uint8_t id[UUID_BYTES] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
						0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	static const char text[] = LINE REST "\r\n\x82more";
	struct relay_request request;
	size_t scanned = 0;

	(void)state;
	assert_int_equal(
		relay_request_parse((const uint8_t *)text, sizeof(text) - 1, &scanned, &request),
		0);
	assert_memory_equal(request.id, id, sizeof(id));
	assert_string_equal(request.key, "dGhlIHNhbXBsZSBub25jZQ==");
	assert_string_equal(request.ticket, "abc-DEF_123");
	assert_int_equal(request.ticket_n, 11);
	assert_int_equal(request.consumed, sizeof(text) - 1 - 5); /* W25 */
}

static void
test_a_ticket_that_is_too_long_gets_401(void **state)
{
	char text[2048], long_ticket[400];
	struct relay_request request;
	size_t scanned = 0;

	(void)state;
	memset(long_ticket, 't', sizeof(long_ticket) - 1);
	long_ticket[sizeof(long_ticket) - 1] = '\0';
	snprintf(text, sizeof(text),
		 LINE HOST UPGRADE KEY VERSION PROTOCOL "Authorization: Bearer %s\r\n\r\n",
		 long_ticket);
	assert_int_equal(
		relay_request_parse((const uint8_t *)text, strlen(text), &scanned, &request), 401);
}

/* W15: what a session's ticket may then be used for; a node's may not, see the contract test. */
static void
test_w15_no_subprotocol_is_a_raw_leg(void **state)
{
	static const char none[] = LINE HOST UPGRADE KEY VERSION TICKET "\r\n";
	static const char ours[] = LINE REST "\r\n";
	struct relay_request request;
	size_t scanned = 0;

	(void)state;
	assert_int_equal(
		relay_request_parse((const uint8_t *)none, sizeof(none) - 1, &scanned, &request),
		0);
	assert_true(request.is_raw);
	scanned = 0;
	assert_int_equal(
		relay_request_parse((const uint8_t *)ours, sizeof(ours) - 1, &scanned, &request),
		0);
	assert_false(request.is_raw);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_request_gets_its_status),
		cmocka_unit_test(test_each_request_gets_its_status_byte_by_byte),
		cmocka_unit_test(test_a_good_request_is_read_whole),
		cmocka_unit_test(test_a_ticket_that_is_too_long_gets_401),
		cmocka_unit_test(test_w15_no_subprotocol_is_a_raw_leg),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
