/*
 * The relay's mailbox and events, with a node at the far end of a leg that speaks the leg protocol.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_fixture.h"

#include "loop/clock.h"
#include "service/service_bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t other_id[UUID_BYTES] = "node-id-00000002";
static const uint8_t session_id[UUID_BYTES] = "session-00000001";

static struct relay_fixture relay;
static char node_text[UUID_TEXT_BYTES], other_text[UUID_TEXT_BYTES], session_text[UUID_TEXT_BYTES];

/* Stands in for discovery: takes announcements, tells of deletions. */
static struct discovery_stand_in {
	Boson__Discovery__Discovery_Service service;
	struct bus_publisher *publisher;
	unsigned announced;
	bool is_announced, is_draining_seen;
	char id[80], url[128], group[32];
} discovery;

static void
on_announce_relay(Boson__Discovery__Discovery_Service *service, const Boson__Common__Relay *input,
		  Boson__Common__Empty_Closure closure, void *closure_data)
{
	Boson__Common__Empty empty = BOSON__COMMON__EMPTY__INIT;

	(void)service;
	discovery.announced++;
	discovery.is_announced = true;
	discovery.is_draining_seen = discovery.is_draining_seen || input->draining;
	snprintf(discovery.id, sizeof(discovery.id), "%s", input->id);
	snprintf(discovery.url, sizeof(discovery.url), "%s", input->relay_endpoint);
	snprintf(discovery.group, sizeof(discovery.group), "%s", input->group);
	closure(&empty, closure_data);
}

static void
on_list_relays(Boson__Discovery__Discovery_Service *service,
	       const Boson__Discovery__ListRelaysRequest *input,
	       Boson__Discovery__ListRelaysReply_Closure closure, void *closure_data)
{
	Boson__Discovery__ListRelaysReply reply = BOSON__DISCOVERY__LIST_RELAYS_REPLY__INIT;

	(void)service;
	(void)input;
	closure(&reply, closure_data);
}

static int
set_up(void **state)
{
	(void)state;
	relay_fixture_start(&relay, false, "region = eu-west\ndrain = 100ms");
	memset(&discovery, 0, sizeof(discovery));
	discovery.service = (Boson__Discovery__Discovery_Service){
		.base = { &boson__discovery__discovery__descriptor,
			  protobuf_c_service_invoke_internal, NULL },
		.announce_relay = on_announce_relay,
		.list_relays = on_list_relays,
	};
	assert_int_equal(bus_publisher_new(relay.bus,
					   service_bus_event_endpoint(relay.endpoints, "discovery"),
					   &discovery.publisher),
			 0);
	assert_int_equal(bus_serve(relay.bus, service_bus_endpoint(relay.endpoints, "discovery"),
				   &discovery.service.base, NULL),
			 0);
	uuid_format(node_id, node_text);
	uuid_format(other_id, other_text);
	uuid_format(session_id, session_text);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	relay_fixture_stop(&relay);
	return 0;
}

/* ---- calls ---- */

struct call {
	bool is_done, is_ok;
	enum bus_status status;
	char code[BUS_CODE_BYTES], field[BUS_FIELD_BYTES];
	char address4[32];
	int result;
	Boson__Relay__ListFlowsReply *flows;
	Boson__Relay__ListLegsReply *legs;
};

static void
note_failure(struct call *call)
{
	const struct bus_result *result = bus_peer_result(relay.relay);

	call->is_done = true;
	call->status = result->status;
	snprintf(call->code, sizeof(call->code), "%s", result->code);
	snprintf(call->field, sizeof(call->field), "%s", result->field);
}

static void
on_opened(const Boson__Relay__OpenSessionReply *reply, void *arg)
{
	struct call *call = arg;

	if (reply == NULL)
		return note_failure(call);
	call->is_done = call->is_ok = true;
	call->result = (int)reply->opened->result;
	if (reply->opened->address4 != NULL)
		snprintf(call->address4, sizeof(call->address4), "%s", reply->opened->address4);
}

static void
on_empty(const Boson__Common__Empty *reply, void *arg)
{
	struct call *call = arg;

	if (reply == NULL)
		return note_failure(call);
	call->is_done = call->is_ok = true;
}

static ProtobufCMessage *
copy(const ProtobufCMessage *message)
{
	static uint8_t packed[BUS_MESSAGE_MAX_BYTES];
	size_t n = protobuf_c_message_pack(message, packed);

	return protobuf_c_message_unpack(message->descriptor, NULL, n, packed);
}

static void
on_flows(const Boson__Relay__ListFlowsReply *reply, void *arg)
{
	struct call *call = arg;

	if (reply == NULL)
		return note_failure(call);
	call->flows = (Boson__Relay__ListFlowsReply *)copy(&reply->base);
	call->is_done = call->is_ok = true;
}

static void
on_legs(const Boson__Relay__ListLegsReply *reply, void *arg)
{
	struct call *call = arg;

	if (reply == NULL)
		return note_failure(call);
	call->legs = (Boson__Relay__ListLegsReply *)copy(&reply->base);
	call->is_done = call->is_ok = true;
}

static void
open_session(struct call *call, char *node, char *session, uint32_t timeout_ms)
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
	bus_peer_next(relay.relay, timeout_ms, NULL);
	boson__relay__relay__open_session(bus_peer_service(relay.relay), &request, on_opened, call);
}

/* Runs the loop a little, so that what was called has left. */
static void
spin(void)
{
	relay_fixture_counter(&relay, "accepted_total");
}

static void
list_legs(struct call *call)
{
	Boson__Relay__ListLegsRequest request = BOSON__RELAY__LIST_LEGS_REQUEST__INIT;

	memset(call, 0, sizeof(*call));
	boson__relay__relay__list_legs(bus_peer_service(relay.relay), &request, on_legs, call);
	relay_fixture_wait(&relay, &call->is_done);
	assert_true(call->is_ok);
}

/* The control actor hears of a leg a moment after the leg itself. */
static void
await_leg(const char *node)
{
	int64_t end_ms = clock_monotonic_ms() + 10 * 1000;
	bool is_found = false;

	while (!is_found) {
		struct call call;

		assert_true(clock_monotonic_ms() < end_ms);
		list_legs(&call);
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
	assert_string_equal(control->session_open->session_id, session_text);
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
	opened.session_id = session_text;
	opened.has_result = 1;
	opened.result = BOSON__LINK__SESSION_OPENED__RESULT__OK;
	opened.address4 = (char *)"10.90.0.7";
	control.body_case = BOSON__LINK__CONTROL__BODY_SESSION_OPENED;
	control.session_opened = &opened;
	leg_talk_send_control(node, &control);
}

static void
report_flows(struct raw_leg *node, uint64_t bytes_up)
{
	Boson__Link__Flow flow = BOSON__LINK__FLOW__INIT, *flows[] = { &flow };
	Boson__Link__FlowReport__Session session = BOSON__LINK__FLOW_REPORT__SESSION__INIT;
	Boson__Link__FlowReport__Session *sessions[] = { &session };
	Boson__Link__FlowReport report = BOSON__LINK__FLOW_REPORT__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;

	flow.has_protocol = 1;
	flow.protocol = 6;
	flow.has_nat_port = 1;
	flow.nat_port = 40123;
	session.session_id = session_text;
	session.has_bytes_up = session.has_bytes_down = session.has_live = 1;
	session.bytes_up = bytes_up;
	session.bytes_down = 9000;
	session.live = 1;
	session.n_flows = 1;
	session.flows = flows;
	report.n_sessions = 1;
	report.sessions = sessions;
	control.body_case = BOSON__LINK__CONTROL__BODY_FLOW_REPORT;
	control.flow_report = &report;
	leg_talk_send_control(node, &control);
}

/* ---- tests ---- */

static void
test_open_session_is_answered_by_the_node(void **state)
{
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct call call = { 0 };

	(void)state;
	await_leg(node_text);
	open_session(&call, node_text, session_text, 5000);
	spin();
	uint64_t id = expect_open(node);
	answer_open(node, id + 1); /* of another call: nobody's */
	answer_open(node, id);
	relay_fixture_wait(&relay, &call.is_done);
	assert_true(call.is_ok);
	assert_int_equal(call.result, BOSON__LINK__SESSION_OPENED__RESULT__OK);
	assert_string_equal(call.address4, "10.90.0.7");
	answer_open(node, id); /* twice: nothing happens */
	spin();
	raw_leg_close(&node);
}

static void
test_open_session_fails_without_the_nodes_leg(void **state)
{
	struct call call = { 0 };

	(void)state;
	open_session(&call, node_text, session_text, 5000);
	relay_fixture_wait(&relay, &call.is_done);
	assert_false(call.is_ok);
	assert_int_equal(call.status, BUS_UNAVAILABLE);
	assert_string_equal(call.code, "node_not_attached");
}

static void
test_open_session_fails_when_the_leg_goes_meanwhile(void **state)
{
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct call call = { 0 };

	(void)state;
	await_leg(node_text);
	open_session(&call, node_text, session_text, 20000);
	spin();
	expect_open(node);
	raw_leg_close(&node);
	relay_fixture_wait(&relay, &call.is_done);
	assert_int_equal(call.status, BUS_UNAVAILABLE);
}

static void
test_open_session_fails_when_the_node_is_silent(void **state)
{
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct call call = { 0 };

	(void)state;
	await_leg(node_text);
	open_session(&call, node_text, session_text, 300);
	relay_fixture_wait(&relay, &call.is_done);
	assert_false(call.is_ok);
	assert_true(call.status == BUS_UNAVAILABLE || call.status == BUS_DEADLINE);
	raw_leg_close(&node);
}

static void
test_an_answer_of_another_node_is_not_taken(void **state)
{
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *other = raw_leg_open(&relay, other_id, NULL);
	struct call call = { 0 };

	(void)state;
	await_leg(node_text);
	open_session(&call, node_text, session_text, 5000);
	spin();
	uint64_t id = expect_open(node);
	answer_open(other, id);
	relay_fixture_await(&relay, "control_total{way=\"in\"}", 1);
	spin();
	assert_false(call.is_done);
	answer_open(node, id);
	relay_fixture_wait(&relay, &call.is_done);
	assert_true(call.is_ok);
	raw_leg_close(&other);
	raw_leg_close(&node);
}

static void
test_a_malformed_request_names_its_field(void **state)
{
	struct call call = { 0 };

	(void)state;
	open_session(&call, (char *)"no uuid", session_text, 5000);
	relay_fixture_wait(&relay, &call.is_done);
	assert_int_equal(call.status, BUS_INVALID);
	assert_string_equal(call.field, "nodeId");
	memset(&call, 0, sizeof(call));
	open_session(&call, node_text, (char *)"", 5000);
	relay_fixture_wait(&relay, &call.is_done);
	assert_string_equal(call.field, "session.sessionId");
}

static void
test_close_session_tells_the_node_and_closes_the_client(void **state)
{
	Boson__Relay__CloseSessionRequest request = BOSON__RELAY__CLOSE_SESSION_REQUEST__INIT;
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session_id);
	struct call call = { 0 };

	(void)state;
	leg_talk_channel(node, session_id);
	request.node_id = node_text;
	request.session_id = session_text;
	request.reason = (char *)"asked for";
	boson__relay__relay__close_session(bus_peer_service(relay.relay), &request, on_empty,
					   &call);
	relay_fixture_wait(&relay, &call.is_done);
	assert_true(call.is_ok);
	Boson__Link__Control *control = leg_talk_control(node);
	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_SESSION_CLOSE);
	assert_string_equal(control->session_close->session_id, session_text);
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
	struct raw_leg *other = raw_leg_open(&relay, other_id, NULL);
	char ticket[TICKET_TEXT_MAX_BYTES], text[1024];
	struct call call = { 0 };

	(void)state;
	request.node_id = node_text;
	request.session_id = session_text;
	boson__relay__relay__close_session(bus_peer_service(relay.relay), &request, on_empty,
					   &call);
	relay_fixture_wait(&relay, &call.is_done);
	assert_true(call.is_ok);
	struct raw_leg *client = raw_leg_open(&relay, other_id, session_id);
	leg_talk_exchange(other, client, leg_talk_channel(other, session_id));
	raw_leg_close(&client);
	relay_fixture_ticket(&relay, node_id, session_id, 3600 * 1000, 0, ticket);
	raw_leg_request(text, sizeof(text), session_id, ticket);
	client = raw_leg_connect(&relay);
	assert_true(raw_leg_write(client, text, strlen(text)));
	assert_int_equal(raw_leg_status(client, NULL, 0), 404);
	raw_leg_close(&client);
	raw_leg_close(&other);
}

struct seen {
	unsigned attached, detached, usage;
	bool has_attached, has_rtt, has_detached, has_usage, has_load, is_ready;
	uint64_t generation, detached_generation, bytes_up;
	char node[UUID_TEXT_BYTES];
};

static void
on_leg_attached(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Relay__LegAttached *leg =
		(const Boson__Relay__LegAttached *)(const void *)event;
	struct seen *seen = arg;

	(void)gap;
	if (leg == NULL) {
		seen->is_ready = true;
		return;
	}
	seen->attached++;
	seen->has_attached = true;
	seen->has_rtt = seen->has_rtt || (leg->has_rtt && leg->rtt > 0);
	seen->generation = leg->generation;
	snprintf(seen->node, sizeof(seen->node), "%s", leg->node_id);
}

static void
on_leg_detached(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Relay__LegDetached *leg =
		(const Boson__Relay__LegDetached *)(const void *)event;
	struct seen *seen = arg;

	(void)gap;
	if (leg == NULL)
		return;
	seen->detached++;
	seen->has_detached = true;
	seen->detached_generation = leg->generation;
}

static void
on_usage(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Relay__SessionUsage *usage =
		(const Boson__Relay__SessionUsage *)(const void *)event;
	struct seen *seen = arg;

	(void)gap;
	if (usage == NULL)
		return;
	seen->usage++;
	seen->has_usage = true;
	seen->bytes_up = usage->bytes_up;
	assert_string_equal(usage->session_id, session_text);
	assert_string_equal(usage->node_id, node_text);
}

static void
on_load(const ProtobufCMessage *event, bool gap, void *arg)
{
	struct seen *seen = arg;

	(void)gap;
	seen->has_load = seen->has_load || event != NULL;
}

static void
subscribe(struct seen *seen)
{
	static const struct {
		const ProtobufCMessageDescriptor *type;
		bus_event_fn fn;
	} wanted[] = {
		{ &boson__relay__leg_attached__descriptor, on_leg_attached },
		{ &boson__relay__leg_detached__descriptor, on_leg_detached },
		{ &boson__relay__session_usage__descriptor, on_usage },
		{ &boson__relay__relay_load__descriptor, on_load },
	};
	static struct bus_subscription *subscriptions[4];

	memset(seen, 0, sizeof(*seen));
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(bus_subscribe(relay.bus,
					       service_bus_event_endpoint(relay.endpoints, "relay"),
					       NULL, wanted[i].type, wanted[i].fn, seen,
					       &subscriptions[i]),
				 0);
	relay_fixture_wait(&relay, &seen->has_load); /* so events do come through */
}

static void
test_legs_are_told_with_growing_generations(void **state)
{
	struct seen seen;

	(void)state;
	subscribe(&seen);
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	relay_fixture_wait(&relay, &seen.has_attached);
	assert_string_equal(seen.node, node_text);
	uint64_t first = seen.generation;
	/* Grows across restarts of the relay, too: it is a time. */
	assert_true(first > UINT64_C(1600000000) * 1000000);
	raw_leg_is_quiet(node, 300); /* answers the first ping */
	relay_fixture_wait(&relay, &seen.has_rtt);
	assert_int_equal(seen.generation, first);
	struct raw_leg *newer = raw_leg_open(&relay, node_id, NULL);
	relay_fixture_wait(&relay, &seen.has_detached);
	assert_int_equal(seen.detached_generation, first);
	while (seen.generation == first)
		relay_fixture_counter(&relay, "accepted_total");
	assert_true(seen.generation > first);
	seen.has_detached = false;
	uint64_t second = seen.generation;
	raw_leg_close(&newer);
	relay_fixture_wait(&relay, &seen.has_detached);
	assert_int_equal(seen.detached_generation, second);
	struct call call;
	list_legs(&call);
	assert_int_equal(call.legs->n_legs, 0);
	boson__relay__list_legs_reply__free_unpacked(call.legs, NULL);
	raw_leg_close(&node);
}

static void
test_flow_reports_are_kept_listed_and_told(void **state)
{
	Boson__Relay__ListFlowsRequest request = BOSON__RELAY__LIST_FLOWS_REQUEST__INIT;
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *other = raw_leg_open(&relay, other_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session_id);
	uint32_t channel = leg_talk_channel(node, session_id);
	struct call call = { 0 };
	struct seen seen;

	(void)state;
	subscribe(&seen);
	leg_talk_exchange(node, client, channel);
	report_flows(node, 5000);
	relay_fixture_wait(&relay, &seen.has_usage);
	assert_int_equal(seen.bytes_up, 5000);
	/* Another node cannot speak for this session. */
	report_flows(other, 7777777);
	seen.has_usage = false;
	report_flows(node, 6000);
	relay_fixture_wait(&relay, &seen.has_usage);
	while (seen.bytes_up == 5000)
		spin();
	assert_int_equal(seen.bytes_up, 6000);
	raw_leg_close(&client); /* what its leg carried is told at its end at the latest */
	request.session_id = session_text;
	int64_t end_ms = clock_monotonic_ms() + 10 * 1000;
	do {
		assert_true(clock_monotonic_ms() < end_ms);
		if (call.flows != NULL)
			boson__relay__list_flows_reply__free_unpacked(call.flows, NULL);
		memset(&call, 0, sizeof(call));
		boson__relay__relay__list_flows(bus_peer_service(relay.relay), &request, on_flows,
						&call);
		relay_fixture_wait(&relay, &call.is_done);
		assert_true(call.is_ok);
	} while (call.flows->leg_bytes_up == 0 || call.flows->leg_bytes_down == 0);
	assert_int_equal(call.flows->n_flows, 1);
	assert_int_equal(call.flows->flows[0]->nat_port, 40123);
	assert_int_equal(call.flows->bytes_up, 6000);
	assert_int_equal(call.flows->bytes_down, 9000);
	assert_int_equal(call.flows->leg_bytes_up, 96);
	assert_int_equal(call.flows->leg_bytes_down, 112);
	boson__relay__list_flows_reply__free_unpacked(call.flows, NULL);

	memset(&call, 0, sizeof(call));
	request.node_id = other_text;
	boson__relay__relay__list_flows(bus_peer_service(relay.relay), &request, on_flows, &call);
	relay_fixture_wait(&relay, &call.is_done);
	assert_int_equal(call.status, BUS_NOT_FOUND);
	raw_leg_close(&other);
	raw_leg_close(&node);
}

static void
test_the_relay_announces_itself(void **state)
{
	char want[64];

	(void)state;
	relay_fixture_wait(&relay, &discovery.is_announced);
	snprintf(want, sizeof(want), "ws://127.0.0.1:%u", relay.port);
	assert_string_equal(discovery.url, want);
	assert_string_equal(discovery.group, "default");
	assert_int_equal(strlen(discovery.id), UUID_TEXT_BYTES - 1);
	relay_fixture_drain(&relay);
	relay_fixture_wait(&relay, &discovery.is_draining_seen);
}

/* W67: and its ticket is worth nothing until it is enrolled again. */
static void
test_w67_a_deleted_node_loses_its_leg_and_its_clients(void **state)
{
	Boson__Discovery__Node record = BOSON__DISCOVERY__NODE__INIT;
	Boson__Discovery__NodeChanged event = BOSON__DISCOVERY__NODE_CHANGED__INIT;
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session_id);
	char ticket[TICKET_TEXT_MAX_BYTES], request[1024];
	int status;

	(void)state;
	leg_talk_channel(node, session_id);
	relay_fixture_wait(&relay, &discovery.is_announced);
	record.node_id = node_text;
	event.node = &record;
	event.has_deleted = 1;
	event.deleted = 1;
	int64_t end_ms = clock_monotonic_ms() + 5000;
	do { /* a subscription takes a moment to reach the publisher */
		assert_true(clock_monotonic_ms() < end_ms);
		assert_int_equal(bus_publish(discovery.publisher, &event.base), 0);
		spin();
	} while (relay_fixture_counter(&relay, "legs{role=\"node\"}") != 0);
	assert_int_equal(raw_leg_close_code(node), 4404);
	assert_int_equal(raw_leg_close_code(client), 4404);
	raw_leg_close(&client);
	raw_leg_close(&node);

	relay_fixture_ticket(&relay, node_id, NULL, 3600 * 1000, 0, ticket);
	raw_leg_request(request, sizeof(request), node_id, ticket);
	node = raw_leg_connect(&relay);
	assert_true(raw_leg_write(node, request, strlen(request)));
	assert_int_equal(raw_leg_status(node, NULL, 0), 404);
	raw_leg_close(&node);
	event.deleted = 0;
	do {
		assert_true(clock_monotonic_ms() < end_ms + 5000);
		assert_int_equal(bus_publish(discovery.publisher, &event.base), 0);
		spin();
		node = raw_leg_connect(&relay);
		assert_true(raw_leg_write(node, request, strlen(request)));
		status = raw_leg_status(node, NULL, 0);
		raw_leg_close(&node);
	} while (status != 101);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

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
		TEST(test_legs_are_told_with_growing_generations),
		TEST(test_flow_reports_are_kept_listed_and_told),
		TEST(test_the_relay_announces_itself),
		TEST(test_w67_a_deleted_node_loses_its_leg_and_its_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
