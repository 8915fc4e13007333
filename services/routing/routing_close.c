/*
 * routing tells a node, through the relay that has its leg, that a session is over. Nobody waits
 * for it; for a session that its client closed, the tick says it again until the relay has heard.
 */
#include "routing/routing_handlers.h"

#include "relay.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum { CLOSE_TIMEOUT_MS = 3000 };

struct closing {
	struct routing *routing;
	struct bus_peer *peer;
	uint8_t session_id[UUID_BYTES];
};

static void
on_closed(const Boson__Common__Empty *reply, void *arg)
{
	struct closing *closing = arg;
	enum bus_status status = bus_peer_result(closing->peer)->status;

	/* A relay that does not know the session has nothing to close. */
	if (!closing->routing->stopping && (reply != NULL || status == BUS_NOT_FOUND)) {
		struct sessions *sessions = &closing->routing->sessions;
		struct session *session = sessions_find(sessions, closing->session_id);

		if (session != NULL && session->record.status == SESSION_CLOSING)
			sessions_closed(sessions, session);
	}
	free(closing);
}

void
routing_close_unwanted(struct routing *routing, const uint8_t node_id[UUID_BYTES],
		       const char *relay_id, const uint8_t session_id[UUID_BYTES])
{
	Boson__Relay__CloseSessionRequest request = BOSON__RELAY__CLOSE_SESSION_REQUEST__INIT;
	const struct table_node *node = table_find(&routing->table, node_id);
	char node_text[UUID_TEXT_BYTES], session_text[UUID_TEXT_BYTES];
	struct closing *closing;
	struct bus_peer *peer;

	/* Where its leg is now, not where it was when the session was opened. */
	if (node != NULL && node->leg_count > 0)
		relay_id = node->legs[node->leg_count - 1].relay->id;
	peer = routing_links_peer(routing, relay_id);
	closing = peer == NULL ? NULL : malloc(sizeof(*closing));
	if (closing == NULL)
		return;
	*closing = (struct closing){ .routing = routing, .peer = peer };
	memcpy(closing->session_id, session_id, UUID_BYTES);
	uuid_format(node_id, node_text);
	uuid_format(session_id, session_text);
	request.node_id = node_text;
	request.session_id = session_text;
	request.reason = "closed";
	bus_peer_next(peer, CLOSE_TIMEOUT_MS, NULL);
	boson__relay__relay__close_session(bus_peer_service(peer), &request, on_closed, closing);
}

void
routing_close_session(struct routing *routing, const struct session *session)
{
	routing_close_unwanted(routing, session->record.node_id, session->record.relay_id,
			       session->record.id);
}
