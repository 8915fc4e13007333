/* relay_mailbox: see the header. */
#include "relay_mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct relay_mailbox *
relay_of(Boson__Relay__Relay_Service *service)
{
	return (struct relay_mailbox *)service;
}

static char *
id_of(const struct relay_mailbox *relay)
{
	return (char *)(uintptr_t)(relay->id == NULL ? "relay-1" : relay->id);
}

static const char *
name_of(const struct relay_mailbox *relay)
{
	return relay->name == NULL ? "relay" : relay->name;
}

struct relay_mailbox_leg *
relay_mailbox_find(struct relay_mailbox *relay, const char *node_id)
{
	for (size_t i = 0; i < relay->leg_count; i++)
		if (strcmp(relay->legs[i].node_id, node_id) == 0)
			return &relay->legs[i];
	return NULL;
}

static void
hold(struct relay_mailbox *relay, Boson__Relay__OpenSessionReply_Closure closure, void *call)
{
	assert_true(relay->held_count < RELAY_MAILBOX_HELD_MAX);
	relay->held_closure = closure;
	relay->held[relay->held_count++] = call;
}

static void
on_open_session(Boson__Relay__Relay_Service *service, const Boson__Relay__OpenSessionRequest *input,
		Boson__Relay__OpenSessionReply_Closure closure, void *call)
{
	struct relay_mailbox *relay = relay_of(service);
	struct relay_mailbox_leg *leg = relay_mailbox_find(relay, input->node_id);
	Boson__Relay__OpenSessionReply reply = BOSON__RELAY__OPEN_SESSION_REPLY__INIT;
	Boson__Link__SessionOpened opened = BOSON__LINK__SESSION_OPENED__INIT;

	if (leg == NULL) {
		bus_call_fail(call, BUS_UNAVAILABLE, "not_attached", NULL);
		return;
	}
	leg->opened++;
	(void)snprintf(relay->last_session, sizeof(relay->last_session), "%s",
		       input->session->session_id);
	(void)snprintf(relay->last_client_key, sizeof(relay->last_client_key), "%s",
		       input->session->client_public_key);
	if (leg->answer == RELAY_NODE_IS_SILENT) {
		hold(relay, closure, call);
		return;
	}
	opened.session_id = input->session->session_id;
	opened.has_result = 1;
	opened.result =
		leg->answer == RELAY_NODE_REFUSES   ? BOSON__LINK__SESSION_OPENED__RESULT__REFUSED
		: leg->answer == RELAY_NODE_IS_FULL ? BOSON__LINK__SESSION_OPENED__RESULT__FULL
						    : BOSON__LINK__SESSION_OPENED__RESULT__OK;
	if (leg->answer == RELAY_NODE_HAS_ANOTHER_KEY)
		opened.node_public_key = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";
	opened.address4 = "10.90.0.2";
	opened.address6 = "fd48:6967:6773::2";
	opened.dns4 = "10.90.0.1";
	opened.has_mtu = 1;
	opened.mtu = 1240;
	reply.opened = &opened;
	closure(&reply, call);
}

static void
on_close_session(Boson__Relay__Relay_Service *service,
		 const Boson__Relay__CloseSessionRequest *input,
		 Boson__Common__Empty_Closure closure, void *call)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	struct relay_mailbox_leg *leg = relay_mailbox_find(relay_of(service), input->node_id);

	if (leg != NULL)
		leg->closed++;
	closure(&reply, call);
}

static void
fill_leg(const struct relay_mailbox *relay, struct relay_mailbox_leg *leg,
	 Boson__Relay__LegAttached *ret)
{
	boson__relay__leg_attached__init(ret);
	ret->relay_id = id_of(relay);
	ret->node_id = leg->node_id;
	ret->has_generation = 1;
	ret->generation = relay->generation;
	ret->has_rtt = 1;
	ret->rtt = 12;
}

static void
on_carry_packet(Boson__Relay__Relay_Service *service, const Boson__Relay__CarryPacketRequest *input,
		Boson__Common__Empty_Closure closure, void *call)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	struct relay_mailbox *relay = relay_of(service);

	if (relay_mailbox_find(relay, input->node_id) == NULL) {
		bus_call_fail(call, BUS_NOT_FOUND, "session_unknown", NULL);
		return;
	}
	if (input->to_node)
		relay->carried_to_node++;
	else
		relay->carried_to_client++;
	closure(&reply, call);
}

static void
on_bind_udp(Boson__Relay__Relay_Service *service, const Boson__Relay__BindUdpRequest *input,
	    Boson__Common__Empty_Closure closure, void *call)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	struct relay_mailbox *relay = relay_of(service);

	relay->bound++;
	(void)snprintf(relay->last_bound, sizeof(relay->last_bound), "%s", input->session_id);
	(void)snprintf(relay->last_client_key, sizeof(relay->last_client_key), "%s",
		       input->client_public_key);
	closure(&reply, call);
}

static void
on_unbind_udp(Boson__Relay__Relay_Service *service, const Boson__Relay__UnbindUdpRequest *input,
	      Boson__Common__Empty_Closure closure, void *call)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;

	(void)input;
	relay_of(service)->unbound++;
	closure(&reply, call);
}

static void
on_drain(Boson__Relay__Relay_Service *service, const Boson__Relay__DrainRequest *input,
	 Boson__Common__Empty_Closure closure, void *call)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;

	(void)service;
	(void)input;
	closure(&reply, call);
}

static void
on_list_legs(Boson__Relay__Relay_Service *service, const Boson__Relay__ListLegsRequest *input,
	     Boson__Relay__ListLegsReply_Closure closure, void *call)
{
	struct relay_mailbox *relay = relay_of(service);
	Boson__Relay__ListLegsReply reply = BOSON__RELAY__LIST_LEGS_REPLY__INIT;
	Boson__Relay__LegAttached legs[RELAY_MAILBOX_LEGS_MAX], *pointers[RELAY_MAILBOX_LEGS_MAX];

	(void)input;
	relay->listed++;
	for (size_t i = 0; i < relay->leg_count; i++) {
		fill_leg(relay, &relay->legs[i], &legs[i]);
		pointers[i] = &legs[i];
	}
	reply.n_legs = relay->leg_count;
	reply.legs = pointers;
	closure(&reply, call);
}

static void
on_list_flows(Boson__Relay__Relay_Service *service, const Boson__Relay__ListFlowsRequest *input,
	      Boson__Relay__ListFlowsReply_Closure closure, void *call)
{
	Boson__Relay__ListFlowsReply reply = BOSON__RELAY__LIST_FLOWS_REPLY__INIT;
	struct relay_mailbox *relay = relay_of(service);
	struct relay_mailbox_leg *leg = relay_mailbox_find(relay, input->node_id);

	reply.has_bytes_up = reply.has_bytes_down = relay->bytes_up > 0;
	reply.bytes_up = relay->bytes_up;
	if (leg != NULL) {
		leg->looked_at++;
		reply.has_leg_bytes_up = reply.has_leg_bytes_down = 1;
		reply.leg_bytes_up = leg->bytes_up;
		reply.leg_bytes_down = leg->bytes_down;
		reply.has_leg_data_up = reply.has_leg_data_down = 1;
		reply.leg_data_up = leg->data_up;
		reply.leg_data_down = leg->data_down;
	}
	if (relay->bytes_up > 0 || reply.leg_bytes_up > 0)
		closure(&reply, call);
	else
		bus_call_fail(call, BUS_NOT_FOUND, "session_unknown", NULL);
}

static void
on_get_stats(Boson__Relay__Relay_Service *service, const Boson__Common__Empty *input,
	     Boson__Relay__Stats_Closure closure, void *call)
{
	(void)service;
	(void)input;
	(void)closure;
	bus_call_fail(call, BUS_NOT_FOUND, "no_stats", NULL);
}

/* libzmq frees an address some time after its socket was closed: a second start may find it taken.
 */
static bool
publisher_opens(void *arg)
{
	struct relay_mailbox *relay = arg;
	char endpoint[RIG_PATH_BYTES];

	rig_endpoint(relay->rig, name_of(relay), true, endpoint);
	return relay->publisher != NULL ||
	       bus_publisher_new(relay->bus, endpoint, &relay->publisher) == 0;
}

static bool
mailbox_opens(void *arg)
{
	struct relay_mailbox *relay = arg;
	char endpoint[RIG_PATH_BYTES];

	rig_endpoint(relay->rig, name_of(relay), false, endpoint);
	if (!relay->serves)
		relay->serves = bus_serve(relay->bus, endpoint, &relay->service.base, NULL) == 0;
	return relay->serves;
}

void
relay_mailbox_start(struct relay_mailbox *relay, struct rig *rig)
{
	static const Boson__Relay__Relay_Service mailbox = BOSON__RELAY__RELAY__INIT(on_);

	relay->service = mailbox;
	relay->rig = rig;
	relay->serves = false;
	relay->generation++;
	assert_int_equal(bus_new(rig->loop, rig->metrics, "relay", NULL, &relay->bus), 0);
	rig_wait(rig, publisher_opens, relay, "the publisher's address");
	rig_wait(rig, mailbox_opens, relay, "the mailbox's address");
}

void
relay_mailbox_stop(struct relay_mailbox *relay)
{
	while (relay->held_count > 0)
		bus_call_fail(relay->held[--relay->held_count], BUS_UNAVAILABLE, "stopping", NULL);
	bus_free(&relay->bus);
	relay->publisher = NULL;
}

void
relay_mailbox_open_held(struct relay_mailbox *relay)
{
	Boson__Relay__OpenSessionReply reply = BOSON__RELAY__OPEN_SESSION_REPLY__INIT;
	Boson__Link__SessionOpened opened = BOSON__LINK__SESSION_OPENED__INIT;

	opened.has_result = 1;
	opened.result = BOSON__LINK__SESSION_OPENED__RESULT__OK;
	opened.address4 = "10.90.0.2";
	reply.opened = &opened;
	while (relay->held_count > 0)
		relay->held_closure(&reply, relay->held[--relay->held_count]);
}

struct relay_mailbox_leg *
relay_mailbox_attach(struct relay_mailbox *relay, const char *node_id,
		     enum relay_mailbox_answer answer)
{
	struct relay_mailbox_leg *leg = &relay->legs[relay->leg_count++];
	Boson__Relay__LegAttached event;

	assert_true(relay->leg_count <= RELAY_MAILBOX_LEGS_MAX);
	memset(leg, 0, sizeof(*leg));
	(void)snprintf(leg->node_id, sizeof(leg->node_id), "%s", node_id);
	leg->answer = answer;
	if (relay->publisher != NULL) {
		fill_leg(relay, leg, &event);
		assert_int_equal(bus_publish(relay->publisher, &event.base), 0);
	}
	return leg;
}

void
relay_mailbox_detach(struct relay_mailbox *relay, const char *node_id)
{
	Boson__Relay__LegDetached event = BOSON__RELAY__LEG_DETACHED__INIT;
	struct relay_mailbox_leg *leg = relay_mailbox_find(relay, node_id);

	assert_non_null(leg);
	event.relay_id = (char *)(uintptr_t) "relay-1";
	event.node_id = (char *)(uintptr_t)node_id;
	event.has_generation = 1;
	event.generation = relay->generation;
	*leg = relay->legs[--relay->leg_count];
	assert_int_equal(bus_publish(relay->publisher, &event.base), 0);
}

void
relay_mailbox_tell_load(struct relay_mailbox *relay, double load)
{
	Boson__Relay__RelayLoad event = BOSON__RELAY__RELAY_LOAD__INIT;

	event.relay_id = id_of(relay);
	event.has_load = 1;
	event.load = load;
	assert_int_equal(bus_publish(relay->publisher, &event.base), 0);
}

void
relay_mailbox_describe(const struct relay_mailbox *relay, Boson__Common__Relay *ret,
		       char ret_bus[RIG_PATH_BYTES], char ret_events[RIG_PATH_BYTES])
{
	boson__common__relay__init(ret);
	rig_endpoint(relay->rig, name_of(relay), false, ret_bus);
	rig_endpoint(relay->rig, name_of(relay), true, ret_events);
	ret->id = id_of(relay);
	ret->group = "default";
	ret->relay_endpoint = "wss://relay.example:8443";
	ret->udp_endpoint = (char *)(uintptr_t)relay->udp_endpoint;
	ret->bus_endpoint = ret_bus;
	ret->event_endpoint = ret_events;
}
