/*
 * A connection to the gateway over more than one request, or one that comes in pieces (T10): bodies
 * end where they should, what follows is judged like the first, answers come in turn. With RIG_TLS
 * the same under TLS.
 */
#include "gateway_rig_one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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

static void
test_a_body_in_chunks_and_in_pieces_is_read(void **state)
{
	(void)state;
	static struct rig_answer answer;
	struct rig_client *client = rig_connect(&rig);
	assert_non_null(client);
	const char *request = TARGET H JSON "Transfer-Encoding: chunked\r\n\r\n"
					    "9\r\n{\"role\":\"\r\n7\r\nother\"}\r\n0\r\n\r\n";
	for (const char *c = request; *c != '\0'; c++)
		assert_true(rig_send(client, c, 1));
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 400);
	assert_string_equal(rig_member(&answer, "error.field"), "nodeId");
	rig_disconnect(&client);
}

static void
test_who_expects_100_continue_gets_it_or_the_refusal(void **state)
{
	(void)state;
	static struct rig_answer answer;
	struct rig_client *client = rig_connect(&rig);
	assert_non_null(client);
	rig_send_text(client, TARGET H JSON "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 100);
	rig_send_text(client, "{}");
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 400);
	rig_disconnect(&client);
	assert_int_equal(rig_exchange(&rig, TARGET H "Content-Length: 2\r\nExpect: "
						     "100-continue\r\n\r\n")
				 ->status,
			 415);
}

/* T10: what follows a request is judged like the first, wherever the bytes were cut. */
static void
test_each_later_head_on_a_connection_passes_the_gate(void **state)
{
	(void)state;
	static struct rig_answer answer;
	static const struct {
		const char *text, *code;
	} rows[] = {
		{ "GET /health HTTP/1.1\nHost: gateway\n\n", "malformed" },
		{ "GET /health HTTP/1.1\r\nHost: gateway\r\n marker\r\n\r\n", "malformed" },
		{ "GET /health HTTP/1.1\r\n" H H "\r\n", "host" },
		{ TARGET H JSON "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}",
		  "content_length" },
		{ TARGET H JSON "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
		  "framing" },
	};
	static const char first[] = TARGET H JSON "Content-Length: 2\r\n\r\n{}";
	char text[512];
	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig_client *client = rig_connect(&rig);
		assert_non_null(client);
		/* In one piece with the first request, or after its answer. */
		bool pipelined = i % 2 == 1;
		snprintf(text, sizeof(text), "%s%s", pipelined ? first : "", rows[i / 2].text);
		if (!pipelined) {
			rig_send_text(client, first);
			rig_receive(client, &answer);
			assert_int_equal(answer.status, 400);
			assert_null(rig_header(&answer, "Connection"));
		}
		rig_send_text(client, text);
		if (pipelined) {
			rig_receive(client, &answer);
			assert_string_equal(rig_member(&answer, "error.field"), "nodeId");
		}
		rig_receive(client, &answer);
		assert_string_equal(rig_member(&answer, "error.code"), rows[i / 2].code);
		assert_string_equal(rig_header(&answer, "Connection"), "close");
		assert_true(rig_is_closed(client));
		rig_disconnect(&client);
	}
}

/* T10: a body is no request, whatever it looks like. */
static void
test_a_body_that_looks_like_a_request_never_runs(void **state)
{
	(void)state;
	static struct rig_answer answer;
	static const char inner[] = "GET /health/live HTTP/1.1\r\n" H "\r\n";
	char text[512];
	struct rig_client *client = rig_connect(&rig);
	assert_non_null(client);
	snprintf(text, sizeof(text), TARGET H JSON "Content-Length: %zu\r\n\r\n%s",
		 sizeof(inner) - 1, inner);
	rig_send_text(client, text);
	rig_receive(client, &answer);
	assert_string_equal(rig_member(&answer, "error.code"), "json");
	snprintf(text, sizeof(text),
		 TARGET H JSON "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
		 sizeof(inner) - 1, inner);
	rig_send_text(client, text);
	rig_receive(client, &answer);
	assert_string_equal(rig_member(&answer, "error.code"), "json");
	/* The next answer is that of the next request. */
	rig_send_text(client, "GET /api/v1/nothing HTTP/1.1\r\n" H "\r\n");
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 404);
	rig_disconnect(&client);
}

static void
test_many_requests_sent_at_once_are_answered_in_turn(void **state)
{
	(void)state;
	enum { PAIRS = 100 };
	static struct rig_answer answer;
	static char text[PAIRS * 256];
	size_t n = 0;
	for (int i = 0; i < PAIRS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "GET /api/v1/nothing HTTP/1.1\r\n" H "\r\n" TARGET H JSON
				      "Content-Length: 2\r\n\r\n{}");
	struct rig_client *client = rig_connect(&rig);
	assert_non_null(client);
	assert_true(rig_send(client, text, n));
	for (int i = 0; i < 2 * PAIRS; i++) {
		rig_receive(client, &answer);
		assert_int_equal(answer.status, i % 2 == 0 ? 404 : 400);
	}
	rig_disconnect(&client);
}

static void
test_connection_close_and_http_1_0_end_with_the_answer(void **state)
{
	(void)state;
	static struct rig_answer answer;
	const char *const requests[] = { "GET /health/live HTTP/1.1\r\n" H
					 "Connection: close\r\n\r\n"
					 "GET /health/live HTTP/1.1\r\n" H "\r\n",
					 "GET /health/live HTTP/1.0\r\n" H
					 "\r\nGET /health/live HTTP/1.0\r\n" H "\r\n" };
	for (size_t i = 0; i < 2; i++) {
		struct rig_client *client = rig_connect(&rig);
		assert_non_null(client);
		rig_send_text(client, requests[i]);
		rig_receive(client, &answer);
		assert_int_equal(answer.status, 200);
		assert_true(rig_is_closed(client));
		rig_disconnect(&client);
	}
}

static void
test_a_head_byte_by_byte_is_served(void **state)
{
	(void)state;
	static struct rig_answer answer;
	struct rig_client *client = rig_connect(&rig);
	assert_non_null(client);
	for (const char *c = "GET /health/live HTTP/1.1\r\n" H "\r\n"; *c != '\0'; c++)
		assert_true(rig_send(client, c, 1));
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 200);
	rig_disconnect(&client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_body_in_chunks_and_in_pieces_is_read),
		cmocka_unit_test(test_who_expects_100_continue_gets_it_or_the_refusal),
		cmocka_unit_test(test_each_later_head_on_a_connection_passes_the_gate),
		cmocka_unit_test(test_a_body_that_looks_like_a_request_never_runs),
		cmocka_unit_test(test_many_requests_sent_at_once_are_answered_in_turn),
		cmocka_unit_test(test_connection_close_and_http_1_0_end_with_the_answer),
		cmocka_unit_test(test_a_head_byte_by_byte_is_served),
	};
	return cmocka_run_group_tests(tests, start, rig_one_stop);
}
