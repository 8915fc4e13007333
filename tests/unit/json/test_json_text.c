/*
 * json_text: what is built is JSON, whatever is put in.
 */
#include "json/json_text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
assert_text(struct json_text *text, const char *expected)
{
	assert_false(json_text_failed(text));
	assert_string_equal(text->bytes, expected);
	json_text_fini(text);
}

static void
test_commas_stand_between_values_and_nowhere_else(void **state)
{
	(void)state;
	struct json_text text = { 0 };
	json_text_open(&text, '{');
	json_text_member(&text, "a", "{[:");
	json_text_key(&text, "b");
	json_text_open(&text, '[');
	json_text_int(&text, -1);
	json_text_uint(&text, UINT64_MAX);
	json_text_open(&text, '{');
	json_text_close(&text, '}');
	json_text_bool(&text, true);
	json_text_close(&text, ']');
	json_text_key(&text, "c");
	json_text_raw(&text, "null");
	json_text_close(&text, '}');
	assert_text(&text, "{\"a\":\"{[:\",\"b\":[-1,18446744073709551615,{},true],\"c\":null}");
}

static void
test_quotes_and_control_bytes_are_escaped(void **state)
{
	(void)state;
	struct json_text text = { 0 };
	json_text_string(&text, "a\"b\\c\r\n\x1b\x7f");
	assert_text(&text, "\"a\\\"b\\\\c\\u000d\\u000a\\u001b\\u007f\"");
}

static void
test_bytes_that_are_not_utf8_become_the_replacement_character(void **state)
{
	(void)state;
	struct json_text text = { 0 };
	/* A lone continuation, an overlong slash, a surrogate, a cut sequence. */
	json_text_string(&text, "\x80 \xc0\xaf \xed\xa0\x80 \xe2\x82");
	assert_text(&text, "\"\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd "
			   "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\"");
	json_text_string(&text, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\x8d");
	assert_text(&text, "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\x8d\"");
}

static void
test_numbers_are_short_and_read_back_the_same(void **state)
{
	(void)state;
	struct json_text text = { 0 };
	json_text_open(&text, '[');
	json_text_double(&text, 0.1);
	json_text_double(&text, 10);
	json_text_double(&text, 1.0 / 3.0);
	json_text_double(&text, NAN);
	json_text_double(&text, INFINITY);
	json_text_close(&text, ']');
	assert_text(&text, "[0.1,10,0.33333333333333331,null,null]");
}

static void
test_a_text_over_its_limit_says_that_it_failed(void **state)
{
	(void)state;
	struct json_text text = { .max_bytes = 16 };
	json_text_string(&text, "0123456789012345678901234567890");
	assert_true(json_text_failed(&text));
	json_text_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commas_stand_between_values_and_nowhere_else),
		cmocka_unit_test(test_quotes_and_control_bytes_are_escaped),
		cmocka_unit_test(test_bytes_that_are_not_utf8_become_the_replacement_character),
		cmocka_unit_test(test_numbers_are_short_and_read_back_the_same),
		cmocka_unit_test(test_a_text_over_its_limit_says_that_it_failed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
