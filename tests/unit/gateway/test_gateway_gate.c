/*
 * gateway_gate: heads that two readers could read differently are refused (T10; R01 to R29, R75).
 */
#include "gateway/gateway_gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BODY_MAX = 65536 };

#define H "Host: gateway\r\n"

static struct gate_verdict verdict;
static struct gate_head parts;

static long
head(const char *text)
{
	return gateway_gate_head(text, strlen(text), BODY_MAX, &parts, &verdict);
}

static void
test_an_ordinary_head_is_taken_with_its_length(void **state)
{
	(void)state;
	const char *get = "GET /health HTTP/1.1\r\n" H "Accept: */*\r\nX:\t a b \r\n\r\n";
	assert_int_equal(head(get), strlen(get));
	const char *post =
		"POST /a HTTP/1.1\r\n" H "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc";
	assert_int_equal(head(post), strlen(post) - 3);
	const char *chunked = "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n";
	assert_int_equal(head(chunked), strlen(chunked));
}

static void
test_a_head_byte_by_byte_is_waited_for(void **state)
{
	(void)state;
	const char *get = "GET /health HTTP/1.1\r\n" H "Accept: */*\r\n\r\n";
	for (size_t n = 0; n < strlen(get); n++)
		assert_int_equal(gateway_gate_head(get, n, BODY_MAX, &parts, &verdict), 0);
}

static void
test_each_bad_head_gets_its_status(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		/* R01 */
		{ 400, "GET / HTTP/1.1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" H H "\r\n" },
		/* R03 */
		{ 400, "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n" },
		/* R05 */
		{ 400, "POST / HTTP/1.1\r\n" H
		       "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" },
		/* R07 */
		{ 400, "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" H "Content-Length: +2\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" H "Content-Length: 0x10\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" H "Content-Length: 2,2\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n" },
		{ 413, "POST / HTTP/1.1\r\n" H "Content-Length: 65537\r\n\r\n" },
		{ 501, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n" },
		{ 501, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" H
		       "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" },
		/* R11: bare LF, bare CR, folded lines */
		{ 400, "GET / HTTP/1.1\n" H "\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n X: a\r\n" H "\r\n" },
		{ 400, "\r\nGET / HTTP/1.1\r\n" H "\r\n" },
		/* names and values */
		{ 400, "GET / HTTP/1.1\r\n" H "X : a\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" H ": a\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" H "novalue\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" H "X: \xc3\xa4\r\n\r\n" },
		/* the request line */
		{ 400, "GET  / HTTP/1.1\r\n" H "\r\n" },
		{ 400, "GET / HTTP/1.1 \r\n" H "\r\n" },
		{ 400, "GET / http/1.1\r\n" H "\r\n" },
		{ 400, "GET /\r\n" H "\r\n" },
		{ 400, "G(T / HTTP/1.1\r\n" H "\r\n" },
		{ 400, "ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n" H "\r\n" },
		{ 400, "GET /a b HTTP/1.1\r\n" H "\r\n" },
		{ 400, "GET /\x80 HTTP/1.1\r\n" H "\r\n" },
		{ 505, "GET / HTTP/2.0\r\n" H "\r\n" },
		{ 505, "GET / HTTP/0.9\r\n" H "\r\n" },
		{ 400, "PRI * HTTP/1.1\r\n" H "\r\n" },
		/* R21 */
		{ 400, "GET http://evil/ HTTP/1.1\r\n" H "\r\n" },
		{ 400, "OPTIONS * HTTP/1.1\r\n" H "\r\n" },
		/* R23 */
		{ 405, "TRACE / HTTP/1.1\r\n" H "\r\n" },
		{ 405, "CONNECT evil:443 HTTP/1.1\r\n" H "\r\n" },
		/* R29 */
		{ 400,
		  "GET / HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
		  "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n" },
		/* R75 */
		{ 400, "GET / HTTP/1.1\r\n" H
		       "Authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n" },
		{ 417, "POST / HTTP/1.1\r\n" H "Expect: the-unexpected\r\n\r\n" },
		{ 415, "POST / HTTP/1.1\r\n" H "Content-Encoding: gzip\r\n\r\n" },
		/* 1.0 knows no chunks */
		{ 400, "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n" },
		/* TLS to a port that speaks none */
		{ 400, "\x16\x03\x01\x02" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		long r = head(rows[i].text);
		if (r != -1 || verdict.status != rows[i].status)
			print_message("row %zu: %ld, %d instead of %d\n", i, r, verdict.status,
				      rows[i].status);
		assert_int_equal(r, -1);
		assert_int_equal(verdict.status, rows[i].status);
	}
}

static void
test_what_a_good_head_says_is_found(void **state)
{
	(void)state;
	assert_true(head("PUT /a?b HTTP/1.1\r\n" H "X-A:  one \r\nx-a:two\r\nX-B:\r\n\r\n") > 0);
	assert_string_equal(parts.method, "PUT");
	assert_int_equal(parts.target_bytes, 4);
	assert_memory_equal(parts.target, "/a?b", 4);
	assert_int_equal(parts.tally.headers, 4);
	assert_false(parts.tally.closes);
}

static void
test_when_a_connection_ends_with_its_request_is_known(void **state)
{
	(void)state;
	const char *const ending[] = { "GET / HTTP/1.0\r\n" H "\r\n",
				       "GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\n",
				       "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
				       "GET / HTTP/1.1\r\n" H "Connection: x ,\tClose\r\n\r\n" };
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		assert_true(head(ending[i]) > 0);
		assert_true(parts.tally.closes);
	}
	assert_true(head("GET / HTTP/1.1\r\n" H "Connection: enclose, closed\r\n\r\n") > 0);
	assert_false(parts.tally.closes);
}

/* Whether an endpoint takes it is another question; h2c and lists of protocols never pass. */
static void
test_an_upgrade_to_websocket_alone_passes(void **state)
{
	(void)state;
	assert_true(head("GET / HTTP/1.1\r\n" H "Upgrade: WebSocket\r\n\r\n") > 0);
	assert_int_equal(head("GET / HTTP/1.1\r\n" H "Upgrade: websocket, h2c\r\n\r\n"), -1);
	assert_int_equal(head("GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\nUpgrade: h2c\r\n\r\n"),
			 -1);
}

/* R13 */
static void
test_a_nul_in_a_header_value_is_refused(void **state)
{
	(void)state;
	static const char text[] = "GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n";
	assert_int_equal(gateway_gate_head(text, sizeof(text) - 1, BODY_MAX, &parts, &verdict), -1);
	assert_int_equal(verdict.status, 400);
}

static void
fill(char *text, size_t n, const char *before, size_t filler, const char *after)
{
	size_t at = strlen(before);
	memcpy(text, before, at);
	memset(text + at, 'a', filler);
	snprintf(text + at + filler, n - at - filler, "%s", after);
}

/* R15 */
static void
test_a_head_over_16_kib_is_too_large(void **state)
{
	(void)state;
	size_t n = 20000;
	char *text = malloc(n);
	assert_non_null(text);
	fill(text, n, "GET / HTTP/1.1\r\n" H "X: ", 17 * 1024, "\r\n\r\n");
	assert_int_equal(head(text), -1);
	assert_int_equal(verdict.status, 431);
	/* Known before its end has come, too. */
	assert_int_equal(
		gateway_gate_head(text, GATE_HEAD_MAX_BYTES + 1, BODY_MAX, &parts, &verdict), -1);
	assert_int_equal(verdict.status, 431);
	assert_int_equal(gateway_gate_head(text, GATE_HEAD_MAX_BYTES, BODY_MAX, &parts, &verdict),
			 0);
	free(text);
}

static void
test_the_65th_header_is_one_too_many(void **state)
{
	(void)state;
	char text[2048];
	for (size_t more = GATE_HEADERS_MAX - 1; more <= GATE_HEADERS_MAX; more++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H);
		for (size_t i = 0; i < more; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "X: a\r\n");
		snprintf(text + n, sizeof(text) - n, "\r\n");
		bool good = more < GATE_HEADERS_MAX;
		assert_int_equal(head(text), good ? (long)strlen(text) : -1);
		assert_int_equal(verdict.status, good ? 0 : 431);
	}
}

/* R17 */
static void
test_a_target_over_8_kib_is_too_long(void **state)
{
	(void)state;
	size_t n = 20000;
	char *text = malloc(n);
	assert_non_null(text);
	fill(text, n, "GET /", 9 * 1024, " HTTP/1.1\r\n" H "\r\n");
	assert_int_equal(head(text), -1);
	assert_int_equal(verdict.status, 414);
	fill(text, n, "GET /", 17 * 1024, "");
	assert_int_equal(head(text), -1);
	assert_int_equal(verdict.status, 414);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_ordinary_head_is_taken_with_its_length),
		cmocka_unit_test(test_a_head_byte_by_byte_is_waited_for),
		cmocka_unit_test(test_each_bad_head_gets_its_status),
		cmocka_unit_test(test_what_a_good_head_says_is_found),
		cmocka_unit_test(test_when_a_connection_ends_with_its_request_is_known),
		cmocka_unit_test(test_an_upgrade_to_websocket_alone_passes),
		cmocka_unit_test(test_a_nul_in_a_header_value_is_refused),
		cmocka_unit_test(test_a_head_over_16_kib_is_too_large),
		cmocka_unit_test(test_the_65th_header_is_one_too_many),
		cmocka_unit_test(test_a_target_over_8_kib_is_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
