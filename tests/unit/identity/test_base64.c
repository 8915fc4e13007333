/*
 * base64 and UUID text: canonical forms only (R47: publicKey of 31 or 33 bytes, url-safe, with a
 * newline; R45: an id with CR LF).
 */
#include "identity/key.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
test_base64_gives_the_vectors_of_rfc_4648(void **state)
{
	static const char *const vectors[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
	};
	char text[16];
	uint8_t bytes[16];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		size_t n = strlen(vectors[i][0]);

		base64_encode((const uint8_t *)vectors[i][0], n, text);
		assert_string_equal(text, vectors[i][1]);
		assert_int_equal(base64_decode(vectors[i][1], bytes, sizeof(bytes)), n);
		assert_memory_equal(bytes, vectors[i][0], n);
	}
}

static void
test_every_byte_survives_both_alphabets(void **state)
{
	uint8_t bytes[256], back[256];
	char text[400];

	(void)state;
	for (int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)(i * 7 + 3);
	for (size_t n = 0; n <= 256; n++) {
		base64_encode(bytes, n, text);
		assert_int_equal(base64_decode(text, back, sizeof(back)), n);
		assert_memory_equal(back, bytes, n);
		base64url_encode(bytes, n, text);
		assert_null(strpbrk(text, "+/="));
		assert_int_equal(base64url_decode(text, strlen(text), back, sizeof(back)), n);
		assert_memory_equal(back, bytes, n);
	}
}

static void
test_base64_that_is_not_canonical_is_refused(void **state)
{
	static const char *const bad[] = {
		"Zg=",	"Zg",	"Zg===", "=Zg=", "Z===", "====",     "Zm9v\n",	   "Zm9vYg=",
		"Zh==", "Zm9=", "Zm8-",	 "Zm8_", "Zm 8", "Zm8=Zm8=", "\xc3\xa9==", "Zm9v=",
	};
	uint8_t bytes[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(base64_decode(bad[i], bytes, sizeof(bytes)), -EINVAL);
}

static void
test_base64url_that_is_not_canonical_is_refused(void **state)
{
	static const char *const bad[] = { "Z", "Zh", "Zm9", "Zg==", "Zm9v+A", "Zm9v/A", "Zm9\n" };
	uint8_t bytes[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(base64url_decode(bad[i], strlen(bad[i]), bytes, sizeof(bytes)),
				 -EINVAL);
	assert_int_equal(base64url_decode("Zg\0\0", 4, bytes, sizeof(bytes)), -EINVAL);
}

static void
test_base64_does_not_write_beyond_the_capacity(void **state)
{
	uint8_t bytes[4] = { 0, 0, 0, 0xee };

	(void)state;
	assert_int_equal(base64_decode("Zm9vYg==", bytes, 3), -EINVAL);
	assert_int_equal(base64_decode("Zm9v", bytes, 3), 3);
	assert_int_equal(bytes[3], 0xee);
}

static void
test_r47_a_key_that_is_not_44_canonical_characters_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"eaYx7t4b+cmPEgMs3q3Q56B5OY/HhriMyEbsia+FpQ==", /* 31 bytes */
		"eaYx7t4b+cmPEgMs3q3Q56B5OY/HhriMyEbsia+FpRoA", /* 33 bytes */
		"eaYx7t4b-cmPEgMs3q3Q56B5OY_HhriMyEbsia-FpRo=", /* url-safe */
		"eaYx7t4b+cmPEgMs3q3Q56B5OY/HhriMyEbsia+FpRo=\n",
		" eaYx7t4b+cmPEgMs3q3Q56B5OY/HhriMyEbsia+FpRo=",
		"eaYx7t4b+cmPEgMs3q3Q56B5OY/HhriMyEbsia+FpRo",
		"eaYx7t4b+cmPEgMs3q3Q56B5OY/HhriMyEbsia+FpRp=", /* bits left over */
	};
	struct key key;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(key_parse(bad[i], &key), -EINVAL);
	assert_int_equal(key_parse("eaYx7t4b+cmPEgMs3q3Q56B5OY/HhriMyEbsia+FpRo=", &key), 0);
}

static void
test_r45_an_id_that_is_not_a_lower_case_uuid_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"0F1E2D3C-4b5a-4697-8877-665544332211",
		"0f1e2d3c-4b5a-4697-8877-66554433221",
		"0f1e2d3c-4b5a-4697-8877-6655443322111",
		"0f1e2d3c4b5a46978877665544332211",
		"{f1e2d3c-4b5a-4697-8877-665544332211}",
		"0f1e2d3c-4b5a-4697-8877-66554433221\r",
		"0f1e2d3c-4b5a-4697-8877-665544332211\r\n",
		"0f1e2d3c 4b5a 4697 8877 665544332211",
		"0f1e2d3cx4b5a-4697-8877-665544332211",
	};
	uint8_t id[UUID_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(uuid_parse(bad[i], id), -EINVAL);
}

static void
test_a_uuid_keeps_its_text(void **state)
{
	uint8_t id[UUID_BYTES];
	char made[UUID_TEXT_BYTES], back[UUID_TEXT_BYTES];

	(void)state;
	assert_int_equal(uuid_parse("0f1e2d3c-4b5a-4697-8877-665544332211", id), 0);
	assert_int_equal(id[0], 0x0f);
	assert_int_equal(id[15], 0x11);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(uuid_generate_text(made), 0);
		assert_int_equal(uuid_parse(made, id), 0);
		uuid_format(id, back);
		assert_string_equal(back, made);
		assert_int_equal(made[14], '4');
		assert_non_null(strchr("89ab", made[19]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64_gives_the_vectors_of_rfc_4648),
		cmocka_unit_test(test_every_byte_survives_both_alphabets),
		cmocka_unit_test(test_base64_that_is_not_canonical_is_refused),
		cmocka_unit_test(test_base64url_that_is_not_canonical_is_refused),
		cmocka_unit_test(test_base64_does_not_write_beyond_the_capacity),
		cmocka_unit_test(test_r47_a_key_that_is_not_44_canonical_characters_is_refused),
		cmocka_unit_test(test_r45_an_id_that_is_not_a_lower_case_uuid_is_refused),
		cmocka_unit_test(test_a_uuid_keeps_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
