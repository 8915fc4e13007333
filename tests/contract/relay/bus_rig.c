/*
 * bus_rig: see the header.
 */
#include "bus_rig.h"

#include "service/service_bus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
const uint8_t other_id[UUID_BYTES] = "node-id-00000002";
const uint8_t session_id[UUID_BYTES] = "session-00000001";

struct bus_rig bus_rig;

static void
on_announce_relay(Boson__Discovery__Discovery_Service *service, const Boson__Common__Relay *input,
		  Boson__Common__Empty_Closure closure, void *closure_data)
{
	Boson__Common__Empty empty = BOSON__COMMON__EMPTY__INIT;

	(void)service;
	bus_rig.discovery.announced++;
	bus_rig.discovery.is_announced = true;
	bus_rig.discovery.is_draining_seen = bus_rig.discovery.is_draining_seen || input->draining;
	snprintf(bus_rig.discovery.id, sizeof(bus_rig.discovery.id), "%s", input->id);
	snprintf(bus_rig.discovery.url, sizeof(bus_rig.discovery.url), "%s", input->relay_endpoint);
	snprintf(bus_rig.discovery.group, sizeof(bus_rig.discovery.group), "%s", input->group);
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

int
bus_rig_set_up(void **state)
{
	(void)state;
	relay_fixture_start(&bus_rig.relay, false, "region = eu-west\ndrain = 100ms");
	memset(&bus_rig.discovery, 0, sizeof(bus_rig.discovery));
	bus_rig.discovery.service = (Boson__Discovery__Discovery_Service){
		.base = { &boson__discovery__discovery__descriptor,
			  protobuf_c_service_invoke_internal, NULL },
		.announce_relay = on_announce_relay,
		.list_relays = on_list_relays,
	};
	assert_int_equal(
		bus_publisher_new(bus_rig.relay.bus,
				  service_bus_event_endpoint(bus_rig.relay.endpoints, "discovery"),
				  &bus_rig.discovery.publisher),
		0);
	assert_int_equal(bus_serve(bus_rig.relay.bus,
				   service_bus_endpoint(bus_rig.relay.endpoints, "discovery"),
				   &bus_rig.discovery.service.base, NULL),
			 0);
	uuid_format(node_id, bus_rig.node_text);
	uuid_format(other_id, bus_rig.other_text);
	uuid_format(session_id, bus_rig.session_text);
	return 0;
}

int
bus_rig_tear_down(void **state)
{
	(void)state;
	relay_fixture_stop(&bus_rig.relay);
	return 0;
}

void
bus_rig_note_failure(struct bus_rig_call *call)
{
	const struct bus_result *result = bus_peer_result(bus_rig.relay.relay);

	call->is_done = true;
	call->status = result->status;
	snprintf(call->code, sizeof(call->code), "%s", result->code);
	snprintf(call->field, sizeof(call->field), "%s", result->field);
}

ProtobufCMessage *
bus_rig_copy(const ProtobufCMessage *message)
{
	static uint8_t packed[BUS_MESSAGE_MAX_BYTES];
	size_t n = protobuf_c_message_pack(message, packed);

	return protobuf_c_message_unpack(message->descriptor, NULL, n, packed);
}

static void
on_legs(const Boson__Relay__ListLegsReply *reply, void *arg)
{
	struct bus_rig_call *call = arg;

	if (reply == NULL)
		return bus_rig_note_failure(call);
	call->legs = (Boson__Relay__ListLegsReply *)bus_rig_copy(&reply->base);
	call->is_done = call->is_ok = true;
}

void
bus_rig_spin(void)
{
	relay_fixture_counter(&bus_rig.relay, "accepted_total");
}

void
bus_rig_list_legs(struct bus_rig_call *call)
{
	Boson__Relay__ListLegsRequest request = BOSON__RELAY__LIST_LEGS_REQUEST__INIT;

	memset(call, 0, sizeof(*call));
	boson__relay__relay__list_legs(bus_peer_service(bus_rig.relay.relay), &request, on_legs,
				       call);
	relay_fixture_wait(&bus_rig.relay, &call->is_done);
	assert_true(call->is_ok);
}
