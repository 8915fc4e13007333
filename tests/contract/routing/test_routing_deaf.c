/*
 * routing: nodes that take sessions and drop what is sent to them (T04), as relays count it and as
 * clients say. At the end with a real relay and real legs; else the relay's counters are the
 * test's.
 */
#include "leg/leg_frame.h"
#include "leg_talk.h"
#include "loop/clock.h"
#include "relay_fixture.h"
#include "route_rig.h"
#include "service/service_bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
	COMPLAINTS = 3, /* as many as are too many */
	ROUTES_AFTER = 3,
	NEARLY_FULL = 12, /* of the 16 that a node bears that did not say */
	INITIATION_BYTES = 160,
};

static struct route_rig rig;
static struct enrolment_node deaf, good;
static struct relay_mailbox_leg *deaf_leg, *good_leg;

static int
setup(void **state)
{
	*state = &rig;
	route_rig_start(&rig, "[discovery]\nenrolment = open\n[routing]\ndeaf_after = 50ms\n"
			      "answer_timeout = 5s\n");
	return 0;
}

static void
connect_client(struct route_rig_client *client, const char *target, struct route_rig_answer *ret)
{
	route_rig_client_init(client);
	route_rig_connect(&rig, client, target, ret);
}

static void
complain(const struct route_rig_client *client, const struct route_rig_answer *of,
	 struct route_rig_answer *ret)
{
	struct rig_call call;

	route_rig_complain_begin(&rig, &call, client, of->session_id, of->node_id);
	route_rig_take(&call, ret);
}

/* Both nodes, the deaf one known to routing for sure. */
static void
add_both(void)
{
	struct route_rig_client client;
	struct route_rig_answer answer;

	deaf_leg = route_rig_add_node(&rig, &deaf, RELAY_NODE_OPENS);
	good_leg = route_rig_add_node(&rig, &good, RELAY_NODE_OPENS);
	deaf_leg->bytes_up = good_leg->bytes_up = 3 * INITIATION_BYTES;
	good_leg->bytes_down = INITIATION_BYTES;
	connect_client(&client, deaf.id_text, &answer);
	connect_client(&client, good.id_text, &answer);
}

/* How many of some new clients routing sends to the deaf one. */
static unsigned int
sent_to_the_deaf_one(void)
{
	unsigned int before = deaf_leg->opened;

	for (int i = 0; i < ROUTES_AFTER; i++) {
		struct route_rig_client client;
		struct route_rig_answer answer;

		connect_client(&client, NULL, &answer);
	}
	return deaf_leg->opened - before;
}

/* The good one is nearly full: one that is not known to be deaf is the better choice. */
static void
fill_the_good_one(void)
{
	struct route_rig_client client;
	struct route_rig_answer answer;

	while (good_leg->opened < NEARLY_FULL)
		connect_client(&client, good.id_text, &answer);
}

static void
test_a_client_whose_node_is_deaf_gets_its_session_at_another_T04(void **state)
{
	struct route_rig_answer first, moved, again;
	struct route_rig_client client;
	struct rig_call call;
	unsigned int closed;

	(void)state;
	add_both();
	connect_client(&client, deaf.id_text, &first);
	closed = deaf_leg->closed;
	complain(&client, &first, &moved);
	assert_string_equal(moved.session_id, first.session_id);
	assert_string_equal(moved.node_id, good.id_text);
	/* The same again, as after a lost answer: it has moved, and stays. */
	complain(&client, &first, &again);
	assert_string_equal(again.session_id, first.session_id);
	assert_string_equal(again.node_id, good.id_text);
	assert_int_equal(deaf_leg->closed, closed + 1);
	/* A word about another's session moves nothing. */
	route_rig_client_init(&client);
	route_rig_complain_begin(&rig, &call, &client, first.session_id, good.id_text);
	rig_call_wait(&call);
	assert_int_equal(call.result.status, BUS_NOT_FOUND);
	assert_string_equal(call.result.code, "session_unknown");
	rig_call_fini(&call);
}

static void
test_without_another_node_a_deaf_one_is_no_route_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer first, again;
	struct rig_call call;

	(void)state;
	(void)route_rig_add_node(&rig, &deaf, RELAY_NODE_OPENS);
	connect_client(&client, NULL, &first);
	route_rig_complain_begin(&rig, &call, &client, first.session_id, first.node_id);
	rig_call_wait(&call);
	assert_int_equal(call.result.status, BUS_UNAVAILABLE);
	assert_string_equal(call.result.code, "no_node_available");
	rig_call_fini(&call);
	route_rig_request(&rig, &call, &client, NULL, NULL, first.session_id);
	route_rig_take(&call, &again);
	assert_string_equal(again.session_id, first.session_id);
}

static void
test_three_clients_that_a_relay_bears_out_close_a_node_to_others_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer first, moved;

	(void)state;
	add_both();
	for (int i = 0; i < COMPLAINTS; i++) {
		connect_client(&client, deaf.id_text, &first);
		complain(&client, &first, &moved);
	}
	fill_the_good_one();
	assert_int_equal(sent_to_the_deaf_one(), 0);
	connect_client(&client, deaf.id_text, &first); /* who wants just this one may */
	assert_string_equal(first.node_id, deaf.id_text);
}

static void
test_clients_that_no_relay_bears_out_close_no_node_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer first, moved;

	(void)state;
	add_both();
	deaf_leg->bytes_down = INITIATION_BYTES; /* it has answered */
	for (int i = 0; i < COMPLAINTS; i++) {
		connect_client(&client, deaf.id_text, &first);
		complain(&client, &first, &moved);
	}
	fill_the_good_one();
	assert_true(sent_to_the_deaf_one() > 0);
}

static void
test_a_client_that_complains_again_and_again_counts_once_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer first, moved;
	struct rig_call call;

	(void)state;
	add_both();
	route_rig_client_init(&client);
	for (int i = 0; i < COMPLAINTS; i++) {
		route_rig_request(&rig, &call, &client, deaf.id_text, NULL, NULL);
		route_rig_take(&call, &first);
		assert_string_equal(first.node_id, deaf.id_text);
		complain(&client, &first, &moved);
		assert_string_equal(moved.node_id, good.id_text);
	}
	fill_the_good_one();
	assert_true(sent_to_the_deaf_one() > 0);
}

static bool
was_looked_at(void *arg)
{
	return deaf_leg->looked_at >= *(const unsigned int *)arg;
}

/* Stock apps say nothing: routing looks itself, twice, because an answer may be on its way. */
static void
test_a_deaf_node_is_found_without_a_complaint_T04(void **state)
{
	struct route_rig_client client;
	struct route_rig_answer answer;
	unsigned int looks;

	(void)state;
	add_both(); /* and one client at each */
	for (int i = 1; i < COMPLAINTS; i++)
		connect_client(&client, deaf.id_text, &answer);
	looks = 2 * COMPLAINTS;
	rig_wait(&rig.rig, was_looked_at, &looks, "two looks at each session");
	fill_the_good_one();
	assert_int_equal(sent_to_the_deaf_one(), 0);
	assert_int_equal(deaf_leg->looked_at, looks);
}

/* ---- a real relay, real legs ---- */

static struct relay_fixture relay;

RIG_CLOSURE(on_located, Boson__Routing__LocateNodeReply)

static int
setup_real(void **state)
{
	Boson__Common__Relay message = BOSON__COMMON__RELAY__INIT;

	(void)setup(state);
	relay_fixture_start(&relay, false, "");
	message.id = "real";
	message.group = "default";
	message.relay_endpoint = "wss://relay.example";
	message.bus_endpoint = (char *)(uintptr_t)service_bus_endpoint(relay.endpoints, "relay");
	message.event_endpoint =
		(char *)(uintptr_t)service_bus_event_endpoint(relay.endpoints, "relay");
	route_rig_announce_other(&rig, &message);
	return 0;
}

static int
teardown_real(void **state)
{
	relay_fixture_stop(&relay);
	return route_rig_teardown(state);
}

static bool
is_located(void *arg)
{
	Boson__Routing__LocateNodeRequest request = BOSON__ROUTING__LOCATE_NODE_REQUEST__INIT;
	struct rig_call call;
	bool is_there;

	request.node_id = arg;
	rig_call_init(&call, &rig.rig, rig.routing);
	boson__routing__routing__locate_node(bus_peer_service(rig.routing), &request, on_located,
					     &call);
	rig_call_wait(&call);
	is_there = call.reply != NULL;
	rig_call_fini(&call);
	return is_there;
}

/* A node of which only the leg is real. */
static struct raw_leg *
add_leg(struct enrolment_node *node)
{
	uint8_t id[UUID_BYTES];
	struct raw_leg *leg;
	struct rig_call call;

	enrolment_node_init(node);
	rig_call_init(&call, &rig.rig, rig.discovery);
	enrolment_run(&call, node);
	assert_non_null(call.reply);
	rig_call_fini(&call);
	assert_int_equal(uuid_parse(node->id_text, id), 0);
	leg = raw_leg_open(&relay, id, NULL);
	rig_wait(&rig.rig, is_located, node->id_text, "routing has heard of the leg");
	return leg;
}

/* The next message of this kind; what else comes is passed over. */
static Boson__Link__Control *
next_control(struct raw_leg *leg, Boson__Link__Control__BodyCase kind)
{
	struct raw_frame frame;

	for (;;) {
		Boson__Link__Control *control;

		assert_true(raw_leg_receive(leg, &frame));
		if (frame.n < 1 || frame.payload[0] != LEG_KIND_CONTROL)
			continue;
		control = boson__link__control__unpack(NULL, frame.n - 1, frame.payload + 1);
		assert_non_null(control);
		if (control->body_case == kind)
			return control;
		boson__link__control__free_unpacked(control, NULL);
	}
}

/* The node takes the session that is being asked for. */
static void
accept_session(struct raw_leg *leg)
{
	Boson__Link__Control *asked = next_control(leg, BOSON__LINK__CONTROL__BODY_SESSION_OPEN);
	Boson__Link__SessionOpened opened = BOSON__LINK__SESSION_OPENED__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;

	opened.has_request_id = opened.has_result = 1;
	opened.request_id = asked->session_open->request_id;
	opened.session_id = asked->session_open->session_id;
	opened.result = BOSON__LINK__SESSION_OPENED__RESULT__OK;
	opened.address4 = "10.90.0.2";
	control.body_case = BOSON__LINK__CONTROL__BODY_SESSION_OPENED;
	control.session_opened = &opened;
	leg_talk_send_control(leg, &control);
	boson__link__control__free_unpacked(asked, NULL);
}

static struct raw_leg *
open_client_leg(const struct route_rig_answer *answer)
{
	uint8_t node_id[UUID_BYTES], session_id[UUID_BYTES];

	assert_int_equal(uuid_parse(answer->node_id, node_id), 0);
	assert_int_equal(uuid_parse(answer->session_id, session_id), 0);
	return raw_leg_open(&relay, node_id, session_id);
}

struct counted {
	bool is_done;
	uint64_t up;
};

static void
on_flows(const Boson__Relay__ListFlowsReply *reply, void *arg)
{
	struct counted *counted = arg;

	counted->is_done = true;
	counted->up = reply == NULL ? 0 : reply->leg_bytes_up;
}

/* Sends something that nobody answers; done when the relay has counted it. */
static void
knock(struct raw_leg *client, struct route_rig_answer *answer)
{
	Boson__Relay__ListFlowsRequest request = BOSON__RELAY__LIST_FLOWS_REQUEST__INIT;
	int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;
	uint8_t message[2 * INITIATION_BYTES];
	size_t n = leg_talk_message(message, 0, 1, INITIATION_BYTES);
	struct counted counted;

	assert_true(raw_leg_send(client, 0x82, message, n));
	request.session_id = answer->session_id;
	do {
		assert_true(clock_monotonic_ms() < deadline_ms);
		counted = (struct counted){ 0 };
		boson__relay__relay__list_flows(bus_peer_service(relay.relay), &request, on_flows,
						&counted);
		relay_fixture_wait(&relay, &counted.is_done);
	} while (counted.up == 0);
}

static void
ask_for(struct route_rig_client *client, const char *target, struct raw_leg *node,
	struct route_rig_answer *ret)
{
	struct rig_call call;

	route_rig_client_init(client);
	route_rig_request_begin(&rig, &call, client, target, NULL, NULL);
	accept_session(node);
	route_rig_take(&call, ret);
}

static void
test_a_real_legs_black_hole_loses_its_clients_and_gets_no_more_T04(void **state)
{
	struct raw_leg *black_hole = add_leg(&deaf), *node = add_leg(&good), *client;
	uint8_t session_id[UUID_BYTES];
	struct route_rig_client who;
	struct route_rig_answer first, moved;
	struct rig_call call;

	(void)state;
	for (int i = 0; i < COMPLAINTS; i++) {
		ask_for(&who, deaf.id_text, black_hole, &first);
		client = open_client_leg(&first);
		knock(client, &first);
		route_rig_complain_begin(&rig, &call, &who, first.session_id, first.node_id);
		accept_session(node);
		route_rig_take(&call, &moved);
		assert_string_equal(moved.session_id, first.session_id);
		assert_string_equal(moved.node_id, good.id_text);
		boson__link__control__free_unpacked(
			next_control(black_hole, BOSON__LINK__CONTROL__BODY_SESSION_CLOSE), NULL);
		raw_leg_close(&client);
	}
	client = open_client_leg(&moved);
	assert_int_equal(uuid_parse(moved.session_id, session_id), 0);
	leg_talk_exchange(node, client, leg_talk_channel(node, session_id));
	raw_leg_close(&client);
	for (int i = COMPLAINTS; i < NEARLY_FULL; i++)
		ask_for(&who, good.id_text, node, &first);
	for (int i = 0; i < ROUTES_AFTER; i++)
		ask_for(&who, NULL, node, &first);
	raw_leg_close(&black_hole);
	raw_leg_close(&node);
}

#define IN_A_RIG(test) cmocka_unit_test_setup_teardown(test, setup, route_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_RIG(test_a_client_whose_node_is_deaf_gets_its_session_at_another_T04),
		IN_A_RIG(test_without_another_node_a_deaf_one_is_no_route_T04),
		IN_A_RIG(test_three_clients_that_a_relay_bears_out_close_a_node_to_others_T04),
		IN_A_RIG(test_clients_that_no_relay_bears_out_close_no_node_T04),
		IN_A_RIG(test_a_client_that_complains_again_and_again_counts_once_T04),
		IN_A_RIG(test_a_deaf_node_is_found_without_a_complaint_T04),
		cmocka_unit_test_setup_teardown(
			test_a_real_legs_black_hole_loses_its_clients_and_gets_no_more_T04,
			setup_real, teardown_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
