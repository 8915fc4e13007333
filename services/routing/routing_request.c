/*
 * routing: a route request until a node said yes: a node is picked, asked through its home relay to
 * open the session, and passed over when it refuses or is silent; then the next. So an answer is a
 * working route, not a hope.
 */
#include "routing/routing_handlers.h"

#include "log/log.h"
#include "loop/clock.h"
#include "net/address.h"
#include "relay.pb-c.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_AFTER_SEC = 5 };

static void try_next(struct routing_request *request);

void
routing_request_free(struct routing_request *request)
{
	request->routing->in_flight--;
	free(request);
}

static void
give_up(struct routing_request *request)
{
	struct routing *routing = request->routing;

	metric_add(routing->unserved, 1);
	if (request->tried_count == 0 && !request->resumes &&
	    !choice_is_possible(&routing->table, &request->wish))
		bus_call_fail(request->call, BUS_NOT_FOUND, "no_suitable_node", NULL);
	else
		bus_call_fail_retry(request->call, BUS_UNAVAILABLE, "no_node_available",
				    RETRY_AFTER_SEC);
	routing_request_free(request);
}

static bool
was_tried(const struct routing_request *request, const uint8_t id[UUID_BYTES])
{
	for (size_t i = 0; i < request->tried_count; i++)
		if (memcmp(request->tried[i], id, UUID_BYTES) == 0)
			return true;
	return false;
}

/* A session that is taken up again goes to its node while that can be reached; else, and for a new
 * one, the choice decides. */
static struct table_node *
pick(const struct routing_request *request)
{
	const struct table *table = &request->routing->table;
	struct table_node *excluded[CHOICE_EXCLUDED_MAX];
	struct table_node *old;
	size_t n = 0;

	if (request->resumes && !was_tried(request, request->old_node_id)) {
		old = table_find(table, request->old_node_id);
		if (old != NULL && old->pooled)
			return old;
	}
	for (size_t i = 0; i < request->tried_count; i++) {
		struct table_node *node = table_find(table, request->tried[i]);

		if (node != NULL)
			excluded[n++] = node;
	}
	return choice_pick(table, &request->wish, excluded, n, clock_monotonic_ms(),
			   &request->routing->random);
}

/* An address in its canonical form, or "" when there is none. -EINVAL for anything else: what a
 * node says goes into a client's configuration. */
static int
take_address(const char *text, int family, char ret_text[ROUTING_ADDRESS_BYTES])
{
	uint8_t address[sizeof(struct in6_addr)];

	ret_text[0] = '\0';
	if (text == NULL || text[0] == '\0')
		return 0;
	if (inet_pton(family, text, address) != 1 ||
	    inet_ntop(family, address, ret_text, ROUTING_ADDRESS_BYTES) == NULL)
		return -EINVAL;
	return 0;
}

static bool
is_good_answer(struct routing_request *request, const struct table_node *node,
	       const Boson__Link__SessionOpened *opened)
{
	if (take_address(opened->address4, AF_INET, request->address4) != 0 ||
	    take_address(opened->address6, AF_INET6, request->address6) != 0 ||
	    take_address(opened->dns4, AF_INET, request->dns4) != 0 ||
	    take_address(opened->dns6, AF_INET6, request->dns6) != 0 ||
	    (request->address4[0] == '\0' && request->address6[0] == '\0'))
		return false;
	request->mtu = opened->has_mtu ? opened->mtu : 0;
	/* Its key is what it enrolled with: a relay cannot put another in its place (T21). */
	return opened->node_public_key == NULL || node == NULL ||
	       strcmp(opened->node_public_key, node->public_key) == 0;
}

static void
note_failure(struct routing_request *request, struct table_node *node)
{
	const struct session_record *record = &request->record;
	bool is_old =
		request->resumes && memcmp(record->node_id, request->old_node_id, UUID_BYTES) == 0;

	if (node != NULL)
		choice_note_failure(node, clock_monotonic_ms());
	/* It may open the session yet, after we have given up on it; an old one may still be in
	 * use there. */
	if (!is_old)
		routing_close_unwanted(request->routing, record->node_id, record->relay_id,
				       record->id);
}

static void
on_opened(const Boson__Relay__OpenSessionReply *reply, void *arg)
{
	struct routing_request *request = arg;
	struct routing *routing = request->routing;
	const Boson__Link__SessionOpened *opened = reply == NULL ? NULL : reply->opened;
	struct table_node *node;

	if (routing->stopping) {
		bus_call_fail(request->call, BUS_UNAVAILABLE, "stopping", NULL);
		routing_request_free(request);
		return;
	}
	node = table_find(&routing->table, request->record.node_id);
	if (opened != NULL && opened->has_result &&
	    opened->result == BOSON__LINK__SESSION_OPENED__RESULT__OK &&
	    is_good_answer(request, node, opened)) {
		if (node != NULL)
			choice_note_success(node);
		routing_commit(request);
		return;
	}
	if (opened != NULL && opened->result == BOSON__LINK__SESSION_OPENED__RESULT__FULL) {
		metric_add(routing->refusals, 1);
		if (node != NULL)
			choice_note_full(node, clock_monotonic_ms());
	} else if (opened != NULL &&
		   opened->result == BOSON__LINK__SESSION_OPENED__RESULT__REFUSED) {
		metric_add(routing->refusals, 1);
		if (node != NULL)
			choice_note_failure(node, clock_monotonic_ms());
	} else {
		metric_add(routing->silences, 1);
		note_failure(request, node);
	}
	try_next(request);
}

static void
ask(struct routing_request *request, struct bus_peer *peer)
{
	Boson__Relay__OpenSessionRequest open = BOSON__RELAY__OPEN_SESSION_REQUEST__INIT;
	Boson__Link__SessionOpen session = BOSON__LINK__SESSION_OPEN__INIT;
	const struct session_record *record = &request->record;
	char node_id[UUID_TEXT_BYTES], session_id[UUID_TEXT_BYTES], client_id[UUID_TEXT_BYTES];
	char client_key[KEY_TEXT_BYTES];

	uuid_format(record->node_id, node_id);
	uuid_format(record->id, session_id);
	uuid_format(record->client_id, client_id);
	key_format(&record->client_key, client_key);
	session.session_id = session_id;
	session.client_id = client_id;
	session.client_public_key = client_key;
	session.has_expires_at = 1;
	session.expires_at = record->expires_wall_ms;
	open.node_id = node_id;
	open.session = &session;
	request->peer = peer;
	bus_peer_next(peer, (uint32_t)request->routing->answer_timeout_ms,
		      bus_call_trace(request->call));
	boson__relay__relay__open_session(bus_peer_service(peer), &open, on_opened, request);
}

static void
try_next(struct routing_request *request)
{
	struct routing *routing = request->routing;
	const struct table_leg *legs[TABLE_LEGS_MAX];
	struct table_node *node = NULL;
	struct bus_peer *peer = NULL;

	while (peer == NULL) {
		if (request->tried_count == routing->candidates ||
		    clock_monotonic_ms() >= bus_call_deadline_ms(request->call))
			node = NULL;
		else
			node = pick(request);
		if (node == NULL || choice_legs(node, &request->wish, legs) == 0) {
			give_up(request);
			return;
		}
		memcpy(request->tried[request->tried_count++], node->id, UUID_BYTES);
		memcpy(request->record.node_id, node->id, UUID_BYTES);
		peer = routing_links_peer(routing, legs[0]->relay->id);
	}
	memcpy(request->record.relay_id, legs[0]->relay->id, sizeof(request->record.relay_id));
	request->record.latency_ms = choice_latency_ms(legs[0], &request->wish);
	request->record.bandwidth_mbits = choice_bandwidth_mbits(node);
	request->record.cost = choice_cost(node, legs[0], &request->wish);
	ask(request, peer);
}

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
begin_record(struct routing_request *request, const Boson__Routing__RouteRequest *input,
	     const struct session *resumed)
{
	struct session_record *record = &request->record;
	int64_t now_ms = clock_wall_ms();
	int error = 0;

	if (resumed != NULL) {
		*record = resumed->record;
		request->resumes = true;
		memcpy(request->old_node_id, record->node_id, UUID_BYTES);
	} else {
		error = new_ids(record);
		record->created_wall_ms = now_ms;
	}
	record->status = SESSION_OPEN;
	record->expires_wall_ms = now_ms + request->routing->session_lifetime_ms;
	if (error == 0)
		error = uuid_parse(input->client_id, record->client_id);
	if (error == 0)
		error = key_parse(input->public_key, &record->client_key);
	return error;
}

void
routing_request_start(struct routing *routing, const Boson__Routing__RouteRequest *input,
		      const struct routing_wish *wish, const struct session *resumed,
		      Boson__Routing__RouteReply_Closure closure, void *call)
{
	struct routing_request *request;

	if (routing->in_flight >= ROUTING_IN_FLIGHT_MAX ||
	    routing->sessions.count + routing->in_flight >= SESSIONS_MAX) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "overloaded", RETRY_AFTER_SEC);
		return;
	}
	request = calloc(1, sizeof(*request));
	if (request == NULL) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", RETRY_AFTER_SEC);
		return;
	}
	routing->in_flight++;
	request->routing = routing;
	request->closure = closure;
	request->call = call;
	request->wish = *wish;
	if (begin_record(request, input, resumed) != 0) {
		bus_call_fail(call, BUS_INTERNAL, "ids", NULL);
		routing_request_free(request);
		return;
	}
	try_next(request);
}
