/*
 * Enrolment by approval: who is not known waits until an operator says yes (T02). A real discovery,
 * a real bus, a real store.
 */
#include "identity_bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t body[32] = { 9 };

RIG_CLOSURE(on_list, Boson__Discovery__ListEnrolmentsReply)
RIG_CLOSURE(on_decided, Boson__Discovery__Enrolment)

#define DECISION(word) BOSON__DISCOVERY__DECIDE_ENROLMENT_REQUEST__DECISION__##word

static int
setup(void **state)
{
	(void)state;
	return identity_bus_start("approval");
}

/* subject: of the access key shown, or NULL. What came of it is in call. */
static void
ask(const struct enrolment_node *node, const char *subject, struct rig_call *call)
{
	char proof[PROOF_HEADER_MAX_BYTES];

	enrolment_prove(&rig, discovery, node, body, proof);
	rig_call_init(call, &rig, discovery);
	enrolment_send(call, node, proof, body, subject);
	rig_call_wait(call);
}

static void
ask_fails(const struct enrolment_node *node, enum bus_status status, const char *code,
	  uint32_t retry_after_sec)
{
	struct rig_call call;

	ask(node, NULL, &call);
	assert_null(call.reply);
	assert_int_equal(call.result.status, status);
	assert_string_equal(call.result.code, code);
	assert_int_equal(call.result.retry_after_sec, retry_after_sec);
	rig_call_fini(&call);
}

static void
ask_succeeds(const struct enrolment_node *node, const char *subject, bool created)
{
	struct rig_call call;

	ask(node, subject, &call);
	assert_non_null(call.reply);
	assert_int_equal(((const Boson__Discovery__RegisterReply *)call.reply)->created, created);
	rig_call_fini(&call);
}

/* How many wait; *ret_has: this one among them. */
static size_t
list(const char *state, const char *id, bool *ret_has)
{
	Boson__Discovery__ListEnrolmentsRequest request =
		BOSON__DISCOVERY__LIST_ENROLMENTS_REQUEST__INIT;
	char cursor[32] = "";
	size_t total = 0;
	bool more = true;

	*ret_has = false;
	while (more) {
		const Boson__Discovery__ListEnrolmentsReply *reply;
		struct rig_call call;

		request.has_limit = 1;
		request.limit = 2;
		request.state = (char *)(uintptr_t)state;
		request.cursor = cursor[0] != '\0' ? cursor : NULL;
		rig_call_init(&call, &rig, discovery);
		boson__discovery__discovery__list_enrolments(bus_peer_service(discovery), &request,
							     on_list, &call);
		rig_call_wait(&call);
		assert_non_null(call.reply);
		reply = (const Boson__Discovery__ListEnrolmentsReply *)call.reply;
		assert_true(reply->n_enrolments <= 2);
		for (size_t i = 0; i < reply->n_enrolments; i++)
			*ret_has |= strcmp(reply->enrolments[i]->node_id, id) == 0;
		total += reply->n_enrolments;
		more = reply->next_cursor != NULL;
		if (more)
			snprintf(cursor, sizeof(cursor), "%s", reply->next_cursor);
		rig_call_fini(&call);
	}
	return total;
}

static void
decide(const char *id, Boson__Discovery__DecideEnrolmentRequest__Decision decision,
       const char *code)
{
	Boson__Discovery__DecideEnrolmentRequest request =
		BOSON__DISCOVERY__DECIDE_ENROLMENT_REQUEST__INIT;
	struct rig_call call;

	request.node_id = (char *)(uintptr_t)id;
	request.has_decision = 1;
	request.decision = decision;
	rig_call_init(&call, &rig, discovery);
	boson__discovery__discovery__decide_enrolment(bus_peer_service(discovery), &request,
						      on_decided, &call);
	rig_call_wait(&call);
	if (code != NULL) {
		assert_null(call.reply);
		assert_string_equal(call.result.code, code);
	} else {
		assert_non_null(call.reply);
	}
	rig_call_fini(&call);
}

static void
test_a_new_node_waits_until_it_is_approved(void **state)
{
	struct enrolment_node node;
	bool has;

	(void)state;
	enrolment_node_init(&node);
	ask_fails(&node, BUS_FORBIDDEN, "awaiting_approval", 60);
	ask_fails(&node, BUS_FORBIDDEN, "awaiting_approval", 60);
	assert_int_equal(list(NULL, node.id_text, &has), 1);
	assert_true(has);
	decide(node.id_text, DECISION(approve), NULL);
	assert_int_equal(list(NULL, node.id_text, &has), 0);
	assert_int_equal(list("approved", node.id_text, &has), 1);
	ask_succeeds(&node, NULL, true);
	assert_int_equal(list("approved", node.id_text, &has), 0);
	ask_succeeds(&node, NULL, false);
}

static void
test_who_waits_and_who_was_approved_outlive_a_kill(void **state)
{
	struct enrolment_node waiting, approved;
	bool has;

	(void)state;
	enrolment_node_init(&waiting);
	enrolment_node_init(&approved);
	ask_fails(&waiting, BUS_FORBIDDEN, "awaiting_approval", 60);
	ask_fails(&approved, BUS_FORBIDDEN, "awaiting_approval", 60);
	decide(approved.id_text, DECISION(approve), NULL);
	identity_bus_restart();
	assert_int_equal(list("pending", waiting.id_text, &has), 1);
	assert_true(has);
	ask_succeeds(&approved, NULL, true);
}

static void
test_a_refused_node_hears_so_until_it_is_forgotten(void **state)
{
	struct enrolment_node node;
	bool has;

	(void)state;
	enrolment_node_init(&node);
	ask_fails(&node, BUS_FORBIDDEN, "awaiting_approval", 60);
	decide(node.id_text, DECISION(refuse), NULL);
	ask_fails(&node, BUS_FORBIDDEN, "enrolment_refused", 3600);
	assert_int_equal(list("refused", node.id_text, &has), 1);
	decide(node.id_text, DECISION(forget), NULL);
	ask_fails(&node, BUS_FORBIDDEN, "awaiting_approval", 60);
	decide(node.id_text, DECISION(approve), NULL);
	ask_succeeds(&node, NULL, true);
}

static void
test_a_node_access_key_is_approval_enough(void **state)
{
	struct enrolment_node node;
	bool has;

	(void)state;
	enrolment_node_init(&node);
	ask_succeeds(&node, "enrol", true);
	assert_int_equal(list(NULL, node.id_text, &has), 0);
}

/* Approval is of the key that asked. */
static void
test_the_id_of_a_waiting_node_is_not_for_another_key(void **state)
{
	struct enrolment_node node, other;

	(void)state;
	enrolment_node_init(&node);
	enrolment_node_init(&other);
	memcpy(other.id, node.id, sizeof(other.id));
	memcpy(other.id_text, node.id_text, sizeof(other.id_text));
	ask_fails(&node, BUS_FORBIDDEN, "awaiting_approval", 60);
	ask_fails(&other, BUS_CONFLICT, "identity_in_use", 0);
	decide(node.id_text, DECISION(approve), NULL);
	ask_fails(&other, BUS_CONFLICT, "identity_in_use", 0);
	ask_succeeds(&node, NULL, true);
}

static void
test_nobody_waits_without_a_good_proof(void **state)
{
	struct enrolment_node node;
	struct rig_call call;
	bool has;

	(void)state;
	enrolment_node_init(&node);
	rig_call_init(&call, &rig, discovery);
	enrolment_send(&call, &node, "v1 forged", body, NULL);
	rig_call_wait(&call);
	assert_null(call.reply);
	assert_string_equal(call.result.code, "challenge");
	rig_call_fini(&call);
	assert_int_equal(list(NULL, node.id_text, &has), 0);
}

static void
test_who_waits_is_shown_a_page_at_a_time(void **state)
{
	enum { WAITING = 5 };
	struct enrolment_node nodes[WAITING];

	(void)state;
	for (size_t i = 0; i < WAITING; i++) {
		enrolment_node_init(&nodes[i]);
		ask_fails(&nodes[i], BUS_FORBIDDEN, "awaiting_approval", 60);
	}
	for (size_t i = 0; i < WAITING; i++) {
		bool has;

		assert_int_equal(list(NULL, nodes[i].id_text, &has), WAITING);
		assert_true(has);
	}
}

static void
test_a_decision_about_nobody_is_refused(void **state)
{
	struct enrolment_node node;

	(void)state;
	enrolment_node_init(&node);
	decide(node.id_text, DECISION(approve), "enrolment_unknown");
	decide(node.id_text, DECISION(forget), "enrolment_unknown");
	decide("no-uuid", DECISION(approve), "field");
}

int
main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, identity_bus_stop)
	const struct CMUnitTest tests[] = {
		ROW(test_a_new_node_waits_until_it_is_approved),
		ROW(test_who_waits_and_who_was_approved_outlive_a_kill),
		ROW(test_a_refused_node_hears_so_until_it_is_forgotten),
		ROW(test_a_node_access_key_is_approval_enough),
		ROW(test_the_id_of_a_waiting_node_is_not_for_another_key),
		ROW(test_nobody_waits_without_a_good_proof),
		ROW(test_who_waits_is_shown_a_page_at_a_time),
		ROW(test_a_decision_about_nobody_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
