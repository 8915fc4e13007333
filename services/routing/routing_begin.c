/*
 * routing: which session a route request is about: a new one, the one that the client says, or the
 * one that it has; and what becomes of the request when that changes under it.
 */
#include "routing/routing_handlers.h"
#include "routing/routing_liveness.h"

#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_AFTER_SEC = 5 };

/* A fresh session and route id; T47: nothing in them can be guessed. */
static int
new_ids(struct session_record *record)
{
	char text[UUID_TEXT_BYTES];
	int error = uuid_generate_text(text);

	if (error == 0)
		error = uuid_parse(text, record->id);
	if (error == 0)
		error = uuid_generate_text(text);
	if (error == 0)
		error = uuid_parse(text, record->route_id);
	return error;
}

static int
begin_new(struct routing_request *request)
{
	struct session_record *record = &request->record;

	request->is_new = true;
	request->has_row = request->has_old = false;
	request->tried_count = 0;
	record->created_wall_ms = clock_wall_ms();
	memset(record->udp_relay_id, 0, sizeof(record->udp_relay_id));
	memcpy(record->owner, request->owner, sizeof(record->owner));
	record->is_proven = request->is_proven;
	if (routing_holder(record->owner, record->holder) != 0)
		return -EIO;
	return new_ids(record);
}

static void
begin_known(struct routing_request *request, const struct session *session)
{
	request->record = session->record;
	request->record.is_proven = session->record.is_proven || request->is_proven;
	request->is_new = session->record.status == SESSION_OPENING;
	request->has_row = request->has_old = true;
	request->tried_count = 0;
	memcpy(request->old_node_id, session->record.node_id, UUID_BYTES);
	if (!request->is_new && request->wish.has_failed &&
	    memcmp(request->wish.failed, request->old_node_id, UUID_BYTES) == 0)
		routing_liveness_complain(request->routing, &session->record);
}

void
routing_request_take_over(struct routing_request *request)
{
	struct routing *routing = request->routing;
	const struct session *session;
	int error;

	if (routing_follow(routing) != 0) {
		routing_request_fail(request, BUS_UNAVAILABLE, "store_failed");
		return;
	}
	session = sessions_find_client(&routing->sessions, request->record.client_id,
				       &request->record.client_key);
	if (session == NULL) { /* it ended in between */
		routing_request_fail(request, BUS_UNAVAILABLE, "busy");
		return;
	}
	error = routing_check_take_up(session, &request->caller, request->is_proven);
	if (error != 0) {
		routing_request_fail(request, error == -EACCES ? BUS_CONFLICT : BUS_UNAVAILABLE,
				     error == -EACCES ? "client_in_use" : "memory");
		return;
	}
	begin_known(request, session);
	routing_request_try(request);
}

void
routing_request_overtaken(struct routing_request *request)
{
	if (request->is_resume) {
		routing_request_fail(request, BUS_NOT_FOUND, "session_unknown");
		return;
	}
	if (request->is_restarted || begin_new(request) != 0) {
		routing_request_fail(request, BUS_UNAVAILABLE, "busy");
		return;
	}
	request->is_restarted = true;
	routing_request_try(request);
}

static void
fill_request(struct routing_request *request, const Boson__Routing__RouteRequest *input)
{
	const Boson__Common__Caller *caller = input->caller;

	request->is_resume = input->session_id != NULL;
	request->expires_wall_ms = clock_wall_ms() + request->routing->session_lifetime_ms;
	routing_caller_take(&request->caller, caller);
	_Static_assert(sizeof(request->owner) == sizeof(request->caller.subject), "the same");
	memcpy(request->owner, request->caller.subject, sizeof(request->owner));
}

static bool
has_room(const struct routing *routing, const struct routing_request *request)
{
	size_t max = routing_is_token(request->owner) ? routing->sessions_per_client
						      : routing->sessions_per_key;

	return max == 0 || sessions_of_owner(&routing->sessions, request->owner) < max;
}

static struct routing_request *
make(struct routing *routing, const struct session *known, void *call)
{
	struct routing_request *request = NULL;

	if (routing->in_flight < ROUTING_IN_FLIGHT_MAX &&
	    (known != NULL || routing->sessions.living + routing->in_flight < SESSIONS_MAX))
		request = calloc(1, sizeof(*request));
	if (request == NULL)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "overloaded", RETRY_AFTER_SEC);
	return request;
}

void
routing_request_start(struct routing *routing, const Boson__Routing__RouteRequest *input,
		      const struct routing_wish *wish, const struct session *known, bool is_proven,
		      Boson__Routing__RouteReply_Closure closure, void *call)
{
	struct routing_request *request = make(routing, known, call);
	struct session_record *record;
	int error;

	if (request == NULL)
		return;
	routing->in_flight++;
	request->routing = routing;
	request->closure = closure;
	request->call = call;
	request->wish = *wish;
	request->is_proven = is_proven;
	record = &request->record;
	fill_request(request, input);
	error = uuid_parse(input->client_id, record->client_id);
	if (error == 0)
		error = key_parse(input->public_key, &record->client_key);
	if (error == 0 && known != NULL)
		begin_known(request, known);
	else if (error == 0)
		error = begin_new(request);
	if (error != 0)
		routing_request_fail(request, BUS_UNAVAILABLE, "memory");
	else if (known == NULL && !has_room(routing, request))
		routing_request_fail(request, BUS_LIMITED, "sessions");
	else
		routing_request_try(request);
}
