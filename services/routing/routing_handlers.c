/* routing's mailbox: one function for each rpc. The drawing is in routing_handlers.h. */
#include "routing/routing_handlers.h"
#include "routing/routing_check.h"
#include "routing/routing_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct routing *
routing_of(Boson__Routing__Routing_Service *service)
{
	return (struct routing *)service;
}

static Boson__Common__Caller__Role
role_of(const Boson__Common__Caller *caller)
{
	return caller != NULL && caller->has_role ? caller->role
						  : BOSON__COMMON__CALLER__ROLE__ANYONE;
}

/* A client's own token names the client; an access key, whose subject is no UUID, may speak for any
 * client. */
static bool
may_request(const Boson__Common__Caller *caller, const char *client_id)
{
	uint8_t id[UUID_BYTES];

	if (role_of(caller) == BOSON__COMMON__CALLER__ROLE__ADMIN)
		return true;
	if (role_of(caller) != BOSON__COMMON__CALLER__ROLE__CLIENT || caller->subject == NULL)
		return false;
	return uuid_parse(caller->subject, id) != 0 || strcmp(caller->subject, client_id) == 0;
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
	if (!may_request(input->caller, input->client_id)) {
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
	if (session != NULL && role_of(caller) == BOSON__COMMON__CALLER__ROLE__ADMIN)
		return session;
	if (session != NULL && role_of(caller) == BOSON__COMMON__CALLER__ROLE__CLIENT &&
	    caller->subject != NULL) {
		uuid_format(session->record.client_id, client_id);
		if (strcmp(caller->subject, client_id) == 0)
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

const Boson__Routing__Routing_Service routing_mailbox = BOSON__ROUTING__ROUTING__INIT(on_);
