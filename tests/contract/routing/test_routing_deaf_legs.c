/*
 * routing: nodes that take sessions and drop what is sent to them (T04), with a real relay and real
 * legs: of the node nothing else is there.
 */
#include "leg/leg_frame.h"
#include "leg_talk.h"
#include "loop/clock.h"
#include "relay_fixture.h"
#include "route_rig.h"
#include "service/service_bus.h"
#include "wg/datagram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum {
	COMPLAINTS = 3, /* as many as are too many */
	ROUTES_AFTER = 3,
	NEARLY_FULL = 12, /* of the 16 that a node bears that did not say */
	INITIATION_BYTES = 148,
	RESPONSE_BYTES = 92,
	PACKETS = 64,
	PACKET_BYTES = 112, /* of which WireGuard carries 80 */
};

static struct route_rig rig;
static struct enrolment_node deaf, good;
static struct relay_fixture relay;

RIG_CLOSURE(on_located, Boson__Routing__LocateNodeReply)

static int
setup(void **state)
{
	Boson__Common__Relay message = BOSON__COMMON__RELAY__INIT;

	*state = &rig;
	route_rig_start(&rig, "[discovery]\nenrolment = open\n[routing]\nanswer_timeout = 5s\n");
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
teardown(void **state)
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
	rig_call_assert_served(&call);
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
	uint64_t up, down, data_up;
};

static void
on_flows(const Boson__Relay__ListFlowsReply *reply, void *arg)
{
	struct counted *counted = arg;

	counted->is_done = true;
	counted->up = reply == NULL ? 0 : reply->leg_bytes_up;
	counted->down = reply == NULL ? 0 : reply->leg_bytes_down;
	counted->data_up = reply == NULL ? 0 : reply->leg_data_up;
}

/* Until the relay has counted so much. */
static void
wait_counted(struct route_rig_answer *answer, const struct counted *least)
{
	Boson__Relay__ListFlowsRequest request = BOSON__RELAY__LIST_FLOWS_REQUEST__INIT;
	int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;
	struct counted counted;

	request.session_id = answer->session_id;
	do {
		assert_true(clock_monotonic_ms() < deadline_ms);
		counted = (struct counted){ 0 };
		boson__relay__relay__list_flows(bus_peer_service(relay.relay), &request, on_flows,
						&counted);
		relay_fixture_wait(&relay, &counted.is_done);
	} while (counted.up < least->up || counted.down < least->down ||
		 counted.data_up < least->data_up);
	assert_int_equal(counted.down, least->down);
	assert_int_equal(counted.data_up, least->data_up);
}

/* A WireGuard message of this type by its outside; channel 0: a client's. */
static void
say(struct raw_leg *leg, uint32_t channel, uint8_t type, size_t n)
{
	uint8_t message[2 * INITIATION_BYTES];
	size_t header = channel == 0 ? 1 : 5, whole;

	whole = leg_talk_message(message, channel, 1, n);
	message[header + LEG_DATAGRAM_HEADER_BYTES] = type;
	assert_true(raw_leg_send(leg, 0x82, message, whole));
}

/* Sends something that nobody answers; done when the relay has counted it. */
static void
knock(struct raw_leg *node, struct raw_leg *client, struct route_rig_answer *answer)
{
	(void)node;
	say(client, 0, DATAGRAM_INITIATION, INITIATION_BYTES);
	wait_counted(answer, &(struct counted){ .up = INITIATION_BYTES });
}

/* A handshake, and packets that nobody answers. */
static void
talk_to_a_wall(struct raw_leg *node, struct raw_leg *client, struct route_rig_answer *answer)
{
	static uint8_t message[PACKETS * 2 * PACKET_BYTES];
	Boson__Link__Control *opened = next_control(node, BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN);
	size_t n = leg_talk_message(message, 0, PACKETS, PACKET_BYTES);

	say(client, 0, DATAGRAM_INITIATION, INITIATION_BYTES);
	say(node, opened->channel_open->channel, DATAGRAM_RESPONSE, RESPONSE_BYTES);
	assert_true(raw_leg_send(client, 0x82, message, n));
	boson__link__control__free_unpacked(opened, NULL);
	wait_counted(answer,
		     &(struct counted){ .up = INITIATION_BYTES + PACKETS * PACKET_BYTES,
					.down = RESPONSE_BYTES,
					.data_up = PACKETS * (PACKET_BYTES - DATAGRAM_MIN_BYTES) });
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

/* Three clients fail in this way, and are heard. */
static void
complain_of(void (*wait_in_vain)(struct raw_leg *node, struct raw_leg *client,
				 struct route_rig_answer *answer))
{
	struct raw_leg *black_hole = add_leg(&deaf), *node = add_leg(&good), *client;
	uint8_t session_id[UUID_BYTES];
	struct route_rig_client who;
	struct route_rig_answer first, moved;
	struct rig_call call;

	for (int i = 0; i < COMPLAINTS; i++) {
		ask_for(&who, deaf.id_text, black_hole, &first);
		client = open_client_leg(&first);
		wait_in_vain(black_hole, client, &first);
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

static void
test_a_real_legs_black_hole_loses_its_clients_and_gets_no_more_T04(void **state)
{
	(void)state;
	complain_of(knock);
}

static void
test_so_does_one_that_answers_handshakes_and_drops_the_rest_T04(void **state)
{
	(void)state;
	complain_of(talk_to_a_wall);
}

#define WITH_LEGS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_LEGS(test_a_real_legs_black_hole_loses_its_clients_and_gets_no_more_T04),
		WITH_LEGS(test_so_does_one_that_answers_handshakes_and_drops_the_rest_T04),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
