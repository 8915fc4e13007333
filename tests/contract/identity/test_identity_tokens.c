/*
 * Who may what, through the whole API, by session tokens and proofs: deletion, a change of keys,
 * refusals that tell nothing, enrolment by approval (T01, T02, T06, T08, P01, P02, P03). Real
 * services as processes; run by with_servers, on PostgreSQL.
 */
#include "identity_api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SECRETS_MIN = 20 };

/* P02, P03, T06: at once where it was deleted, everywhere within a second. */
static void
test_a_deleted_nodes_token_is_refused_everywhere(void **state)
{
	struct rig_node node;
	char path[128], metrics[256];

	(void)state;
	rig_node_enrol(&rig, &node);
	secrets_add(node.bearer + 7);
	snprintf(path, sizeof(path), "/api/v1/nodes/%s", node.id_text);
	snprintf(metrics, sizeof(metrics), "/api/v1/metrics/%s/latest", node.id_text);
	assert_int_equal(api_ask("GET", path, node.bearer, NULL)->status, 200);
	assert_int_equal(api_ask("GET", metrics, node.bearer, NULL)->status, 404);
	(void)api_bosonctl(0, WORDS("nodes", "delete", node.id_text));
	api_wait_for_status(path, node.bearer, 401);
	api_assert_refused(api_ask("GET", metrics, node.bearer, NULL), 401, "token");
	api_assert_refused(api_ask("GET", "/api/v1/turn/ice", node.bearer, NULL), 401, "token");

	/* Enrolled again at once, its new token is good at once. */
	const struct rig_answer *answer =
		rig_node_register(&rig, &node, rig_bearer(&rig, "node.key"), "");
	assert_int_equal(answer->status, 201);
	snprintf(node.bearer, sizeof(node.bearer), "Bearer %s", rig_member(answer, "sessionToken"));
	secrets_add(node.bearer + 7);
	assert_int_equal(api_ask("GET", path, node.bearer, NULL)->status, 200);
}

static const struct rig_answer *
rotate(const struct rig_node *new, const struct rig_node *old)
{
	char json[RIG_TEXT_BYTES], first[RIG_TEXT_BYTES], second[RIG_TEXT_BYTES];
	char both[2 * RIG_TEXT_BYTES];
	struct proof_challenge challenge;

	snprintf(json, sizeof(json), "{\"nodeId\":\"%s\",\"publicKey\":\"%s\"}", new->id_text,
		 new->key_text);
	rig_node_challenge(&rig, new, &challenge);
	rig_node_proof(new, &challenge, json, first);
	rig_node_challenge(&rig, old, &challenge);
	rig_node_proof(old, &challenge, json, second);
	first[strcspn(first, "\r")] = '\0';
	snprintf(both, sizeof(both), "%s, %s", first, second + strlen("Higgs-Proof: "));
	secrets_add(first + strlen("Higgs-Proof: "));
	return rig_request(&rig, "POST", "/api/v1/nodes/register", NULL, both, json);
}

static void
test_a_node_changes_its_key_and_its_older_tokens_are_void(void **state)
{
	struct rig_node old, new;
	char path[128], bearer[RIG_TEXT_BYTES];
	const struct rig_answer *answer;

	(void)state;
	rig_node_enrol(&rig, &old);
	secrets_add(old.bearer + 7);
	new = old;
	assert_int_equal(key_generate(&new.private_key), 0);
	assert_int_equal(key_public(&new.private_key, &new.public_key), 0);
	key_format(&new.public_key, new.key_text);
	snprintf(path, sizeof(path), "/api/v1/nodes/%s", old.id_text);

	api_assert_refused(rig_node_register(&rig, &new, rig_bearer(&rig, "admin.key"), ""), 409,
			   "identity_in_use");
	answer = rotate(&new, &old);
	assert_int_equal(answer->status, 200);
	snprintf(bearer, sizeof(bearer), "Bearer %s", rig_member(answer, "sessionToken"));
	secrets_add(bearer + 7);
	secrets_add(rig_member(answer, "relayTicket"));
	answer = api_ask("GET", path, bearer, NULL);
	assert_int_equal(answer->status, 200);
	assert_string_equal(rig_member(answer, "publicKey"), new.key_text);
	api_wait_for_status(path, old.bearer, 401);
	api_assert_refused(rig_node_register(&rig, &old, NULL, ""), 409, "identity_in_use");
	assert_int_equal(rig_node_register(&rig, &new, NULL, "")->status, 200);
}

/* T01, T07: one body for all, but for the request's id. */
static void
test_refusals_of_proofs_are_alike_to_the_letter(void **state)
{
	struct rig_node known, wrong, unknown;
	struct proof_challenge challenge;
	char json[RIG_TEXT_BYTES], header[RIG_TEXT_BYTES], first[RIG_TEXT_BYTES];
	const struct rig_answer *answer;

	(void)state;
	rig_node_enrol(&rig, &known);
	wrong = known;
	assert_int_equal(key_generate(&wrong.private_key), 0);
	rig_node_make(&unknown);
	answer = rig_node_register(&rig, &wrong, NULL, "");
	api_assert_refused(answer, 401, "challenge");
	size_t n = (size_t)(strstr(answer->body, "\"requestId\"") - answer->body);
	assert_true(n < sizeof(first));
	memcpy(first, answer->body, n);
	first[n] = '\0';

	snprintf(json, sizeof(json), "{\"nodeId\":\"%s\",\"publicKey\":\"%s\"}", unknown.id_text,
		 unknown.key_text);
	rig_node_challenge(&rig, &known, &challenge); /* another's cookie */
	rig_node_proof(&unknown, &challenge, json, header);
	answer = rig_request(&rig, "POST", "/api/v1/nodes/register", NULL, header, json);
	assert_memory_equal(answer->body, first, strlen(first));
	answer = rig_request(&rig, "POST", "/api/v1/nodes/register", NULL,
			     "Higgs-Proof: v1 stale\r\n", json);
	assert_memory_equal(answer->body, first, strlen(first));
	answer = rig_request(&rig, "POST", "/api/v1/nodes/register", NULL, NULL, json);
	assert_memory_equal(answer->body, first, strlen(first));
	answer = rotate(&unknown, &wrong);
	assert_memory_equal(answer->body, first, strlen(first));
}

/* ---- approval ---- */

static void
test_a_node_that_waits_is_told_how_long_and_approved_by_bosonctl(void **state)
{
	struct rig_node node, refused;
	const struct rig_answer *answer;

	(void)state;
	rig_node_make(&node);
	rig_node_make(&refused);
	for (int i = 0; i < 2; i++) {
		answer = rig_node_register(&rig, &node, NULL, "");
		api_assert_refused(answer, 403, "awaiting_approval");
		assert_string_equal(rig_header(answer, "Retry-After"), "60");
	}
	assert_int_equal(rig_node_register(&rig, &refused, NULL, "")->status, 403);
	assert_non_null(strstr(api_bosonctl(0, WORDS("nodes", "pending")), node.id_text));
	(void)api_bosonctl(0, WORDS("nodes", "approve", node.id_text));
	(void)api_bosonctl(0, WORDS("nodes", "refuse", refused.id_text));
	assert_int_equal(rig_node_register(&rig, &node, NULL, "")->status, 201);
	api_assert_refused(rig_node_register(&rig, &refused, NULL, ""), 403, "enrolment_refused");
	assert_non_null(strstr(api_bosonctl(0, WORDS("nodes", "list", "--status", "online")),
			       node.id_text));
	assert_non_null(
		strstr(api_bosonctl(0, WORDS("nodes", "show", node.id_text)), node.key_text));
	assert_string_equal(api_bosonctl(0, WORDS("nodes", "pending")), "");
}

/* ---- all of it, on one fleet; then approval, on one of its own ---- */

static int
change_policy(void **state)
{
	(void)state;
	return api_start("approval");
}

static int
end_first(void **state)
{
	(void)state;
	return api_stop();
}

static int
end(void **state)
{
	(void)state;
	return api_end(SECRETS_MIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_deleted_nodes_token_is_refused_everywhere),
		cmocka_unit_test(test_a_node_changes_its_key_and_its_older_tokens_are_void),
		cmocka_unit_test(test_refusals_of_proofs_are_alike_to_the_letter),
	};
	const struct CMUnitTest approval[] = {
		cmocka_unit_test(test_a_node_that_waits_is_told_how_long_and_approved_by_bosonctl),
	};
	int failed = cmocka_run_group_tests(tests, api_begin, end_first);

	return failed +
	       cmocka_run_group_tests_name("no_secret_is_in_any_log", approval, change_policy, end);
}
