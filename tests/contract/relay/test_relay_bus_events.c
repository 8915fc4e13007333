/*
 * What a relay tells of itself: legs that come and go, flows, usage; that it is there; and what it
 * hears of deleted nodes.
 */
#include "bus_rig.h"
#include "leg_talk.h"
#include "raw_leg.h"

#include "loop/clock.h"
#include "service/service_bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void
on_flows(const Boson__Relay__ListFlowsReply *reply, void *arg)
{
	struct bus_rig_call *call = arg;

	if (reply == NULL)
		return bus_rig_note_failure(call);
	call->flows = (Boson__Relay__ListFlowsReply *)bus_rig_copy(&reply->base);
	call->is_done = call->is_ok = true;
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
	session.session_id = bus_rig.session_text;
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
	assert_string_equal(usage->session_id, bus_rig.session_text);
	assert_string_equal(usage->node_id, bus_rig.node_text);
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
		assert_int_equal(
			bus_subscribe(bus_rig.relay.bus,
				      service_bus_event_endpoint(bus_rig.relay.endpoints, "relay"),
				      NULL, wanted[i].type, wanted[i].fn, seen, &subscriptions[i]),
			0);
	relay_fixture_wait(&bus_rig.relay, &seen->has_load); /* so events do come through */
}

static void
test_legs_are_told_with_growing_generations(void **state)
{
	struct seen seen;

	(void)state;
	subscribe(&seen);
	struct raw_leg *node = raw_leg_open(&bus_rig.relay, node_id, NULL);
	relay_fixture_wait(&bus_rig.relay, &seen.has_attached);
	assert_string_equal(seen.node, bus_rig.node_text);
	uint64_t first = seen.generation;
	/* Grows across restarts of the relay, too: it is a time. */
	assert_true(first > UINT64_C(1600000000) * 1000000);
	raw_leg_is_quiet(node, 300); /* answers the first ping */
	relay_fixture_wait(&bus_rig.relay, &seen.has_rtt);
	assert_int_equal(seen.generation, first);
	struct raw_leg *newer = raw_leg_open(&bus_rig.relay, node_id, NULL);
	relay_fixture_wait(&bus_rig.relay, &seen.has_detached);
	assert_int_equal(seen.detached_generation, first);
	while (seen.generation == first)
		relay_fixture_counter(&bus_rig.relay, "accepted_total");
	assert_true(seen.generation > first);
	seen.has_detached = false;
	uint64_t second = seen.generation;
	raw_leg_close(&newer);
	relay_fixture_wait(&bus_rig.relay, &seen.has_detached);
	assert_int_equal(seen.detached_generation, second);
	struct bus_rig_call call;
	bus_rig_list_legs(&call);
	assert_int_equal(call.legs->n_legs, 0);
	boson__relay__list_legs_reply__free_unpacked(call.legs, NULL);
	raw_leg_close(&node);
}

static void
test_flow_reports_are_kept_listed_and_told(void **state)
{
	Boson__Relay__ListFlowsRequest request = BOSON__RELAY__LIST_FLOWS_REQUEST__INIT;
	struct raw_leg *node = raw_leg_open(&bus_rig.relay, node_id, NULL);
	struct raw_leg *other = raw_leg_open(&bus_rig.relay, other_id, NULL);
	struct raw_leg *client = raw_leg_open(&bus_rig.relay, node_id, session_id);
	uint32_t channel = leg_talk_channel(node, session_id);
	struct bus_rig_call call = { 0 };
	struct seen seen;

	(void)state;
	subscribe(&seen);
	leg_talk_exchange(node, client, channel);
	report_flows(node, 5000);
	relay_fixture_wait(&bus_rig.relay, &seen.has_usage);
	assert_int_equal(seen.bytes_up, 5000);
	/* Another node cannot speak for this session. */
	report_flows(other, 7777777);
	seen.has_usage = false;
	report_flows(node, 6000);
	relay_fixture_wait(&bus_rig.relay, &seen.has_usage);
	while (seen.bytes_up == 5000)
		bus_rig_spin();
	assert_int_equal(seen.bytes_up, 6000);
	raw_leg_close(&client); /* what its leg carried is told at its end at the latest */
	request.session_id = bus_rig.session_text;
	int64_t end_ms = clock_monotonic_ms() + 10 * 1000;
	do {
		assert_true(clock_monotonic_ms() < end_ms);
		if (call.flows != NULL)
			boson__relay__list_flows_reply__free_unpacked(call.flows, NULL);
		memset(&call, 0, sizeof(call));
		boson__relay__relay__list_flows(bus_peer_service(bus_rig.relay.relay), &request,
						on_flows, &call);
		relay_fixture_wait(&bus_rig.relay, &call.is_done);
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
	request.node_id = bus_rig.other_text;
	boson__relay__relay__list_flows(bus_peer_service(bus_rig.relay.relay), &request, on_flows,
					&call);
	relay_fixture_wait(&bus_rig.relay, &call.is_done);
	assert_int_equal(call.status, BUS_NOT_FOUND);
	raw_leg_close(&other);
	raw_leg_close(&node);
}

static void
test_the_relay_announces_itself(void **state)
{
	char want[64];

	(void)state;
	relay_fixture_wait(&bus_rig.relay, &bus_rig.discovery.is_announced);
	snprintf(want, sizeof(want), "ws://127.0.0.1:%u", bus_rig.relay.port);
	assert_string_equal(bus_rig.discovery.url, want);
	assert_string_equal(bus_rig.discovery.group, "default");
	assert_int_equal(strlen(bus_rig.discovery.id), UUID_TEXT_BYTES - 1);
	relay_fixture_drain(&bus_rig.relay);
	relay_fixture_wait(&bus_rig.relay, &bus_rig.discovery.is_draining_seen);
}

/* W67: and its ticket is worth nothing until it is enrolled again. */
static void
test_w67_a_deleted_node_loses_its_leg_and_its_clients(void **state)
{
	Boson__Discovery__Node record = BOSON__DISCOVERY__NODE__INIT;
	Boson__Discovery__NodeChanged event = BOSON__DISCOVERY__NODE_CHANGED__INIT;
	struct raw_leg *node = raw_leg_open(&bus_rig.relay, node_id, NULL);
	struct raw_leg *client = raw_leg_open(&bus_rig.relay, node_id, session_id);

	(void)state;
	leg_talk_channel(node, session_id);
	relay_fixture_wait(&bus_rig.relay, &bus_rig.discovery.is_announced);
	record.node_id = bus_rig.node_text;
	event.node = &record;
	event.has_deleted = 1;
	event.deleted = 1;
	int64_t end_ms = clock_monotonic_ms() + 5000;
	do { /* a subscription takes a moment to reach the publisher */
		assert_true(clock_monotonic_ms() < end_ms);
		assert_int_equal(bus_publish(bus_rig.discovery.publisher, &event.base), 0);
		bus_rig_spin();
	} while (relay_fixture_counter(&bus_rig.relay, "legs{role=\"node\"}") != 0);
	assert_int_equal(raw_leg_close_code(node), 4404);
	assert_int_equal(raw_leg_close_code(client), 4404);
	raw_leg_close(&client);
	raw_leg_close(&node);

	assert_int_equal(raw_leg_ask(&bus_rig.relay, node_id, NULL), 404);
	event.deleted = 0;
	do {
		assert_true(clock_monotonic_ms() < end_ms + 5000);
		assert_int_equal(bus_publish(bus_rig.discovery.publisher, &event.base), 0);
		bus_rig_spin();
	} while (raw_leg_ask(&bus_rig.relay, node_id, NULL) != 101);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, bus_rig_set_up, bus_rig_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_legs_are_told_with_growing_generations),
		TEST(test_flow_reports_are_kept_listed_and_told),
		TEST(test_the_relay_announces_itself),
		TEST(test_w67_a_deleted_node_loses_its_leg_and_its_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
