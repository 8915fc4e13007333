/*
 * The relay's mailbox: sessions that are opened and closed at a node, which is the far end of a leg
 * that speaks the leg protocol.
 */
#include "bus_rig.h"
#include "leg_talk.h"
#include "raw_leg.h"

#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
on_opened(const Boson__Relay__OpenSessionReply *reply, void *arg)
{
	struct bus_rig_call *call = arg;

	if (reply == NULL)
		return bus_rig_note_failure(call);
	call->is_done = call->is_ok = true;
	call->result = (int)reply->opened->result;
	if (reply->opened->address4 != NULL)
		snprintf(call->address4, sizeof(call->address4), "%s", reply->opened->address4);
}

static void
on_empty(const Boson__Common__Empty *reply, void *arg)
{
	struct bus_rig_call *call = arg;

	if (reply == NULL)
		return bus_rig_note_failure(call);
	call->is_done = call->is_ok = true;
}

static void
open_session(struct bus_rig_call *call, char *node, char *session, uint32_t timeout_ms)
{
	Boson__Relay__OpenSessionRequest request = BOSON__RELAY__OPEN_SESSION_REQUEST__INIT;
	Boson__Link__SessionOpen open = BOSON__LINK__SESSION_OPEN__INIT;

	open.session_id = session;
	open.client_id = session;
	open.client_public_key = (char *)"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
	open.has_expires_at = 1;
	open.expires_at = INT64_C(4102444800000);
	request.node_id = node;
	request.session = &open;
	bus_peer_next(bus_rig.relay.relay, timeout_ms, NULL);
	boson__relay__relay__open_session(bus_peer_service(bus_rig.relay.relay), &request,
					  on_opened, call);
}

/* The control actor hears of a leg a moment after the leg itself. */
static void
await_leg(const char *node)
{
	int64_t end_ms = clock_monotonic_ms() + 10 * 1000;
	bool is_found = false;

	while (!is_found) {
		struct bus_rig_call call;

		assert_true(clock_monotonic_ms() < end_ms);
		bus_rig_list_legs(&call);
		for (size_t i = 0; i < call.legs->n_legs; i++)
			is_found = is_found || strcmp(call.legs->legs[i]->node_id, node) == 0;
		boson__relay__list_legs_reply__free_unpacked(call.legs, NULL);
	}
}

/* ---- the node's part ---- */

static uint64_t
expect_open(struct raw_leg *node)
{
	Boson__Link__Control *control = leg_talk_control(node);

	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_SESSION_OPEN);
	assert_string_equal(control->session_open->session_id, bus_rig.session_text);
	assert_string_equal(control->session_open->client_public_key,
			    "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=");
	assert_true(control->session_open->has_expires_at);
	uint64_t id = control->session_open->request_id;
	boson__link__control__free_unpacked(control, NULL);
	return id;
}

static void
answer_open(struct raw_leg *node, uint64_t id)
{
	Boson__Link__SessionOpened opened = BOSON__LINK__SESSION_OPENED__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;

	opened.has_request_id = 1;
	opened.request_id = id;
	opened.session_id = bus_rig.session_text;
	opened.has_result = 1;
	opened.result = BOSON__LINK__SESSION_OPENED__RESULT__OK;
	opened.address4 = (char *)"10.90.0.7";
	control.body_case = BOSON__LINK__CONTROL__BODY_SESSION_OPENED;
	control.session_opened = &opened;
	leg_talk_send_control(node, &control);
}

/* ---- tests ---- */

static void
test_open_session_is_answered_by_the_node(void **state)
{
	struct raw_leg *node = raw_leg_open(&bus_rig.relay, node_id, NULL);
	struct bus_rig_call call = { 0 };

	(void)state;
	await_leg(bus_rig.node_text);
	open_session(&call, bus_rig.node_text, bus_rig.session_text, 5000);
	bus_rig_spin();
	uint64_t id = expect_open(node);
	answer_open(node, id + 1); /* of another call: nobody's */
	answer_open(node, id);
	relay_fixture_wait(&bus_rig.relay, &call.is_done);
	assert_true(call.is_ok);
	assert_int_equal(call.result, BOSON__LINK__SESSION_OPENED__RESULT__OK);
	assert_string_equal(call.address4, "10.90.0.7");
	answer_open(node, id); /* twice: nothing happens */
	bus_rig_spin();
	raw_leg_close(&node);
}

static void
test_open_session_fails_without_the_nodes_leg(void **state)
{
	struct bus_rig_call call = { 0 };

	(void)state;
	open_session(&call, bus_rig.node_text, bus_rig.session_text, 5000);
	relay_fixture_wait(&bus_rig.relay, &call.is_done);
	assert_false(call.is_ok);
	assert_int_equal(call.status, BUS_UNAVAILABLE);
	assert_string_equal(call.code, "node_not_attached");
}

static void
test_open_session_fails_when_the_leg_goes_meanwhile(void **state)
{
	struct raw_leg *node = raw_leg_open(&bus_rig.relay, node_id, NULL);
	struct bus_rig_call call = { 0 };

	(void)state;
	await_leg(bus_rig.node_text);
	open_session(&call, bus_rig.node_text, bus_rig.session_text, 20000);
	bus_rig_spin();
	expect_open(node);
	raw_leg_close(&node);
	relay_fixture_wait(&bus_rig.relay, &call.is_done);
	assert_int_equal(call.status, BUS_UNAVAILABLE);
}

static void
test_open_session_fails_when_the_node_is_silent(void **state)
{
	struct raw_leg *node = raw_leg_open(&bus_rig.relay, node_id, NULL);
	struct bus_rig_call call = { 0 };

	(void)state;
	await_leg(bus_rig.node_text);
	open_session(&call, bus_rig.node_text, bus_rig.session_text, 300);
	relay_fixture_wait(&bus_rig.relay, &call.is_done);
	assert_false(call.is_ok);
	assert_true(call.status == BUS_UNAVAILABLE || call.status == BUS_DEADLINE);
	raw_leg_close(&node);
}

static void
test_an_answer_of_another_node_is_not_taken(void **state)
{
	struct raw_leg *node = raw_leg_open(&bus_rig.relay, node_id, NULL);
	struct raw_leg *other = raw_leg_open(&bus_rig.relay, other_id, NULL);
	struct bus_rig_call call = { 0 };

	(void)state;
	await_leg(bus_rig.node_text);
	open_session(&call, bus_rig.node_text, bus_rig.session_text, 5000);
	bus_rig_spin();
	uint64_t id = expect_open(node);
	answer_open(other, id);
	relay_fixture_await(&bus_rig.relay, "control_total{way=\"in\"}", 1);
	bus_rig_spin();
	assert_false(call.is_done);
	answer_open(node, id);
	relay_fixture_wait(&bus_rig.relay, &call.is_done);
	assert_true(call.is_ok);
	raw_leg_close(&other);
	raw_leg_close(&node);
}

static void
test_a_malformed_request_names_its_field(void **state)
{
	struct bus_rig_call call = { 0 };

	(void)state;
	open_session(&call, (char *)"no uuid", bus_rig.session_text, 5000);
	relay_fixture_wait(&bus_rig.relay, &call.is_done);
	assert_int_equal(call.status, BUS_INVALID);
	assert_string_equal(call.field, "nodeId");
	memset(&call, 0, sizeof(call));
	open_session(&call, bus_rig.node_text, (char *)"", 5000);
	relay_fixture_wait(&bus_rig.relay, &call.is_done);
	assert_string_equal(call.field, "session.sessionId");
}

static void
test_close_session_tells_the_node_and_closes_the_client(void **state)
{
	Boson__Relay__CloseSessionRequest request = BOSON__RELAY__CLOSE_SESSION_REQUEST__INIT;
	struct raw_leg *node = raw_leg_open(&bus_rig.relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&bus_rig.relay, node_id, session_id);
	struct bus_rig_call call = { 0 };

	(void)state;
	leg_talk_channel(node, session_id);
	request.node_id = bus_rig.node_text;
	request.session_id = bus_rig.session_text;
	request.reason = (char *)"asked for";
	boson__relay__relay__close_session(bus_peer_service(bus_rig.relay.relay), &request,
					   on_empty, &call);
	relay_fixture_wait(&bus_rig.relay, &call.is_done);
	assert_true(call.is_ok);
	Boson__Link__Control *control = leg_talk_control(node);
	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_SESSION_CLOSE);
	assert_string_equal(control->session_close->session_id, bus_rig.session_text);
	assert_string_equal(control->session_close->reason, "asked for");
	boson__link__control__free_unpacked(control, NULL);
	assert_int_equal(raw_leg_close_code(client), 4404);
	raw_leg_close(&client);
	raw_leg_close(&node);
}

/* It was closed at the node that it had; the tickets for another one are good. */
static void
test_session_that_moved_to_another_node_is_not_closed_there(void **state)
{
	Boson__Relay__CloseSessionRequest request = BOSON__RELAY__CLOSE_SESSION_REQUEST__INIT;
	struct raw_leg *other = raw_leg_open(&bus_rig.relay, other_id, NULL);
	struct bus_rig_call call = { 0 };

	(void)state;
	request.node_id = bus_rig.node_text;
	request.session_id = bus_rig.session_text;
	boson__relay__relay__close_session(bus_peer_service(bus_rig.relay.relay), &request,
					   on_empty, &call);
	relay_fixture_wait(&bus_rig.relay, &call.is_done);
	assert_true(call.is_ok);
	struct raw_leg *client = raw_leg_open(&bus_rig.relay, other_id, session_id);
	leg_talk_exchange(other, client, leg_talk_channel(other, session_id));
	raw_leg_close(&client);
	assert_int_equal(raw_leg_ask(&bus_rig.relay, node_id, session_id), 404);
	raw_leg_close(&other);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, bus_rig_set_up, bus_rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open_session_is_answered_by_the_node),
		TEST(test_open_session_fails_without_the_nodes_leg),
		TEST(test_open_session_fails_when_the_leg_goes_meanwhile),
		TEST(test_open_session_fails_when_the_node_is_silent),
		TEST(test_an_answer_of_another_node_is_not_taken),
		TEST(test_a_malformed_request_names_its_field),
		TEST(test_close_session_tells_the_node_and_closes_the_client),
		TEST(test_session_that_moved_to_another_node_is_not_closed_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
