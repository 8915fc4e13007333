/* routing's mailbox: one function for each rpc. The drawing is in routing_handlers.h. */
#include "routing/routing_handlers.h"
#include "routing/routing_access.h"
#include "routing/routing_check.h"
#include "routing/routing_clients.h"
#include "routing/routing_packets.h"
#include "routing/routing_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct routing *
routing_of(Boson__Routing__Routing_Service *service)
{
	return (struct routing *)service;
}

/* The session to be taken up again: open, this client's and for this key. Whatever is wrong, it
 * looks unknown. */
static const struct session *
find_resumed(const struct routing *routing, const Boson__Routing__RouteRequest *input)
{
	uint8_t id[UUID_BYTES], client_id[UUID_BYTES];
	const struct session *session;
	struct key key;

	if (uuid_parse(input->session_id, id) != 0 ||
	    uuid_parse(input->client_id, client_id) != 0 || key_parse(input->public_key, &key) != 0)
		return NULL;
	session = sessions_find(&routing->sessions, id);
	if (session == NULL || session->record.status != SESSION_OPEN ||
	    memcmp(session->record.client_id, client_id, UUID_BYTES) != 0 ||
	    !key_is_equal(&session->record.client_key, &key))
		return NULL;
	return session;
}

static void
on_request_route(Boson__Routing__Routing_Service *service,
		 const Boson__Routing__RouteRequest *input,
		 Boson__Routing__RouteReply_Closure closure, void *call)
{
	struct routing *routing = routing_of(service);
	const struct session *resumed = NULL;
	struct routing_problem problem;
	struct routing_wish wish;

	if (routing_check_request(input, &wish, &problem) != 0) {
		bus_call_fail(call, BUS_INVALID, problem.code, problem.field);
		return;
	}
	if (!routing_may_speak_for(input->caller, input->client_id)) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return;
	}
	if (!routing->has_snapshot) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "starting", 1);
		return;
	}
	if (input->session_id != NULL) {
		resumed = find_resumed(routing, input);
		if (resumed == NULL) {
			bus_call_fail(call, BUS_NOT_FOUND, "session_unknown", "sessionId");
			return;
		}
	}
	routing_request_start(routing, input, &wish, resumed, closure, call);
}

/* The session of a route that this caller may see, or answers: another's looks unknown. */
static struct session *
find_route(struct routing *routing, const char *route_id, const Boson__Common__Caller *caller,
	   void *call)
{
	char client_id[UUID_TEXT_BYTES];
	struct session *session;
	uint8_t id[UUID_BYTES];

	if (route_id == NULL || uuid_parse(route_id, id) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "routeId");
		return NULL;
	}
	session = sessions_find_route(&routing->sessions, id);
	if (session != NULL) {
		uuid_format(session->record.client_id, client_id);
		if (routing_is_admin(caller) || routing_is_client(caller, client_id))
			return session;
	}
	bus_call_fail(call, BUS_NOT_FOUND, "route_unknown", NULL);
	return NULL;
}

static void
on_get_route(Boson__Routing__Routing_Service *service, const Boson__Routing__GetRouteRequest *input,
	     Boson__Routing__Route_Closure closure, void *call)
{
	struct session *session =
		find_route(routing_of(service), input->route_id, input->caller, call);
	struct routing_route_text text;
	Boson__Routing__Route route;

	if (session == NULL)
		return;
	routing_route_fill(&session->record, &route, &text);
	closure(&route, call);
}

struct deletion {
	struct routing *routing;
	uint8_t session_id[UUID_BYTES];
};

static void
deletion_committed(void *arg)
{
	struct deletion *deletion = arg;
	struct routing *routing = deletion->routing;
	struct session *session = sessions_find(&routing->sessions, deletion->session_id);

	if (session != NULL && session->record.status == SESSION_OPEN) {
		sessions_close(&routing->sessions, session);
		(void)table_sessions_add(&routing->table, session->record.node_id, -1);
		routing_close_session(routing, session);
	}
	free(deletion);
}

static int
write_deletion(struct routing *routing, const struct session *session)
{
	struct deletion *deletion = malloc(sizeof(*deletion));
	int error = deletion == NULL ? -ENOMEM : store_savepoint(routing->store);

	if (error != 0) {
		free(deletion);
		return error;
	}
	deletion->routing = routing;
	memcpy(deletion->session_id, session->record.id, UUID_BYTES);
	error = routing_store_set_status(routing->store, session->record.id, SESSION_CLOSING);
	if (error == 0)
		error = store_after_commit(routing->store, deletion_committed, free, deletion);
	if (error != 0) {
		store_savepoint_rollback(routing->store);
		free(deletion);
		return error;
	}
	return store_savepoint_release(routing->store);
}

static void
on_delete_route(Boson__Routing__Routing_Service *service,
		const Boson__Routing__DeleteRouteRequest *input,
		Boson__Common__Empty_Closure closure, void *call)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	struct routing *routing = routing_of(service);
	struct session *session = find_route(routing, input->route_id, input->caller, call);

	if (session == NULL)
		return;
	if (session->record.status == SESSION_OPEN && write_deletion(routing, session) != 0)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
	else
		closure(&reply, call);
}

static void
on_list_clients(Boson__Routing__Routing_Service *service,
		const Boson__Routing__ListClientsRequest *input,
		Boson__Routing__ListClientsReply_Closure closure, void *call)
{
	routing_clients_list(routing_of(service), input, closure, call);
}

static void
on_get_client(Boson__Routing__Routing_Service *service,
	      const Boson__Routing__GetClientRequest *input, Boson__Routing__Client_Closure closure,
	      void *call)
{
	routing_clients_get(routing_of(service), input, closure, call);
}

static void
on_locate_node(Boson__Routing__Routing_Service *service,
	       const Boson__Routing__LocateNodeRequest *input,
	       Boson__Routing__LocateNodeReply_Closure closure, void *call)
{
	Boson__Routing__LocateNodeReply reply = BOSON__ROUTING__LOCATE_NODE_REPLY__INIT;
	const struct routing *routing = routing_of(service);
	const struct table_leg *home;
	Boson__Common__Relay relay;
	uint8_t id[UUID_BYTES];

	if (input->node_id == NULL || uuid_parse(input->node_id, id) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "nodeId");
		return;
	}
	home = table_home_leg(table_find(&routing->table, id));
	if (home == NULL || !routing_links_describe(routing, home->relay->id, &relay)) {
		bus_call_fail_retry(call, BUS_NOT_FOUND, "node_not_attached", 1);
		return;
	}
	reply.relay = &relay;
	reply.has_generation = 1;
	reply.generation = home->generation;
	closure(&reply, call);
}

static void
on_packet_from_node(Boson__Routing__Routing_Service *service,
		    const Boson__Routing__PacketFromNodeRequest *input,
		    Boson__Routing__PacketReply_Closure closure, void *call)
{
	routing_packet_from_node(routing_of(service), input, closure, call);
}

static void
on_packet_from_client(Boson__Routing__Routing_Service *service,
		      const Boson__Routing__PacketFromClientRequest *input,
		      Boson__Routing__PacketReply_Closure closure, void *call)
{
	routing_packet_from_client(routing_of(service), input, closure, call);
}

const Boson__Routing__Routing_Service routing_mailbox = BOSON__ROUTING__ROUTING__INIT(on_);
