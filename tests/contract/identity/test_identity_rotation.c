/*
 * A node changes its WireGuard key: by both keys, and by nothing less (T01, T06, T07, P01). A real
 * discovery, a real bus, a real store.
 */
#include "identity_bus.h"
#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { HEADER_BYTES = 2 * PROOF_HEADER_MAX_BYTES + 4 };

static const uint8_t body[32] = { 7 };

RIG_CLOSURE(on_revocations, Boson__Discovery__ListRevocationsReply)
RIG_CLOSURE(on_empty, Boson__Common__Empty)

static int
setup(void **state)
{
	(void)state;
	return identity_bus_start("open");
}

/* The same node with another key. */
static struct enrolment_node
with_new_key(const struct enrolment_node *node)
{
	struct enrolment_node other = *node;

	assert_int_equal(key_generate(&other.private_key), 0);
	assert_int_equal(key_public(&other.private_key, &other.public_key), 0);
	key_format(&other.public_key, other.public_text);
	return other;
}

static void
prove_both(const struct enrolment_node *new, const struct enrolment_node *old,
	   char header[HEADER_BYTES])
{
	char first[PROOF_HEADER_MAX_BYTES], second[PROOF_HEADER_MAX_BYTES];

	enrolment_prove(&rig, discovery, new, body, first);
	enrolment_prove(&rig, discovery, old, body, second);
	snprintf(header, HEADER_BYTES, "%s, %s", first, second);
}

/* NULL code: it must succeed. The time from which tokens count, in *ret_since, unless NULL. */
static void
register_by(const struct enrolment_node *node, const char *header, enum bus_status status,
	    const char *code, int64_t *ret_since)
{
	struct rig_call call;

	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, node, header, body, NULL);
	rig_call_wait(&call);
	if (code == NULL) {
		const Boson__Discovery__RegisterReply *reply =
			(const Boson__Discovery__RegisterReply *)call.reply;

		assert_non_null(reply);
		assert_false(reply->created);
		if (ret_since != NULL)
			*ret_since = reply->tokens_since;
	} else {
		assert_null(call.reply);
		assert_int_equal(call.result.status, status);
		assert_string_equal(call.result.code, code);
		assert_string_equal(call.result.field, status != BUS_CONFLICT ? ""
						       : strcmp(code, "key_in_use") == 0
							       ? "publicKey"
							       : "nodeId");
	}
	rig_call_fini(&call);
}

static void
enrol(struct enrolment_node *node)
{
	struct rig_call call;

	enrolment_node_init(node);
	rig_call_init(&call, &rig, discovery);
	enrolment_run(&call, node);
	assert_non_null(call.reply);
	rig_call_fini(&call);
}

static void
test_a_node_that_proves_both_keys_has_the_new_one_from_then_on(void **state)
{
	struct enrolment_node old, new;
	char header[HEADER_BYTES];
	int64_t since, before = clock_wall_ms();

	(void)state;
	enrol(&old);
	new = with_new_key(&old);
	prove_both(&new, &old, header);
	register_by(&new, header, BUS_OK, NULL, &since);
	assert_true(since > before && since <= clock_wall_ms() + 1000);

	enrolment_prove(&rig, discovery, &new, body, header);
	register_by(&new, header, BUS_OK, NULL, NULL);
	enrolment_prove(&rig, discovery, &old, body, header);
	register_by(&old, header, BUS_CONFLICT, "identity_in_use", NULL);
}

/* It is on disk when it is answered. */
static void
test_a_change_of_keys_outlives_a_kill(void **state)
{
	struct enrolment_node old, new;
	char header[HEADER_BYTES];

	(void)state;
	enrol(&old);
	new = with_new_key(&old);
	prove_both(&new, &old, header);
	register_by(&new, header, BUS_OK, NULL, NULL);
	identity_bus_restart();
	enrolment_prove(&rig, discovery, &new, body, header);
	register_by(&new, header, BUS_OK, NULL, NULL);
	enrolment_prove(&rig, discovery, &old, body, header);
	register_by(&old, header, BUS_CONFLICT, "identity_in_use", NULL);
}

/* The answer to the first got lost: the node asks again, and the old key is history. */
static void
test_a_change_of_keys_that_is_asked_for_again_succeeds_again(void **state)
{
	struct enrolment_node old, new;
	char header[HEADER_BYTES];

	(void)state;
	enrol(&old);
	new = with_new_key(&old);
	prove_both(&new, &old, header);
	register_by(&new, header, BUS_OK, NULL, NULL);
	register_by(&new, header, BUS_UNAUTHENTICATED, "challenge",
		    NULL); /* not by the same proofs */
	prove_both(&new, &old, header);
	register_by(&new, header, BUS_OK, NULL, NULL);
}

static void
test_one_key_alone_changes_nothing(void **state)
{
	struct enrolment_node old, new, stranger;
	char header[HEADER_BYTES], by_new[PROOF_HEADER_MAX_BYTES], by_old[PROOF_HEADER_MAX_BYTES];

	(void)state;
	enrol(&old);
	new = with_new_key(&old);
	stranger = with_new_key(&old);

	enrolment_prove(&rig, discovery, &new, body, header);
	register_by(&new, header, BUS_CONFLICT, "identity_in_use", NULL);
	enrolment_prove(&rig, discovery, &old, body, header);
	register_by(&new, header, BUS_UNAUTHENTICATED, "challenge", NULL);
	prove_both(&new, &stranger, header);
	register_by(&new, header, BUS_UNAUTHENTICATED, "challenge", NULL);
	prove_both(&stranger, &old, header);
	register_by(&new, header, BUS_UNAUTHENTICATED, "challenge", NULL);
	prove_both(&old, &new, header);
	register_by(&new, header, BUS_UNAUTHENTICATED, "challenge", NULL);
	enrolment_prove(&rig, discovery, &new, body, by_new);
	snprintf(header, sizeof(header), "%s, %s", by_new, by_new);
	register_by(&new, header, BUS_UNAUTHENTICATED, "challenge", NULL);
	enrolment_prove(&rig, discovery, &new, body, by_new);
	enrolment_prove(&rig, discovery, &old, body, by_old);
	snprintf(header, sizeof(header), "%s,%s", by_new, by_old);
	register_by(&new, header, BUS_UNAUTHENTICATED, "challenge", NULL);
	snprintf(header, sizeof(header), "%s, ", by_new);
	register_by(&new, header, BUS_UNAUTHENTICATED, "challenge", NULL);

	enrolment_prove(&rig, discovery, &old, body, header);
	register_by(&old, header, BUS_OK, NULL, NULL);
}

/* Whatever is wrong with a proof, and whoever is asked about. */
static void
test_wrong_key_and_unknown_node_are_refused_alike(void **state)
{
	struct enrolment_node known, unknown, other;
	char header[HEADER_BYTES];

	(void)state;
	enrol(&known);
	enrolment_node_init(&unknown);
	other = with_new_key(&unknown);
	prove_both(&unknown, &other, header);
	register_by(&unknown, header, BUS_UNAUTHENTICATED, "challenge", NULL);
	enrolment_prove(&rig, discovery, &other, body, header);
	register_by(&unknown, header, BUS_UNAUTHENTICATED, "challenge", NULL);
	other = with_new_key(&known);
	enrolment_prove(&rig, discovery, &other, body, header);
	register_by(&known, header, BUS_UNAUTHENTICATED, "challenge", NULL);
	register_by(&known, "v1 stale", BUS_UNAUTHENTICATED, "challenge", NULL);
	register_by(&unknown, "v1 stale", BUS_UNAUTHENTICATED, "challenge", NULL);
}

static void
test_a_key_that_another_node_has_is_not_taken(void **state)
{
	struct enrolment_node first, second, both;
	char header[HEADER_BYTES];

	(void)state;
	enrol(&first);
	enrol(&second);
	both = second;
	memcpy(both.id, first.id, sizeof(both.id));
	memcpy(both.id_text, first.id_text, sizeof(both.id_text));
	prove_both(&both, &first, header);
	register_by(&both, header, BUS_CONFLICT, "key_in_use", NULL);
}

/* A deleted node stays deleted by its key, whichever it brings. */
static void
test_a_deleted_node_may_come_back_with_another_key_by_both(void **state)
{
	Boson__Discovery__DeleteNodeRequest request = BOSON__DISCOVERY__DELETE_NODE_REQUEST__INIT;
	Boson__Common__Caller caller = rig_caller(BOSON__COMMON__CALLER__ROLE__ADMIN, NULL);
	struct enrolment_node old, new;
	char header[HEADER_BYTES];
	struct rig_call call;

	(void)state;
	enrol(&old);
	request.node_id = old.id_text;
	request.caller = &caller;
	rig_call_init(&call, &rig, discovery);
	boson__discovery__discovery__delete_node(bus_peer_service(discovery), &request, on_empty,
						 &call);
	rig_call_wait(&call);
	assert_non_null(call.reply);
	rig_call_fini(&call);

	new = with_new_key(&old);
	enrolment_prove(&rig, discovery, &new, body, header);
	register_by(&new, header, BUS_CONFLICT, "identity_in_use", NULL);
	prove_both(&new, &old, header);
	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, &new, header, body, NULL);
	rig_call_wait(&call);
	assert_non_null(call.reply);
	assert_true(((const Boson__Discovery__RegisterReply *)call.reply)->created);
	rig_call_fini(&call);
}

static size_t
count_revocations(int64_t since, const char *id)
{
	Boson__Discovery__ListRevocationsRequest request =
		BOSON__DISCOVERY__LIST_REVOCATIONS_REQUEST__INIT;
	const Boson__Discovery__ListRevocationsReply *reply;
	struct rig_call call;
	size_t found = 0;

	request.has_since = 1;
	request.since = since;
	rig_call_init(&call, &rig, discovery);
	boson__discovery__discovery__list_revocations(bus_peer_service(discovery), &request,
						      on_revocations, &call);
	rig_call_wait(&call);
	assert_non_null(call.reply);
	reply = (const Boson__Discovery__ListRevocationsReply *)call.reply;
	for (size_t i = 0; i < reply->n_revocations; i++)
		found += strcmp(reply->revocations[i]->node_id, id) == 0;
	assert_null(reply->next_cursor);
	rig_call_fini(&call);
	return found;
}

/* What a gateway asks that starts after the fact, and after discovery has started anew. */
static void
test_whose_tokens_are_void_can_be_asked_later(void **state)
{
	struct enrolment_node old, new, calm;
	char header[HEADER_BYTES];
	int64_t since;

	(void)state;
	enrol(&calm);
	enrol(&old);
	assert_int_equal(count_revocations(0, old.id_text), 0);
	new = with_new_key(&old);
	prove_both(&new, &old, header);
	register_by(&new, header, BUS_OK, NULL, &since);
	for (int start = 0; start < 2; start++) {
		assert_int_equal(count_revocations(0, old.id_text), 1);
		assert_int_equal(count_revocations(since - 1, old.id_text), 1);
		assert_int_equal(count_revocations(since, old.id_text), 0);
		assert_int_equal(count_revocations(0, calm.id_text), 0);
		if (start == 0)
			identity_bus_restart();
	}
}

int
main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, identity_bus_stop)
	const struct CMUnitTest tests[] = {
		ROW(test_a_node_that_proves_both_keys_has_the_new_one_from_then_on),
		ROW(test_a_change_of_keys_outlives_a_kill),
		ROW(test_a_change_of_keys_that_is_asked_for_again_succeeds_again),
		ROW(test_one_key_alone_changes_nothing),
		ROW(test_wrong_key_and_unknown_node_are_refused_alike),
		ROW(test_a_key_that_another_node_has_is_not_taken),
		ROW(test_a_deleted_node_may_come_back_with_another_key_by_both),
		ROW(test_whose_tokens_are_void_can_be_asked_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
