/*
 * REST tokens: T06 (alg none, key confusion, kid tricks), R67, R69, R71, two-key rotation. The
 * vector is the one of docs/protocol.md, "Tokens".
 */
#include "identity/key.h"
#include "identity/mac.h"
#include "identity/token.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1700000000000)

static const char vector_token[] =
	"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjgifQ."
	"eyJpc3MiOiJib3NvbiIsImF1ZCI6ImJvc29uLXJlc3QiLCJzdWIiOiIwZjFlMmQzYy00YjVhLTQ2OTctODg3Ny02"
	"NjU1NDQzMzIyMTEiLCJyb2xlIjoibm9kZSIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ."
	"OHuOkyiU7JfsvDV7AOZgQqDAMU-yxTqJgOxZ-aR0muI";

static uint8_t secret[TOKEN_SECRET_BYTES], other_secret[TOKEN_SECRET_BYTES];
static struct token_keys keys;

static const struct token sample = { .role = TOKEN_ROLE_NODE,
				     .subject = "0f1e2d3c-4b5a-4697-8877-665544332211",
				     .issued_at_ms = NOW_MS,
				     .expires_at_ms = NOW_MS + 3600000 };

static int
setup(void **state)
{
	(void)state;
	for (int i = 0; i < TOKEN_SECRET_BYTES; i++) {
		secret[i] = (uint8_t)i;
		other_secret[i] = (uint8_t)(100 + i);
	}
	token_keys_init(&keys, secret, NULL);
	return 0;
}

static int
verify_at(const char *text, int64_t now_ms)
{
	struct token token;

	return token_verify(&keys, text, strlen(text), now_ms, &token);
}

/* A token with these exact parts, properly signed with our secret. */
static const char *
sign_parts(const char *header, const char *claims)
{
	static char text[1024];
	uint8_t mac[MAC_BYTES];
	size_t n;

	base64url_encode((const uint8_t *)header, strlen(header), text);
	strcat(text, ".");
	base64url_encode((const uint8_t *)claims, strlen(claims), text + strlen(text));
	n = strlen(text);
	assert_int_equal(mac_hmac_sha256(secret, sizeof(secret), text, n, mac), 0);
	text[n++] = '.';
	base64url_encode(mac, sizeof(mac), text + n);
	return text;
}

static const char good_header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"8\"}";
#define CLAIMS(sub, role, times)                                                         \
	"{\"iss\":\"boson\",\"aud\":\"boson-rest\",\"sub\":\"" sub "\",\"role\":\"" role \
	"\"," times "}"
#define GOOD_TIMES "\"iat\":1700000000,\"exp\":1700003600"

static void
test_the_documented_vector_is_minted_and_accepted(void **state)
{
	char text[TOKEN_TEXT_MAX_BYTES];
	struct token token;

	(void)state;
	assert_int_equal(token_mint(&keys, &sample, text), 0);
	assert_string_equal(text, vector_token);
	assert_int_equal(token_verify(&keys, text, strlen(text), NOW_MS, &token), 0);
	assert_int_equal(token.role, TOKEN_ROLE_NODE);
	assert_string_equal(token.subject, sample.subject);
	assert_int_equal(token.issued_at_ms, sample.issued_at_ms);
	assert_int_equal(token.expires_at_ms, sample.expires_at_ms);
}

static void
test_each_role_keeps_its_name(void **state)
{
	(void)state;
	for (int role = TOKEN_ROLE_NODE; role <= TOKEN_ROLE_ADMIN; role++) {
		struct token token = sample, back;
		char text[TOKEN_TEXT_MAX_BYTES];

		token.role = (enum token_role)role;
		assert_int_equal(token_mint(&keys, &token, text), 0);
		assert_int_equal(token_verify(&keys, text, strlen(text), NOW_MS, &back), 0);
		assert_int_equal(back.role, role);
	}
}

static void
test_our_own_signature_helper_signs_as_the_mint_does(void **state)
{
	(void)state;
	assert_string_equal(sign_parts(good_header, CLAIMS("0f1e2d3c-4b5a-4697-8877-665544332211",
							   "node", GOOD_TIMES)),
			    vector_token);
}

/* R67, T06: whoever holds the right key still may not choose the algorithm. */
static void
test_r67_any_other_header_is_refused(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"8\"}",
		"{\"alg\":\"HS512\",\"typ\":\"JWT\",\"kid\":\"8\"}",
		"{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"8\"}",
		"{\"typ\":\"JWT\",\"alg\":\"HS256\",\"kid\":\"8\"}",
		"{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
		"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"8\" }",
		"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"8\",\"x\":1}",
		"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":8}",
		"",
		"{}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		assert_int_equal(
			verify_at(sign_parts(headers[i], CLAIMS("x", "node", GOOD_TIMES)), NOW_MS),
			-EACCES);
}

/* R71: a kid is one digit and opens nothing. */
static void
test_r71_a_kid_that_is_a_path_or_another_key_is_refused(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"../../etc/passwd\"}",
		"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"7\"}",
		"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"\"}",
		"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"88\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		assert_int_equal(
			verify_at(sign_parts(headers[i], CLAIMS("x", "node", GOOD_TIMES)), NOW_MS),
			-EACCES);
}

/* R69: expired, nbf, no exp, exp in ten years. */
static void
test_r69_claims_of_another_form_are_refused(void **state)
{
	static const char *const claims[] = {
		CLAIMS("x", "node", "\"iat\":1700000000"),
		CLAIMS("x", "node", "\"iat\":1700000000,\"exp\":2015360000"),
		CLAIMS("x", "node", "\"iat\":1700000000,\"nbf\":1700000000,\"exp\":1700003600"),
		CLAIMS("x", "node", "\"exp\":1700003600,\"iat\":1700000000"),
		CLAIMS("x", "node", "\"iat\":1700000000,\"exp\":1700000000"),
		CLAIMS("x", "node", "\"iat\":1700003600,\"exp\":1700000000"),
		CLAIMS("x", "node", "\"iat\":01700000000,\"exp\":1700003600"),
		CLAIMS("x", "node", "\"iat\":-1,\"exp\":1700003600"),
		CLAIMS("x", "node", "\"iat\":1700000000,\"exp\":99999999999999999999999999"),
		CLAIMS("x", "node", "\"iat\":1700000000,\"exp\":\"1700003600\""),
		CLAIMS("x", "root", GOOD_TIMES),
		CLAIMS("x", "", GOOD_TIMES),
		CLAIMS("", "node", GOOD_TIMES),
		CLAIMS("a b", "node", GOOD_TIMES),
		CLAIMS("a\\u0041", "node", GOOD_TIMES),
		CLAIMS("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "node",
		       GOOD_TIMES),
		CLAIMS("x", "node", GOOD_TIMES) "{}",
		"{\"iss\":\"other\",\"aud\":\"boson-rest\",\"sub\":\"x\",\"role\":"
		"\"node\"," GOOD_TIMES "}",
		"{\"iss\":\"boson\",\"aud\":\"other\",\"sub\":\"x\",\"role\":\"node\"," GOOD_TIMES
		"}",
		"",
		"{}",
	};

	(void)state;
	assert_int_equal(
		verify_at(sign_parts(good_header, CLAIMS("x", "node", GOOD_TIMES)), NOW_MS), 0);
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		assert_int_equal(verify_at(sign_parts(good_header, claims[i]), NOW_MS), -EACCES);
}

static void
test_r69_a_token_lives_from_issue_to_expiry_with_30_s_leeway(void **state)
{
	(void)state;
	assert_int_equal(verify_at(vector_token, NOW_MS - 30000), 0);
	assert_int_equal(verify_at(vector_token, NOW_MS - 30001), -ETIME);
	assert_int_equal(verify_at(vector_token, NOW_MS + 3600000 + 29999), 0);
	assert_int_equal(verify_at(vector_token, NOW_MS + 3600000 + 30000), -ETIME);
}

static void
test_every_changed_character_is_noticed(void **state)
{
	char text[TOKEN_TEXT_MAX_BYTES];

	(void)state;
	strcpy(text, vector_token);
	for (size_t i = 0; text[i]; i++) {
		char was = text[i];

		text[i] = was == 'x' ? 'y' : 'x';
		assert_int_equal(verify_at(text, NOW_MS), -EACCES);
		text[i] = was;
	}
}

static void
test_texts_of_another_shape_are_refused(void **state)
{
	char text[TOKEN_TEXT_MAX_BYTES + 64];
	struct token token;
	size_t n = strlen(vector_token);

	(void)state;
	for (size_t keep = 0; keep < n; keep++)
		assert_int_equal(token_verify(&keys, vector_token, keep, NOW_MS, &token), -EACCES);
	memset(text, 'A', sizeof(text));
	assert_int_equal(token_verify(&keys, text, sizeof(text), NOW_MS, &token), -EACCES);
	memset(text, '.', sizeof(text));
	assert_int_equal(token_verify(&keys, text, 300, NOW_MS, &token), -EACCES);
	assert_int_equal(token_verify(&keys, "", 0, NOW_MS, &token), -EACCES);
}

/* F35: during a rotation both keys verify and the first signs. */
static void
test_f35_both_keys_verify_and_the_first_signs(void **state)
{
	struct token_keys rotated, after;
	char text[TOKEN_TEXT_MAX_BYTES];
	struct token token;

	(void)state;
	token_keys_init(&rotated, other_secret, secret);
	token_keys_init(&after, other_secret, NULL);
	assert_int_equal(token_verify(&rotated, vector_token, strlen(vector_token), NOW_MS, &token),
			 0);
	assert_int_equal(token_verify(&after, vector_token, strlen(vector_token), NOW_MS, &token),
			 -EACCES);
	assert_int_equal(token_mint(&rotated, &sample, text), 0);
	assert_int_equal(token_verify(&after, text, strlen(text), NOW_MS, &token), 0);
	assert_int_equal(verify_at(text, NOW_MS), -EACCES);
}

static void
test_no_token_is_minted_that_would_not_verify(void **state)
{
	struct token token = sample;
	char text[TOKEN_TEXT_MAX_BYTES];

	(void)state;
	token.expires_at_ms = NOW_MS + TOKEN_LIFETIME_MAX_MS + INT64_C(1);
	assert_int_equal(token_mint(&keys, &token, text), -EINVAL);
	token = sample;
	strcpy(token.subject, "a\"b");
	assert_int_equal(token_mint(&keys, &token, text), -EINVAL);
	token = sample;
	memset(token.subject, 'a', sizeof(token.subject));
	assert_int_equal(token_mint(&keys, &token, text), -EINVAL);
	token = sample;
	token.subject[0] = '\0';
	assert_int_equal(token_mint(&keys, &token, text), -EINVAL);
	token = sample;
	token.role = (enum token_role)9;
	assert_int_equal(token_mint(&keys, &token, text), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_documented_vector_is_minted_and_accepted),
		cmocka_unit_test(test_each_role_keeps_its_name),
		cmocka_unit_test(test_our_own_signature_helper_signs_as_the_mint_does),
		cmocka_unit_test(test_r67_any_other_header_is_refused),
		cmocka_unit_test(test_r71_a_kid_that_is_a_path_or_another_key_is_refused),
		cmocka_unit_test(test_r69_claims_of_another_form_are_refused),
		cmocka_unit_test(test_r69_a_token_lives_from_issue_to_expiry_with_30_s_leeway),
		cmocka_unit_test(test_every_changed_character_is_noticed),
		cmocka_unit_test(test_texts_of_another_shape_are_refused),
		cmocka_unit_test(test_f35_both_keys_verify_and_the_first_signs),
		cmocka_unit_test(test_no_token_is_minted_that_would_not_verify),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
