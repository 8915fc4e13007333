/*
 * The REST API byte by byte, over plain TCP and (built with RIG_TLS) over TLS: what is not HTTP as
 * it should be is refused, the connection closed, and what comes behind it never run (T10, T11,
 * P11; R01 to R45, R75).
 */
#include "gateway_rig_one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifndef RIG_TLS
#define RIG_TLS false
#endif

static int
start(void **state)
{
	(void)state;
	return rig_one_start_unlimited(RIG_TLS);
}

/* An error of our own form, without a byte of what was sent, and the end of the connection. */
static void
assert_refused(const void *bytes, size_t n, int status, const char *code)
{
	static struct rig_answer answer;
	struct rig_client *client = rig_connect(&rig);
	assert_non_null(client);
	rig_send(client, bytes, n);
	rig_receive(client, &answer);
	if (answer.status != status)
		print_message("%d instead of %d for: %.*s\n", answer.status, status, (int)n,
			      (const char *)bytes);
	assert_int_equal(answer.status, status);
	assert_string_equal(rig_member(&answer, "error.code"), code);
	assert_int_equal(strlen(rig_member(&answer, "error.requestId")), 32);
	assert_true(strlen(answer.body) <= 1024);
	assert_null(strstr(answer.body, "marker"));
	assert_null(strstr(answer.head, "marker"));
	assert_string_equal(rig_header(&answer, "Connection"), "close");
	assert_true(rig_is_closed(client));
	rig_disconnect(&client);
}

static void
assert_text_refused(const char *text, int status, const char *code)
{
	assert_refused(text, strlen(text), status, code);
}

static void
assert_alive(void)
{
	assert_int_equal(rig_request(&rig, "GET", "/health/live", NULL, NULL, NULL)->status, 200);
}

static void
test_R01_no_host_header_is_400_and_close(void **state)
{
	(void)state;
	assert_text_refused("GET /health HTTP/1.1\r\nX: marker\r\n\r\n", 400, "host");
	assert_text_refused("GET /health HTTP/1.1\r\n" H "Host: marker\r\n\r\n", 400, "host");
}

static void
test_R03_after_two_content_lengths_the_second_request_never_runs(void **state)
{
	(void)state;
	assert_text_refused(TARGET H JSON "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}"
					  "GET /health HTTP/1.1\r\n" H "\r\n",
			    400, "content_length");
}

static void
test_R05_content_length_with_transfer_encoding_is_400(void **state)
{
	(void)state;
	assert_text_refused(TARGET H JSON
			    "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
			    "GET /health HTTP/1.1\r\n" H "\r\n",
			    400, "framing");
	assert_text_refused(TARGET H JSON "Transfer-Encoding: gzip\r\n\r\n", 501,
			    "transfer_encoding");
}

static void
test_R07_odd_content_lengths_are_400(void **state)
{
	(void)state;
	const char *const lengths[] = { "-1", "+2", "0x10", "2,2", "", "2 2", "1e1" };
	char text[256];
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		snprintf(text, sizeof(text), TARGET H JSON "Content-Length: %s\r\n\r\n{}",
			 lengths[i]);
		assert_text_refused(text, 400, "content_length");
	}
}

static void
test_R09_a_chunk_that_is_none_is_400_and_close(void **state)
{
	(void)state;
	const char *const chunks[] = { "FFFFFFFFFFFFFFFFF\r\n{}",
				       "zz\r\n{}\r\n",
				       "-1\r\n{}",
				       "\r\n{}\r\n",
				       "2\n{}\r\n",
				       "2 \r\n{}\r\n",
				       "2;marker=1\r\n{}\r\n",
				       "2\r\n{}}\r\n",
				       "0\r\nX-Marker: a\r\n\r\n" };
	char text[512];
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		snprintf(text, sizeof(text), TARGET H JSON "Transfer-Encoding: chunked\r\n\r\n%s",
			 chunks[i]);
		assert_text_refused(text, 400, "chunk");
	}
	assert_alive();
}

static void
test_R11_bare_line_feeds_and_folded_headers_are_400(void **state)
{
	(void)state;
	assert_text_refused("GET /health HTTP/1.1\nHost: gateway\n\n", 400, "malformed");
	assert_text_refused("GET /health HTTP/1.1\r\nHost: gateway\nX: marker\r\n\r\n", 400,
			    "malformed");
	assert_text_refused("GET /health HTTP/1.1\r\nHost: gateway\r\n marker\r\n\r\n", 400,
			    "malformed");
	assert_text_refused("GET /health HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\n", 400,
			    "malformed");
}

static void
test_R13_a_nul_in_a_header_value_is_400(void **state)
{
	(void)state;
	static const char text[] = "GET /health HTTP/1.1\r\n" H "X: a\0b\r\n\r\n";
	assert_refused(text, sizeof(text) - 1, 400, "malformed");
}

static void
assert_long_refused(const char *before, size_t filler, const char *after, int status,
		    const char *code)
{
	size_t at = strlen(before);
	char *text = malloc(at + filler + strlen(after) + 1);
	assert_non_null(text);
	memcpy(text, before, at);
	memset(text + at, 'a', filler);
	strcpy(text + at + filler, after);
	assert_text_refused(text, status, code);
	free(text);
}

static void
test_R15_a_header_of_17_kib_is_431(void **state)
{
	(void)state;
	assert_long_refused("GET /health HTTP/1.1\r\n" H "X: ", 17 * 1024, "\r\n\r\n", 431,
			    "head_too_large");
}

static void
test_R17_a_target_of_9_kib_is_414(void **state)
{
	(void)state;
	assert_long_refused("GET /", 9 * 1024, " HTTP/1.1\r\n" H "\r\n", 414, "uri_too_long");
}

static void
test_R19_escaped_ways_up_are_404_like_all_that_is_not_there(void **state)
{
	(void)state;
	const char *const targets[] = { "/api/v1/nodes/..%2f..%2fmetrics",
					"/api/v1/nodes/../health", "/api/v1/nothing", "/nothing",
					"/api/v1//health" };
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		const struct rig_answer *answer =
			rig_request(&rig, "GET", targets[i], NULL, NULL, NULL);
		assert_int_equal(answer->status, 404);
		assert_string_equal(rig_member(answer, "error.code"), "not_found");
	}
	assert_text_refused("GET /api/v1/nodes/a%00b HTTP/1.1\r\n" H "\r\n", 400, "target");
	assert_text_refused("GET /api/v1/nodes?country=%00 HTTP/1.1\r\n" H "\r\n", 400, "target");
}

static void
test_R21_a_target_with_another_host_is_400(void **state)
{
	(void)state;
	assert_text_refused("GET http://evil.marker/health HTTP/1.1\r\n" H "\r\n", 400, "target");
}

static void
test_R23_trace_and_connect_are_405(void **state)
{
	(void)state;
	assert_text_refused("TRACE /health HTTP/1.1\r\n" H "X: marker\r\n\r\n", 405, "method");
	assert_text_refused("CONNECT evil.marker:443 HTTP/1.1\r\n" H "\r\n", 405, "method");
	const struct rig_answer *answer =
		rig_request(&rig, "PUT", "/api/v1/nodes", NULL, NULL, NULL);
	assert_int_equal(answer->status, 405);
	assert_string_equal(rig_header(answer, "Allow"), "GET, HEAD, OPTIONS");
}

static void
test_R29_P11_upgrade_is_400_and_never_101(void **state)
{
	(void)state;
	assert_text_refused(
		"GET /health HTTP/1.1\r\n" H
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
		"AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
		400, "upgrade");
	assert_text_refused("GET /health HTTP/1.1\r\n" H
			    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "
			    "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			    400, "upgrade");
	assert_text_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version");
}

static const struct rig_answer *
post_typed(const char *type, const char *body)
{
	static char text[4096];
	snprintf(text, sizeof(text), TARGET H "%sContent-Length: %zu\r\n\r\n%s", type, strlen(body),
		 body);
	return rig_exchange(&rig, text);
}

static void
test_R31_a_body_that_is_not_called_json_is_415(void **state)
{
	(void)state;
	assert_int_equal(post_typed("", "{}")->status, 415);
	assert_int_equal(post_typed("Content-Type: text/plain\r\n", "{}")->status, 415);
	assert_int_equal(post_typed("Content-Type: application/jsonx\r\n", "{}")->status, 415);
	assert_int_equal(post_typed(JSON "Content-Encoding: gzip\r\n", "{}")->status, 415);
	assert_int_equal(
		post_typed("Content-Type: Application/JSON; charset=utf-8\r\n", "{}")->status, 400);
}

static void
assert_json_refused(const char *body, const char *code, const char *field)
{
	const struct rig_answer *answer = post_typed(JSON, body);
	if (answer->status != 400)
		print_message("%d for %.80s\n", answer->status, body);
	assert_int_equal(answer->status, 400);
	assert_string_equal(rig_member(answer, "error.code"), code);
	if (field != NULL)
		assert_string_equal(rig_member(answer, "error.field"), field);
}

static void
test_R33_R35_R39_R41_what_is_not_json_is_400(void **state)
{
	(void)state;
	const char *const bodies[] = { "",
				       "{}garbage",
				       "{\"a\":NaN}",
				       "{\"a\":Infinity}",
				       "{\"a\":1e999}",
				       "{\"role\":\"\\u0000\"}",
				       "{\"role\":\"node\",\"role\":\"node\"}",
				       "[]",
				       "{",
				       "\xff\xfe{}" };
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_json_refused(bodies[i], "json", NULL);
}

static void
test_R37_nesting_of_33_is_400(void **state)
{
	(void)state;
	char body[128] = "{\"x\":";
	memset(body + 5, '[', 32);
	memset(body + 37, ']', 32);
	strcpy(body + 69, "}");
	assert_json_refused(body, "depth", NULL);
	body[5] = ' ';
	body[68] = ' ';
	assert_json_refused(body, "field", "nodeId");
}

static void
test_R43_a_node_id_that_is_missing_null_or_a_number_is_400(void **state)
{
	(void)state;
	assert_json_refused("{\"role\":\"node\"}", "field", "nodeId");
	assert_json_refused("{\"nodeId\":null}", "field", "nodeId");
	assert_json_refused("{\"nodeId\":7}", "field", "nodeId");
}

static void
test_R45_a_node_id_with_line_ends_is_400(void **state)
{
	(void)state;
	assert_json_refused("{\"nodeId\":\"a\\r\\ninfo gateway forged\",\"publicKey\":\"x\"}",
			    "field", "nodeId");
	assert_text_refused("GET /api/v1/nodes/a%0d%0aforged HTTP/1.1\r\n" H "\r\n", 400, "target");
}

static void
test_R75_two_authorization_headers_are_400(void **state)
{
	(void)state;
	assert_text_refused("GET /api/v1/nodes HTTP/1.1\r\n" H
			    "Authorization: Bearer marker\r\nAuthorization: Bearer b\r\n\r\n",
			    400, "authorization");
}

static void
test_P13_a_body_over_64_kib_is_413_however_it_comes(void **state)
{
	(void)state;
	static struct rig_answer answer;
	assert_text_refused(TARGET H JSON "Content-Length: 65537\r\n\r\n{}", 413, "too_large");

	/* In chunks nothing says so before; the answer comes after the last one. */
	static char chunk[16384 + 16];
	struct rig_client *client = rig_connect(&rig);
	assert_non_null(client);
	rig_send_text(client, TARGET H JSON "Transfer-Encoding: chunked\r\n\r\n");
	int n = snprintf(chunk, sizeof(chunk), "4000\r\n");
	memset(chunk + n, ' ', 16384);
	memcpy(chunk + n + 16384, "\r\n", 2);
	for (int i = 0; i < 5; i++)
		assert_true(rig_send(client, chunk, (size_t)n + 16384 + 2));
	rig_send_text(client, "0\r\n\r\n");
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 413);
	assert_true(rig_is_closed(client));
	rig_disconnect(&client);

	/* Whoever sends it all before it looks for an answer is not reset in the midst of it. */
	static char large[4 * 1024 * 1024];
	int head = snprintf(large, sizeof(large), TARGET H JSON "Content-Length: %zu\r\n\r\n",
			    sizeof(large));
	memset(large + head, ' ', sizeof(large) - (size_t)head);
	for (int i = 0; i < 20; i++) {
		client = rig_connect(&rig);
		assert_non_null(client);
		assert_true(rig_send(client, large, sizeof(large)));
		rig_receive(client, &answer);
		assert_int_equal(answer.status, 413);
		assert_true(rig_is_closed(client));
		rig_disconnect(&client);
	}

	/* And who never ends is cut off. */
	client = rig_connect(&rig);
	assert_non_null(client);
	rig_send_text(client, TARGET H JSON "Transfer-Encoding: chunked\r\n\r\n");
	bool sent = true;
	for (int i = 0; i < 1000 && sent; i++)
		sent = rig_send(client, chunk, (size_t)n + 16384 + 2);
	assert_false(sent);
	rig_disconnect(&client);
	assert_alive();
}

static void
test_a_body_where_none_belongs_is_400(void **state)
{
	(void)state;
	const struct rig_answer *answer =
		rig_exchange(&rig, "GET /health HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\n{}");
	assert_int_equal(answer->status, 400);
	assert_string_equal(rig_member(answer, "error.code"), "body");
}

static void
test_noise_harms_nobody(void **state)
{
	(void)state;
	unsigned int seed = 1;
	unsigned char noise[512];
	for (int i = 0; i < 200; i++) {
		size_t n = 1 + (size_t)(rand_r(&seed) % (int)sizeof(noise));
		for (size_t b = 0; b < n; b++)
			noise[b] = (unsigned char)rand_r(&seed);
		struct rig_client *client = rig_connect(&rig);
		assert_non_null(client);
		rig_send(client, noise, n);
		rig_disconnect(&client);
	}
	assert_alive();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R01_no_host_header_is_400_and_close),
		cmocka_unit_test(test_R03_after_two_content_lengths_the_second_request_never_runs),
		cmocka_unit_test(test_R05_content_length_with_transfer_encoding_is_400),
		cmocka_unit_test(test_R07_odd_content_lengths_are_400),
		cmocka_unit_test(test_R09_a_chunk_that_is_none_is_400_and_close),
		cmocka_unit_test(test_R11_bare_line_feeds_and_folded_headers_are_400),
		cmocka_unit_test(test_R13_a_nul_in_a_header_value_is_400),
		cmocka_unit_test(test_R15_a_header_of_17_kib_is_431),
		cmocka_unit_test(test_R17_a_target_of_9_kib_is_414),
		cmocka_unit_test(test_R19_escaped_ways_up_are_404_like_all_that_is_not_there),
		cmocka_unit_test(test_R21_a_target_with_another_host_is_400),
		cmocka_unit_test(test_R23_trace_and_connect_are_405),
		cmocka_unit_test(test_R29_P11_upgrade_is_400_and_never_101),
		cmocka_unit_test(test_R31_a_body_that_is_not_called_json_is_415),
		cmocka_unit_test(test_R33_R35_R39_R41_what_is_not_json_is_400),
		cmocka_unit_test(test_R37_nesting_of_33_is_400),
		cmocka_unit_test(test_R43_a_node_id_that_is_missing_null_or_a_number_is_400),
		cmocka_unit_test(test_R45_a_node_id_with_line_ends_is_400),
		cmocka_unit_test(test_R75_two_authorization_headers_are_400),
		cmocka_unit_test(test_P13_a_body_over_64_kib_is_413_however_it_comes),
		cmocka_unit_test(test_a_body_where_none_belongs_is_400),
		cmocka_unit_test(test_noise_harms_nobody),
	};
	return cmocka_run_group_tests(tests, start, rig_one_stop);
}
