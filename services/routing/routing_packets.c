/* routing_packets: see the header. */
#include "routing/routing_packets.h"
#include "routing/routing_access.h"

#include "relay.pb-c.h"
#include "service/caller.h"
#include "wg/datagram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CARRY_TIMEOUT_MS = 2000 };

struct packet {
	Boson__Routing__PacketReply_Closure closure;
	void *call;
	struct bus_peer *peer;
};

static void
on_carried(const Boson__Common__Empty *reply, void *arg)
{
	static char ok[] = "ok";
	Boson__Routing__PacketReply answer = BOSON__ROUTING__PACKET_REPLY__INIT;
	struct packet *packet = arg;

	answer.status = ok;
	if (reply != NULL)
		packet->closure(&answer, packet->call);
	else
		bus_call_fail_as(packet->call, bus_peer_result(packet->peer));
	free(packet);
}

static void
carry(struct routing *routing, const struct session *session, bool to_node,
      const ProtobufCBinaryData *bytes, Boson__Routing__PacketReply_Closure closure, void *call)
{
	Boson__Relay__CarryPacketRequest request = BOSON__RELAY__CARRY_PACKET_REQUEST__INIT;
	const struct table_leg *home =
		table_home_leg(table_find(&routing->table, session->record.node_id));
	struct bus_peer *peer = home == NULL ? NULL : routing_links_peer(routing, home->relay->id);
	char session_id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES];
	struct packet *packet = peer == NULL ? NULL : malloc(sizeof(*packet));

	if (packet == NULL) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "node_not_attached", 1);
		return;
	}
	*packet = (struct packet){ closure, call, peer };
	uuid_format(session->record.id, session_id);
	uuid_format(session->record.node_id, node_id);
	request.session_id = session_id;
	request.node_id = node_id;
	request.has_to_node = 1;
	request.to_node = to_node;
	request.has_packet = 1;
	request.packet = *bytes;
	bus_peer_next(peer, CARRY_TIMEOUT_MS, bus_call_trace(call));
	boson__relay__relay__carry_packet(bus_peer_service(peer), &request, on_carried, packet);
}

/* Is this a datagram of an open session? The session, or NULL and the answer. */
static const struct session *
check(struct routing *routing, const char *session_id, const ProtobufCBinaryData *bytes, void *call)
{
	const struct session *session;
	uint8_t id[UUID_BYTES];

	if (session_id == NULL || uuid_parse(session_id, id) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "sessionId");
		return NULL;
	}
	if (datagram_check(bytes->data, bytes->len) <= 0) {
		bus_call_fail(call, BUS_INVALID, "packet", "packet");
		return NULL;
	}
	session = sessions_find(&routing->sessions, id);
	if (session != NULL && session->record.status == SESSION_OPEN)
		return session;
	bus_call_fail(call, BUS_NOT_FOUND, "session_unknown", "sessionId");
	return NULL;
}

static bool
is_same_id(const uint8_t id[UUID_BYTES], const char *text)
{
	char id_text[UUID_TEXT_BYTES];

	uuid_format(id, id_text);
	return text != NULL && strcmp(text, id_text) == 0;
}

void
routing_packet_from_node(struct routing *routing,
			 const Boson__Routing__PacketFromNodeRequest *input,
			 Boson__Routing__PacketReply_Closure closure, void *call)
{
	const Boson__Common__Caller *caller = input->caller;
	const char *node_id = input->node_id;
	const struct session *session;

	if (node_id == NULL && caller != NULL)
		node_id = caller->subject;
	if (!caller_is_node(caller, node_id)) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return;
	}
	session = check(routing, input->session_id, &input->packet, call);
	if (session == NULL)
		return;
	if (!is_same_id(session->record.node_id, node_id))
		bus_call_fail(call, BUS_NOT_FOUND, "session_unknown", "sessionId");
	else
		carry(routing, session, false, &input->packet, closure, call);
}

void
routing_packet_from_client(struct routing *routing,
			   const Boson__Routing__PacketFromClientRequest *input,
			   Boson__Routing__PacketReply_Closure closure, void *call)
{
	const struct session *session;
	struct routing_caller caller;
	int error;

	if (caller_role(input->caller) != BOSON__COMMON__CALLER__ROLE__CLIENT ||
	    (input->client_id != NULL && !routing_is_client(input->caller, input->client_id))) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return;
	}
	session = check(routing, input->session_id, &input->packet, call);
	if (session == NULL)
		return;
	routing_caller_take(&caller, input->caller);
	error = routing_check_client(session, &caller);
	if (error == -EIO)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
	else if (error != 0)
		bus_call_fail(call, BUS_NOT_FOUND, "session_unknown", "sessionId");
	else
		carry(routing, session, true, &input->packet, closure, call);
}
