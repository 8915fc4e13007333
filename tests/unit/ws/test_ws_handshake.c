/*
 * The upgrade request, as text: each row a request and the status it gets, whole and byte by byte.
 * W rows that do not depend on what the socket is for; the relay's own are in its tests.
 */
#include "ws/handshake_rows.h"
#include "ws/ws_handshake.h"

#include <stdbool.h>

static const struct handshake_row rows[] = {
	/* judged by the caller: token, path, query, origin, protocol */
	{ LINE HOST UPGRADE KEY VERSION "\r\n", 0 },
	{ PATH("/?a=b"), 0 },
	{ LINE REST "Origin: http://evil\r\n\r\n", 0 },
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static int
judge(const uint8_t *bytes, size_t n, size_t *scanned)
{
	struct ws_request request;

	return ws_handshake_parse(bytes, n, scanned, &request);
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

static bool
is_text(struct ws_text text, const char *expected)
{
	return expected == NULL
		       ? text.at == NULL
		       : text.n == strlen(expected) && memcmp(text.at, expected, text.n) == 0;
}

static void
test_a_good_request_is_read_whole(void **state)
{
	static const char text[] = LINE REST "\r\n\x82more";
	static const char other[] =
		PATH("/events?from=7") "later" /* the query apart, and what was not there */;
	struct ws_request request;
	size_t scanned = 0;

	(void)state;
	assert_int_equal(
		ws_handshake_parse((const uint8_t *)text, sizeof(text) - 1, &scanned, &request), 0);
	assert_true(is_text(request.path, "/relay/00112233-4455-6677-8899-aabbccddeeff"));
	assert_true(is_text(request.query, NULL));
	assert_true(is_text(request.origin, NULL));
	assert_true(is_text(request.protocols, "higgs.v1"));
	assert_true(is_text(request.authorization, "Bearer abc-DEF_123"));
	assert_string_equal(request.key, "dGhlIHNhbXBsZSBub25jZQ==");
	assert_int_equal(request.consumed, sizeof(text) - 1 - 5); /* W25 */
	scanned = 0;
	assert_int_equal(
		ws_handshake_parse((const uint8_t *)other, sizeof(other) - 1, &scanned, &request),
		0);
	assert_true(is_text(request.path, "/events"));
	assert_true(is_text(request.query, "from=7"));
}

static void
test_a_list_has_its_items_and_no_parts_of_them(void **state)
{
	struct ws_text list = { "chat, higgs.v1 ,b", 17 }, none = { NULL, 0 };

	(void)state;
	assert_true(ws_list_has(list, "HIGGS.v1"));
	assert_true(ws_list_has(list, "chat"));
	assert_true(ws_list_has(list, "b"));
	assert_false(ws_list_has(list, "higgs"));
	assert_false(ws_list_has(list, "higgs.v12"));
	assert_false(ws_list_has(none, "b"));
}

/* W17, at the very edge: 8192 bytes pass, one more does not. */
static void
test_w17_the_header_is_limited_to_8_kib(void **state)
{
	static uint8_t text[WS_REQUEST_MAX_BYTES + 1];
	static const char head[] = LINE REST "X: ";
	struct ws_request request;

	(void)state;
	for (size_t n = WS_REQUEST_MAX_BYTES; n <= WS_REQUEST_MAX_BYTES + 1; n++) {
		size_t scanned = 0;

		memset(text, 'x', n);
		memcpy(text, head, sizeof(head) - 1);
		memcpy(text + n - 4, "\r\n\r\n", 4);
		assert_int_equal(ws_handshake_parse(text, n, &scanned, &request),
				 n == WS_REQUEST_MAX_BYTES ? 0 : 431);
	}
}

/* RFC 6455, section 1.3. */
static void
test_the_accept_key_is_the_one_of_the_rfc(void **state)
{
	char answer[WS_RESPONSE_MAX_BYTES];
	size_t n = ws_handshake_accept(answer, "dGhlIHNhbXBsZSBub25jZQ==", NULL);

	(void)state;
	assert_int_equal(n, strlen(answer));
	assert_memory_equal(answer, "HTTP/1.1 101 ", 13);
	assert_non_null(
		strstr(answer, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_string_equal(answer + n - 4, "\r\n\r\n");
	assert_null(strstr(answer, "Sec-WebSocket-Protocol"));
	n = ws_handshake_accept(answer, "dGhlIHNhbXBsZSBub25jZQ==", "higgs.v1");
	assert_int_equal(n, strlen(answer));
	assert_non_null(strstr(answer, "\r\nSec-WebSocket-Protocol: higgs.v1\r\n\r\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_request_gets_its_status),
		cmocka_unit_test(test_each_request_gets_its_status_byte_by_byte),
		cmocka_unit_test(test_a_good_request_is_read_whole),
		cmocka_unit_test(test_w17_the_header_is_limited_to_8_kib),
		cmocka_unit_test(test_a_list_has_its_items_and_no_parts_of_them),
		cmocka_unit_test(test_the_accept_key_is_the_one_of_the_rfc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
