/*
 * relay_handlers: one function per rpc of proto/relay.proto.
 * Called by: routing (OpenSession, CloseSession, ListLegs, CarryPacket), metrics and operators (the
 * rest).
 */
#include "relay/relay_control.h"
#include "relay/relay_udp_control.h"
#include "wg/datagram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LEGS_PER_PAGE = 256, PACKED_MAX_BYTES = 4096 };

static struct relay_control *
control_of(Boson__Relay__Relay_Service *service)
{
	return (struct relay_control *)((uintptr_t)service -
					offsetof(struct relay_control, service));
}

/* An id of a request; answers the call when it is none. */
static bool
take_id(const char *text, const char *field, void *call, uint8_t ret_id[UUID_BYTES])
{
	if (text != NULL && uuid_parse(text, ret_id) == 0)
		return true;
	bus_call_fail(call, BUS_INVALID, "field", field);
	return false;
}

/* A command with a packed link Control in it. NULL: out of memory, or too large for one. */
static struct relay_message *
link_command(enum relay_message_kind kind, const uint8_t node_id[UUID_BYTES],
	     const uint8_t session_id[UUID_BYTES], const Boson__Link__Control *packed)
{
	size_t n = boson__link__control__get_packed_size(packed);
	struct relay_message *message =
		n <= PACKED_MAX_BYTES ? relay_message_new(kind, node_id, n) : NULL;

	if (message == NULL)
		return NULL;
	memcpy(message->session_id, session_id, UUID_BYTES);
	boson__link__control__pack(packed, message->bytes);
	return message;
}

static void
on_open_session(Boson__Relay__Relay_Service *service, const Boson__Relay__OpenSessionRequest *input,
		Boson__Relay__OpenSessionReply_Closure closure, void *closure_data)
{
	struct relay_control *control = control_of(service);
	Boson__Link__Control packed = BOSON__LINK__CONTROL__INIT;
	uint8_t node_id[UUID_BYTES], session_id[UUID_BYTES];
	uint64_t request_id;

	if (!take_id(input->node_id, "nodeId", closure_data, node_id))
		return;
	if (!take_id(input->session != NULL ? input->session->session_id : NULL,
		     "session.sessionId", closure_data, session_id))
		return;
	if (control->is_draining || idtable_find(&control->attached, node_id) == NULL) {
		bus_call_fail(closure_data, BUS_UNAVAILABLE, "node_not_attached", "");
		return;
	}
	if (relay_opens_add(&control->opens, node_id, closure, closure_data, &request_id) < 0) {
		bus_call_fail_retry(closure_data, BUS_UNAVAILABLE, "relay_busy", 1);
		return;
	}
	Boson__Link__SessionOpen open = *input->session;
	open.has_request_id = 1;
	open.request_id = request_id;
	packed.body_case = BOSON__LINK__CONTROL__BODY_SESSION_OPEN;
	packed.session_open = &open;
	struct relay_message *message =
		link_command(RELAY_SESSION_OPEN, node_id, session_id, &packed);
	if (message != NULL)
		message->request_id = request_id;
	if (message == NULL || relay_control_command(control, &message) < 0) {
		relay_opens_fail(&control->opens, request_id);
		return;
	}
	relay_flows_bind(&control->flows, session_id, node_id);
}

static void
on_close_session(Boson__Relay__Relay_Service *service,
		 const Boson__Relay__CloseSessionRequest *input,
		 Boson__Common__Empty_Closure closure, void *closure_data)
{
	struct relay_control *control = control_of(service);
	Boson__Link__SessionClose close = BOSON__LINK__SESSION_CLOSE__INIT;
	Boson__Link__Control packed = BOSON__LINK__CONTROL__INIT;
	Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	uint8_t node_id[UUID_BYTES], session_id[UUID_BYTES];

	if (!take_id(input->node_id, "nodeId", closure_data, node_id) ||
	    !take_id(input->session_id, "sessionId", closure_data, session_id))
		return;
	close.session_id = input->session_id;
	close.reason = input->reason;
	packed.body_case = BOSON__LINK__CONTROL__BODY_SESSION_CLOSE;
	packed.session_close = &close;
	struct relay_message *message =
		link_command(RELAY_SESSION_CLOSE, node_id, session_id, &packed);
	if (message == NULL || relay_control_command(control, &message) < 0) {
		bus_call_fail_retry(closure_data, BUS_UNAVAILABLE, "relay_busy", 1);
		return;
	}
	closure(&reply, closure_data);
}

static void
on_carry_packet(Boson__Relay__Relay_Service *service, const Boson__Relay__CarryPacketRequest *input,
		Boson__Common__Empty_Closure closure, void *closure_data)
{
	struct relay_control *control = control_of(service);
	uint8_t node_id[UUID_BYTES], session_id[UUID_BYTES];

	if (!take_id(input->node_id, "nodeId", closure_data, node_id) ||
	    !take_id(input->session_id, "sessionId", closure_data, session_id))
		return;
	if (input->packet.len > RELAY_CARRY_MAX_BYTES ||
	    datagram_check(input->packet.data, input->packet.len) < 0) {
		bus_call_fail(closure_data, BUS_INVALID, "packet", "packet");
		return;
	}
	struct relay_message *message = relay_message_new(RELAY_CARRY, node_id, input->packet.len);
	if (message != NULL) {
		memcpy(message->session_id, session_id, UUID_BYTES);
		memcpy(message->bytes, input->packet.data, input->packet.len);
		message->is_to_node = input->to_node;
		message->answer = closure;
		message->call = closure_data;
	}
	if (message == NULL || relay_control_command(control, &message) < 0)
		bus_call_fail_retry(closure_data, BUS_UNAVAILABLE, "relay_busy", 1);
}

static void
on_drain(Boson__Relay__Relay_Service *service, const Boson__Relay__DrainRequest *input,
	 Boson__Common__Empty_Closure closure, void *closure_data)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;

	relay_control_drain(control_of(service), input->other_relay);
	closure(&reply, closure_data);
}

static int
by_id(const void *a, const void *b)
{
	const struct relay_attached *const *x = a, *const *y = b;

	return memcmp((*x)->node_id, (*y)->node_id, UUID_BYTES);
}

/* The legs after the cursor, in order of node id; at most a page of them. */
static size_t
page_of_legs(const struct relay_control *control, const uint8_t *after,
	     const struct relay_attached **legs)
{
	const struct relay_attached *leg = idtable_next(&control->attached, NULL);
	size_t n = 0;

	for (; leg != NULL; leg = idtable_next(&control->attached, leg))
		if (after == NULL || memcmp(leg->node_id, after, UUID_BYTES) > 0)
			legs[n++] = leg;
	qsort(legs, n, sizeof(*legs), by_id);
	return n;
}

static void
answer_legs(struct relay_control *control, const struct relay_attached **legs, size_t n,
	    Boson__Relay__ListLegsReply_Closure closure, void *closure_data)
{
	static Boson__Relay__LegAttached bodies[LEGS_PER_PAGE]; /* one thread has one relay actor */
	static char ids[LEGS_PER_PAGE][UUID_TEXT_BYTES];
	Boson__Relay__LegAttached *pointers[LEGS_PER_PAGE];
	Boson__Relay__ListLegsReply reply = BOSON__RELAY__LIST_LEGS_REPLY__INIT;

	reply.n_legs = n < LEGS_PER_PAGE ? n : LEGS_PER_PAGE;
	reply.legs = pointers;
	for (size_t i = 0; i < reply.n_legs; i++) {
		uuid_format(legs[i]->node_id, ids[i]);
		boson__relay__leg_attached__init(&bodies[i]);
		bodies[i].relay_id = control->id;
		bodies[i].node_id = ids[i];
		bodies[i].has_generation = bodies[i].has_channels = 1;
		bodies[i].generation = legs[i]->generation;
		bodies[i].channels = legs[i]->channels;
		bodies[i].has_rtt = legs[i]->rtt_us != 0;
		bodies[i].rtt = legs[i]->rtt_us / 1000.0;
		pointers[i] = &bodies[i];
	}
	if (n > LEGS_PER_PAGE)
		reply.next_cursor = ids[LEGS_PER_PAGE - 1];
	closure(&reply, closure_data);
}

static void
on_list_legs(Boson__Relay__Relay_Service *service, const Boson__Relay__ListLegsRequest *input,
	     Boson__Relay__ListLegsReply_Closure closure, void *closure_data)
{
	struct relay_control *control = control_of(service);
	bool has_cursor = input->cursor != NULL && *input->cursor != '\0';
	uint8_t after[UUID_BYTES];

	if (has_cursor && !take_id(input->cursor, "cursor", closure_data, after))
		return;
	const struct relay_attached **legs =
		calloc(control->attached.count + 1, sizeof(struct relay_attached *));
	if (legs == NULL) {
		bus_call_fail(closure_data, BUS_UNAVAILABLE, "relay_busy", "");
		return;
	}
	size_t n = page_of_legs(control, has_cursor ? after : NULL, legs);
	answer_legs(control, legs, n, closure, closure_data);
	free(legs);
}

static void
on_list_flows(Boson__Relay__Relay_Service *service, const Boson__Relay__ListFlowsRequest *input,
	      Boson__Relay__ListFlowsReply_Closure closure, void *closure_data)
{
	struct relay_control *control = control_of(service);
	Boson__Relay__ListFlowsReply reply = BOSON__RELAY__LIST_FLOWS_REPLY__INIT;
	uint8_t session_id[UUID_BYTES], node_id[UUID_BYTES];
	bool has_node = input->node_id != NULL && *input->node_id != '\0';

	if (!take_id(input->session_id, "sessionId", closure_data, session_id) ||
	    (has_node && !take_id(input->node_id, "nodeId", closure_data, node_id)))
		return;
	const struct relay_session *session = relay_flows_find(&control->flows, session_id);
	if (session == NULL || (has_node && memcmp(session->node_id, node_id, UUID_BYTES) != 0)) {
		bus_call_fail(closure_data, BUS_NOT_FOUND, "session_unknown", "");
		return;
	}
	if (session->report != NULL) {
		reply.n_flows = session->report->n_flows;
		reply.flows = session->report->flows;
		reply.has_bytes_up = reply.has_bytes_down = reply.has_reported_at = 1;
		reply.bytes_up = session->report->bytes_up;
		reply.bytes_down = session->report->bytes_down;
		reply.reported_at = session->reported_at_ms;
	}
	reply.has_leg_bytes_up = reply.has_leg_bytes_down = 1;
	reply.leg_bytes_up = session->carried.bytes_up;
	reply.leg_bytes_down = session->carried.bytes_down;
	reply.has_leg_data_up = reply.has_leg_data_down = 1;
	reply.leg_data_up = session->carried.data_up;
	reply.leg_data_down = session->carried.data_down;
	closure(&reply, closure_data);
}

static void
on_get_stats(Boson__Relay__Relay_Service *service, const Boson__Common__Empty *input,
	     Boson__Relay__Stats_Closure closure, void *closure_data)
{
	struct relay_control *control = control_of(service);
	Boson__Relay__Stats__Counter counters[RELAY_COUNTER_COUNT], *pointers[RELAY_COUNTER_COUNT];
	char names[RELAY_COUNTER_COUNT][RELAY_COUNTER_NAME_BYTES];
	Boson__Relay__Stats reply = BOSON__RELAY__STATS__INIT;

	(void)input;
	for (unsigned i = 0; i < RELAY_COUNTER_COUNT; i++) {
		boson__relay__stats__counter__init(&counters[i]);
		relay_counter_name(i, names[i]);
		counters[i].name = names[i];
		counters[i].has_value = 1;
		counters[i].value = relay_control_count(control, i);
		pointers[i] = &counters[i];
	}
	reply.n_counters = RELAY_COUNTER_COUNT;
	reply.counters = pointers;
	closure(&reply, closure_data);
}

static void
on_bind_udp(Boson__Relay__Relay_Service *service, const Boson__Relay__BindUdpRequest *input,
	    Boson__Common__Empty_Closure closure, void *closure_data)
{
	relay_udp_control_bind(control_of(service), input, closure, closure_data);
}

static void
on_unbind_udp(Boson__Relay__Relay_Service *service, const Boson__Relay__UnbindUdpRequest *input,
	      Boson__Common__Empty_Closure closure, void *closure_data)
{
	relay_udp_control_unbind(control_of(service), input, closure, closure_data);
}

void
relay_handlers_init(struct relay_control *control)
{
	control->service = (Boson__Relay__Relay_Service)BOSON__RELAY__RELAY__INIT(on_);
}
