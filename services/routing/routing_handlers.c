/* routing's mailbox: one function for each rpc. The drawing is in routing_handlers.h. */
#include "routing/routing_handlers.h"
#include "routing/routing_access.h"
#include "routing/routing_check.h"
#include "routing/routing_claim.h"
#include "routing/routing_clients.h"
#include "routing/routing_packets.h"
#include "routing/routing_proof.h"
#include "routing/routing_store.h"
#include "routing/routing_wireguard.h"

#include "service/caller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct routing *
routing_of(Boson__Routing__Routing_Service *service)
{
	return (struct routing *)service;
}

static void
on_challenge(Boson__Routing__Routing_Service *service,
	     const Boson__Routing__ChallengeRequest *input,
	     Boson__Common__ChallengeReply_Closure closure, void *call)
{
	routing_proof_challenge(routing_of(service), input, closure, call);
}

static void
on_request_route(Boson__Routing__Routing_Service *service,
		 const Boson__Routing__RouteRequest *input,
		 Boson__Routing__RouteReply_Closure closure, void *call)
{
	struct routing *routing = routing_of(service);
	struct field_problem problem;
	struct routing_wish wish;

	if (routing_check_request(input, &wish, &problem) != 0)
		bus_call_fail(call, BUS_INVALID, problem.code, problem.field);
	else if (!routing_may_speak_for(input->caller, input->client_id))
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
	else if (!routing_has_candidates(routing) || !routing_links_are_settled(routing))
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "starting", 1);
	else if (routing->store == NULL)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
	else
		routing_claim_start(routing, input, &wish, closure, call);
}

/* The session of a route that this caller may see, or answers: another's looks unknown. */
static struct session *
find_route(struct routing *routing, const char *route_id, const Boson__Common__Caller *caller,
	   void *call)
{
	bool is_current = routing_follow(routing) == 0;
	struct routing_caller asking;
	struct session *session;
	uint8_t id[UUID_BYTES];
	int error = -EACCES;

	if (route_id == NULL || uuid_parse(route_id, id) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "routeId");
		return NULL;
	}
	session = sessions_find_route(&routing->sessions, id);
	routing_caller_take(&asking, caller);
	if (session != NULL)
		error = caller_is_admin(caller) ? 0 : routing_check_client(session, &asking);
	if (error == 0)
		return session;
	/* F13, F32: a store that does not answer makes nothing unknown, nor does a lack of memory.
	 */
	if (error == -EIO)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
	else if (is_current)
		bus_call_fail(call, BUS_NOT_FOUND, "route_unknown", NULL);
	else
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
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

static void
close_deleted(struct routing *routing, const struct session_record *before,
	      const struct session *session)
{
	(void)before;
	routing_tell(routing, &session->record);
	routing_close_session(routing, session);
}

/* One that has ended already is as good. */
static int
delete_session(struct routing *routing, const struct session *session)
{
	struct session_record record = session->record;
	int error;

	if (!session_lives(record.status))
		return 0;
	record.status = SESSION_CLOSING;
	error = routing_change(routing, session, &record, close_deleted);
	return error == -ESTALE ? 0 : error;
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
	if (delete_session(routing, session) != 0)
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

static void
on_register_wireguard(Boson__Routing__Routing_Service *service,
		      const Boson__Routing__RegisterWireguardRequest *input,
		      Boson__Routing__WireguardReply_Closure closure, void *call)
{
	routing_wireguard_register(routing_of(service), input, closure, call);
}

static void
on_unregister_wireguard(Boson__Routing__Routing_Service *service,
			const Boson__Routing__UnregisterWireguardRequest *input,
			Boson__Routing__WireguardReply_Closure closure, void *call)
{
	routing_wireguard_unregister(routing_of(service), input, closure, call);
}

const Boson__Routing__Routing_Service routing_mailbox = BOSON__ROUTING__ROUTING__INIT(on_);
