/*
 * gateway_body: where bodies end, however their bytes are cut (T10; R09).
 */
#include "gateway/gateway_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct taken {
	char content[256];
	size_t content_n, bytes_n;
	bool is_bad, is_done;
};

/* Feeds the text in pieces of so many bytes. */
static void
feed(const struct gate_tally *tally, const char *text, size_t piece, struct taken *ret)
{
	struct gateway_body body;
	size_t n = strlen(text);
	memset(ret, 0, sizeof(*ret));
	gateway_body_init(&body, tally);
	while (ret->bytes_n < n && body.state != BODY_DONE) {
		const char *content;
		size_t content_n, some = n - ret->bytes_n < piece ? n - ret->bytes_n : piece;
		long r = gateway_body_take(&body, text + ret->bytes_n, some, &content, &content_n);
		if (r < 0) {
			ret->is_bad = true;
			return;
		}
		assert_true(r > 0 && (size_t)r <= some);
		memcpy(ret->content + ret->content_n, content, content_n);
		ret->content_n += content_n;
		ret->bytes_n += (size_t)r;
	}
	ret->is_done = body.state == BODY_DONE;
}

static void
test_a_body_by_length_ends_there(void **state)
{
	(void)state;
	struct gate_tally tally = { .lengths = 1, .content_length = 5 };
	struct taken taken;
	for (size_t piece = 1; piece < 10; piece++) {
		feed(&tally, "abcdefgh", piece, &taken);
		assert_true(taken.is_done);
		assert_int_equal(taken.bytes_n, 5);
		assert_memory_equal(taken.content, "abcde", 5);
	}
	feed(&tally, "abcd", 4, &taken);
	assert_false(taken.is_done);
	tally.content_length = 0;
	feed(&tally, "abcd", 4, &taken);
	assert_true(taken.is_done);
	assert_int_equal(taken.bytes_n, 0);
}

static void
test_chunks_are_joined_and_end_with_the_empty_one(void **state)
{
	(void)state;
	const struct gate_tally tally = { .encodings = 1 };
	const char *text = "3\r\nabc\r\n0000000A\r\n0123456789\r\n0\r\n\r\nGET /";
	struct taken taken;
	for (size_t piece = 1; piece < 50; piece++) {
		feed(&tally, text, piece, &taken);
		assert_true(taken.is_done);
		assert_int_equal(taken.bytes_n, strlen(text) - strlen("GET /"));
		assert_int_equal(taken.content_n, 13);
		assert_memory_equal(taken.content, "abc0123456789", 13);
	}
}

static void
test_what_is_no_chunk_is_refused(void **state)
{
	(void)state;
	const struct gate_tally tally = { .encodings = 1 };
	const char *const texts[] = {
		"FFFFFFFFFFFFFFFFF\r\n",
		"000000001\r\na\r\n",
		"\r\n",
		"-1\r\n",
		"+1\r\n",
		"0x1\r\n",
		" 1\r\n",
		"1 \r\n",
		"1\na\r\n",
		"1\r\nab\r\n",
		"1\r\na\n",
		"1;a=b\r\n",
		"1\ra",
		"0\r\nX: y\r\n\r\n",
		"0\r\n\n",
	};
	struct taken taken;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (size_t piece = 1; piece < 20; piece += 18) {
			feed(&tally, texts[i], piece, &taken);
			if (!taken.is_bad)
				print_message("row %zu\n", i);
			assert_true(taken.is_bad);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_body_by_length_ends_there),
		cmocka_unit_test(test_chunks_are_joined_and_end_with_the_empty_one),
		cmocka_unit_test(test_what_is_no_chunk_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
