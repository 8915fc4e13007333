/*
 * Proof of possession: T01, P01 (a key replaced without proof), R51 to R55, T07. The vector is the
 * one of docs/protocol.md, "Proof"; it was computed by another implementation.
 */
#include "identity/mac.h"
#include "identity/proof.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char vector_node[] = "0f1e2d3c-4b5a-4697-8877-665544332211";
static const char vector_private[] = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=";
static const char vector_ephemeral[] = "We9bVCMyYrNlYSbpPJ3KU6mwgJ87LOAYgE3vTNE6Szs=";
static const char vector_nonce[] = "YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8=";
static const char vector_cookie[] = "AAABi8/mUmBvaFT1+QY3pa4fh0pQoYvlHjgImdN3//8d4XbJ775DMg==";
static const char vector_body[] = "{\"nodeId\":\"0f1e2d3c-4b5a-4697-8877-665544332211\"}";
static const char vector_header[] = "v1 YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8"
				    ".AAABi8_mUmBvaFT1-QY3pa4fh0pQoYvlHjgImdN3__8d4XbJ775DMg"
				    ".rezIorJlkLkrJe9tBvInLlPPf6kVdzyi7-sszGRV4MM";
#define VECTOR_NOW_MS INT64_C(1700000000000)

/* Everything a proof is about, right unless a test makes one thing wrong. */
struct scene {
	uint8_t fleet[32];
	uint8_t node_id[UUID_BYTES];
	struct key private_key, public_key;
	const char *role;
	uint8_t digest[32];
	int64_t now_ms;
	uint8_t nonce[PROOF_NONCE_BYTES];
	struct proof_challenge challenge;
	char header[PROOF_HEADER_MAX_BYTES];
};

static int
verify(struct scene *s)
{
	return proof_verify(s->fleet, s->header, s->node_id, &s->public_key, s->role, s->digest,
			    s->now_ms, s->nonce);
}

static void
scene_fields(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < 32; i++)
		s->fleet[i] = (uint8_t)i;
	assert_int_equal(uuid_parse(vector_node, s->node_id), 0);
	assert_int_equal(key_parse(vector_private, &s->private_key), 0);
	assert_int_equal(key_public(&s->private_key, &s->public_key), 0);
	assert_int_equal(mac_sha256(vector_body, strlen(vector_body), s->digest), 0);
	s->role = "node";
	s->now_ms = VECTOR_NOW_MS;
}

static void
scene_prove(struct scene *s)
{
	assert_int_equal(proof_challenge_make(s->fleet, s->node_id, &s->public_key, s->role,
					      s->now_ms, &s->challenge),
			 0);
	assert_int_equal(proof_make(&s->challenge, &s->private_key, s->node_id, s->role, s->digest,
				    s->header),
			 0);
}

static void
scene_init(struct scene *s)
{
	scene_fields(s);
	scene_prove(s);
}

static void
test_the_documented_vector_is_made(void **state)
{
	struct scene s;
	struct proof_challenge challenge = { .expires_at_ms = VECTOR_NOW_MS + 60000 };

	(void)state;
	scene_fields(&s);
	assert_int_equal(key_parse(vector_ephemeral, &challenge.ephemeral_public), 0);
	assert_int_equal(base64_decode(vector_nonce, challenge.nonce, 32), 32);
	assert_int_equal(base64_decode(vector_cookie, challenge.cookie, 40), 40);
	assert_int_equal(
		proof_make(&challenge, &s.private_key, s.node_id, s.role, s.digest, s.header), 0);
	assert_string_equal(s.header, vector_header);
}

static void
test_the_documented_vector_is_accepted(void **state)
{
	struct scene s;
	uint8_t nonce[32];

	(void)state;
	scene_fields(&s);
	strcpy(s.header, vector_header);
	assert_int_equal(verify(&s), 0);
	assert_int_equal(base64_decode(vector_nonce, nonce, 32), 32);
	assert_memory_equal(s.nonce, nonce, 32);
	/* The server's half: the ephemeral key of that time slot. */
	assert_int_equal(proof_challenge_make(s.fleet, s.node_id, &s.public_key, s.role, s.now_ms,
					      &s.challenge),
			 0);
	assert_int_equal(key_parse(vector_ephemeral, &s.private_key), 0);
	assert_true(key_is_equal(&s.challenge.ephemeral_public, &s.private_key));
}

static void
test_a_proof_of_the_key_is_accepted(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	assert_int_equal(verify(&s), 0);
	assert_memory_equal(s.nonce, s.challenge.nonce, PROOF_NONCE_BYTES);
}

static void
test_no_two_challenges_share_a_nonce(void **state)
{
	struct scene a, b;

	(void)state;
	scene_init(&a);
	scene_init(&b);
	assert_memory_not_equal(a.challenge.nonce, b.challenge.nonce, PROOF_NONCE_BYTES);
	assert_memory_equal(&a.challenge.ephemeral_public, &b.challenge.ephemeral_public,
			    KEY_BYTES);
}

/* P01, T01: whoever knows a node's id and public key still cannot prove the key. */
static void
test_p01_a_proof_by_another_private_key_is_refused(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	assert_int_equal(key_generate(&s.private_key), 0);
	assert_int_equal(
		proof_make(&s.challenge, &s.private_key, s.node_id, s.role, s.digest, s.header), 0);
	assert_int_equal(verify(&s), -EACCES);
}

/* R49's neighbour: a challenge for one key does not serve another. */
static void
test_t01_a_challenge_for_another_key_is_refused(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	assert_int_equal(key_generate(&s.private_key), 0);
	assert_int_equal(key_public(&s.private_key, &s.public_key), 0);
	assert_int_equal(
		proof_make(&s.challenge, &s.private_key, s.node_id, s.role, s.digest, s.header), 0);
	assert_int_equal(verify(&s), -EACCES);
}

static void
test_r51_without_a_challenge_there_is_no_proof(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	for (int i = 8; i < PROOF_COOKIE_BYTES; i++)
		s.challenge.cookie[i] ^= 0x5a;
	assert_int_equal(
		proof_make(&s.challenge, &s.private_key, s.node_id, s.role, s.digest, s.header), 0);
	assert_int_equal(verify(&s), -EACCES);
}

static void
test_r53_a_challenge_older_than_60_s_is_refused(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	s.now_ms = VECTOR_NOW_MS + PROOF_LIFETIME_MS - 1;
	assert_int_equal(verify(&s), 0);
	s.now_ms = VECTOR_NOW_MS + PROOF_LIFETIME_MS;
	assert_int_equal(verify(&s), -EACCES);
}

/* A replica whose clock is behind takes it, one that is far off does not. */
static void
test_a_challenge_from_the_future_is_refused_beyond_the_skew(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	s.now_ms = VECTOR_NOW_MS - PROOF_SKEW_MS;
	assert_int_equal(verify(&s), 0);
	s.now_ms = VECTOR_NOW_MS - PROOF_SKEW_MS - 1;
	assert_int_equal(verify(&s), -EACCES);
}

static void
test_r53_the_expiry_in_the_cookie_cannot_be_moved(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	s.challenge.cookie[7] ^= 1;
	assert_int_equal(
		proof_make(&s.challenge, &s.private_key, s.node_id, s.role, s.digest, s.header), 0);
	assert_int_equal(verify(&s), -EACCES);
}

static void
test_r55_a_proof_for_another_node_is_refused(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	s.node_id[15] ^= 1;
	assert_int_equal(verify(&s), -EACCES);
}

static void
test_r55_a_proof_for_another_role_is_refused(void **state)
{
	static const char *const others[] = { "client", "nodes", "nod", "", "Node" };
	struct scene s;

	(void)state;
	scene_init(&s);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		s.role = others[i];
		assert_int_equal(verify(&s), -EACCES);
	}
}

static void
test_r55_a_proof_for_another_body_is_refused(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	s.digest[0] ^= 1;
	assert_int_equal(verify(&s), -EACCES);
}

static void
test_a_proof_for_another_fleet_is_refused(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	s.fleet[31] ^= 1;
	assert_int_equal(verify(&s), -EACCES);
}

static void
test_every_changed_character_of_the_header_is_noticed(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	for (size_t i = 0; s.header[i]; i++) {
		char was = s.header[i];

		s.header[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(verify(&s), -EACCES);
		s.header[i] = was;
	}
	assert_int_equal(verify(&s), 0);
}

static void
test_headers_of_another_shape_are_refused(void **state)
{
	struct scene s, good;
	size_t n;

	(void)state;
	scene_init(&good);
	n = strlen(good.header);
	for (size_t keep = 0; keep < n; keep++) {
		s = good;
		s.header[keep] = '\0';
		assert_int_equal(verify(&s), -EACCES);
	}
	s = good;
	strcat(s.header, " ");
	assert_int_equal(verify(&s), -EACCES);
	s = good;
	s.header[1] = '2';
	assert_int_equal(verify(&s), -EACCES);
}

static void
test_the_answer_is_not_touched_when_refused(void **state)
{
	struct scene s;
	uint8_t before[PROOF_NONCE_BYTES];

	(void)state;
	scene_init(&s);
	memset(s.nonce, 0xa5, sizeof(s.nonce));
	memcpy(before, s.nonce, sizeof(before));
	s.digest[0] ^= 1;
	assert_int_equal(verify(&s), -EACCES);
	assert_memory_equal(s.nonce, before, sizeof(before));
}

/* T01: a public key of low order gives a secret that anybody knows. */
static void
test_t01_a_key_of_low_order_proves_nothing(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	memset(&s.public_key, 0, sizeof(s.public_key));
	assert_int_equal(proof_challenge_make(s.fleet, s.node_id, &s.public_key, s.role, s.now_ms,
					      &s.challenge),
			 0);
	assert_int_equal(
		proof_make(&s.challenge, &s.private_key, s.node_id, s.role, s.digest, s.header), 0);
	assert_int_equal(verify(&s), -EACCES);
	memset(&s.challenge.ephemeral_public, 0, KEY_BYTES);
	assert_int_equal(
		proof_make(&s.challenge, &s.private_key, s.node_id, s.role, s.digest, s.header),
		-EINVAL);
}

static void
test_a_challenge_survives_its_text_and_no_other_text_is_one(void **state)
{
	struct proof_challenge read = { 0 };
	struct proof_challenge_text text;
	struct scene s;

	(void)state;
	scene_init(&s);
	proof_challenge_format(&s.challenge, &text);
	assert_int_equal(
		proof_challenge_parse(text.ephemeral_public, text.nonce, text.cookie, &read), 0);
	assert_true(key_is_equal(&read.ephemeral_public, &s.challenge.ephemeral_public));
	assert_memory_equal(read.nonce, s.challenge.nonce, sizeof(read.nonce));
	assert_memory_equal(read.cookie, s.challenge.cookie, sizeof(read.cookie));
	assert_int_equal(proof_challenge_parse(NULL, text.nonce, text.cookie, &read), -EINVAL);
	assert_int_equal(proof_challenge_parse(text.nonce, text.nonce, text.nonce, &read), -EINVAL);
	assert_int_equal(proof_challenge_parse(text.nonce, text.cookie, text.cookie, &read),
			 -EINVAL);
	text.cookie[0] = '!';
	assert_int_equal(proof_challenge_parse(text.nonce, text.nonce, text.cookie, &read),
			 -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_documented_vector_is_made),
		cmocka_unit_test(test_the_documented_vector_is_accepted),
		cmocka_unit_test(test_a_proof_of_the_key_is_accepted),
		cmocka_unit_test(test_no_two_challenges_share_a_nonce),
		cmocka_unit_test(test_p01_a_proof_by_another_private_key_is_refused),
		cmocka_unit_test(test_t01_a_challenge_for_another_key_is_refused),
		cmocka_unit_test(test_r51_without_a_challenge_there_is_no_proof),
		cmocka_unit_test(test_r53_a_challenge_older_than_60_s_is_refused),
		cmocka_unit_test(test_a_challenge_from_the_future_is_refused_beyond_the_skew),
		cmocka_unit_test(test_r53_the_expiry_in_the_cookie_cannot_be_moved),
		cmocka_unit_test(test_r55_a_proof_for_another_node_is_refused),
		cmocka_unit_test(test_r55_a_proof_for_another_role_is_refused),
		cmocka_unit_test(test_r55_a_proof_for_another_body_is_refused),
		cmocka_unit_test(test_a_proof_for_another_fleet_is_refused),
		cmocka_unit_test(test_every_changed_character_of_the_header_is_noticed),
		cmocka_unit_test(test_headers_of_another_shape_are_refused),
		cmocka_unit_test(test_the_answer_is_not_touched_when_refused),
		cmocka_unit_test(test_t01_a_key_of_low_order_proves_nothing),
		cmocka_unit_test(test_a_challenge_survives_its_text_and_no_other_text_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
