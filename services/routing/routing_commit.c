/*
 * routing: what was opened in one turn is written in one transaction, and only then answered. When
 * the store fails, the nodes are told that the sessions are over.
 */
#include "routing/routing_handlers.h"
#include "routing/routing_store.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	TICKET_BACKDATE_MS = 5 * 60 * 1000, /* for relays whose clock is behind */
	URL_BYTES = TABLE_ENDPOINT_BYTES + sizeof("/relay/") + UUID_TEXT_BYTES,
	ADDRESSES_BYTES = 2 * ROUTING_ADDRESS_BYTES + sizeof("/32, /128"),
	DNS_MAX = 4,
};

void
routing_route_fill(const struct session_record *record, Boson__Routing__Route *route,
		   struct routing_route_text *text)
{
	boson__routing__route__init(route);
	uuid_format(record->route_id, text->id);
	uuid_format(record->node_id, text->node_id);
	uuid_format(record->id, text->session_id);
	text->path[0] = text->node_id;
	route->id = text->id;
	route->has_type = 1;
	route->type = BOSON__ROUTING__ROUTE__TYPE__relay;
	route->n_path = 1;
	route->path = text->path;
	route->has_estimated_latency = record->latency_ms > 0;
	route->estimated_latency = record->latency_ms;
	route->has_estimated_bandwidth = record->bandwidth_mbits > 0;
	route->estimated_bandwidth = record->bandwidth_mbits;
	route->has_cost = 1;
	route->cost = record->cost;
	route->has_priority = 1;
	route->priority = 1;
	route->session_id = text->session_id;
	route->status = (char *)(uintptr_t)(record->status == SESSION_OPEN ? "open" : "closed");
	route->has_expires_at = 1;
	route->expires_at = record->expires_wall_ms;
}

static int
sign_ticket(const struct routing *routing, const struct session_record *record,
	    char ret_text[TICKET_TEXT_MAX_BYTES])
{
	struct ticket ticket = {
		.role = TICKET_ROLE_SESSION,
		.not_before_ms = clock_wall_ms() - TICKET_BACKDATE_MS,
		.expires_at_ms = record->expires_wall_ms,
	};

	memcpy(ticket.node_id, record->node_id, UUID_BYTES);
	memcpy(ticket.session_id, record->id, UUID_BYTES);
	strncpy(ticket.group, routing->relay_group, sizeof(ticket.group) - 1);
	return ticket_sign(routing->signer, &ticket, ret_text);
}

/* ---- the answer ---- */

struct answer {
	Boson__Routing__RouteReply reply;
	Boson__Routing__Route route, *routes[1];
	Boson__Routing__SelectedRoute selected;
	Boson__Routing__NodeEndpoint endpoint;
	Boson__Routing__WireguardConfig wireguard;
	struct routing_route_text route_text;
	char client_id[UUID_TEXT_BYTES];
	char ticket[TICKET_TEXT_MAX_BYTES];
	char urls[TABLE_LEGS_MAX][URL_BYTES];
	char *url_pointers[TABLE_LEGS_MAX];
	char addresses[ADDRESSES_BYTES];
	char *dns[DNS_MAX];
};

static void
fill_dns(struct answer *answer, struct routing_request *request)
{
	Boson__Routing__WireguardConfig *wireguard = &answer->wireguard;
	const char *const *configured = request->routing->dns;

	wireguard->dns = answer->dns;
	for (; *configured != NULL && wireguard->n_dns < DNS_MAX; configured++)
		answer->dns[wireguard->n_dns++] = (char *)(uintptr_t)*configured;
	if (wireguard->n_dns > 0)
		return;
	if (request->dns4[0] != '\0')
		answer->dns[wireguard->n_dns++] = request->dns4;
	if (request->dns6[0] != '\0')
		answer->dns[wireguard->n_dns++] = request->dns6;
}

static void
fill_wireguard(struct answer *answer, struct routing_request *request,
	       const struct table_node *node, const struct table_leg *leg)
{
	const struct routing *routing = request->routing;
	Boson__Routing__WireguardConfig *wireguard = &answer->wireguard;

	boson__routing__wireguard_config__init(wireguard);
	(void)snprintf(answer->addresses, sizeof(answer->addresses), "%s%s%s%s%s",
		       request->address4, request->address4[0] != '\0' ? "/32" : "",
		       request->address4[0] != '\0' && request->address6[0] != '\0' ? ", " : "",
		       request->address6, request->address6[0] != '\0' ? "/128" : "");
	wireguard->address = answer->addresses;
	fill_dns(answer, request);
	wireguard->has_mtu = 1;
	wireguard->mtu = routing->mtu;
	if (request->mtu > 0 && request->mtu < routing->mtu)
		wireguard->mtu = request->mtu;
	while (routing->allowed_ips[wireguard->n_allowed_i_ps] != NULL)
		wireguard->n_allowed_i_ps++;
	wireguard->allowed_i_ps = (char **)(uintptr_t)routing->allowed_ips;
	wireguard->peer_public_key = (char *)(uintptr_t)node->public_key;
	if (leg->relay->udp_endpoint[0] != '\0')
		wireguard->endpoint = leg->relay->udp_endpoint;
	wireguard->has_persistent_keepalive = 1;
	wireguard->persistent_keepalive = routing->keepalive_sec;
}

/* The relay that was asked comes first; then the others where this node has a leg. */
static void
fill_endpoints(struct answer *answer, const struct table_leg *const *legs, size_t n,
	       const char *first)
{
	Boson__Routing__SelectedRoute *selected = &answer->selected;

	selected->relay_endpoints = answer->url_pointers;
	for (int others = 0; others < 2; others++)
		for (size_t i = 0; i < n; i++) {
			char *url = answer->urls[selected->n_relay_endpoints];

			if ((strcmp(legs[i]->relay->id, first) != 0) != (others == 1))
				continue;
			(void)snprintf(url, URL_BYTES, "%s/relay/%s",
				       legs[i]->relay->relay_endpoint,
				       answer->route_text.session_id);
			answer->url_pointers[selected->n_relay_endpoints++] = url;
		}
	selected->relay_endpoint = answer->url_pointers[0];
}

/* 0, or -ENOENT when the node lost its last leg while the session was written. */
static int
fill_answer(struct answer *answer, struct routing_request *request)
{
	const struct session_record *record = &request->record;
	const struct table_node *node = table_find(&request->routing->table, record->node_id);
	const struct table_leg *legs[TABLE_LEGS_MAX];
	size_t n = node == NULL ? 0 : choice_legs(node, &request->wish, legs);
	int error;

	if (n == 0)
		return -ENOENT;
	boson__routing__route_reply__init(&answer->reply);
	boson__routing__selected_route__init(&answer->selected);
	boson__routing__node_endpoint__init(&answer->endpoint);
	routing_route_fill(record, &answer->route, &answer->route_text);
	error = sign_ticket(request->routing, record, answer->ticket);
	if (error != 0)
		return error;
	uuid_format(record->client_id, answer->client_id);
	fill_wireguard(answer, request, node, legs[0]);
	fill_endpoints(answer, legs, n, record->relay_id);
	answer->endpoint.node_id = answer->route_text.node_id;
	answer->endpoint.public_key = (char *)(uintptr_t)node->public_key;
	answer->endpoint.has_direct_connection = 1;
	answer->endpoint.wireguard_config = &answer->wireguard;
	answer->selected.id = answer->route_text.id;
	answer->selected.session_id = answer->route_text.session_id;
	answer->selected.relay_ticket = answer->ticket;
	answer->selected.has_expires_at = 1;
	answer->selected.expires_at = record->expires_wall_ms;
	answer->selected.node_endpoint = &answer->endpoint;
	answer->routes[0] = &answer->route;
	answer->reply.n_routes = 1;
	answer->reply.routes = answer->routes;
	answer->reply.selected_route = &answer->selected;
	answer->reply.mint_subject = answer->client_id;
	return 0;
}

/* ---- the commit ---- */

static void
fail(struct routing_request *request, const char *code)
{
	const struct session_record *record = &request->record;

	if (!request->resumes)
		routing_close_unwanted(request->routing, record->node_id, record->relay_id,
				       record->id);
	bus_call_fail_retry(request->call, BUS_UNAVAILABLE, code, 1);
	routing_request_free(request);
}

/* The session moved: its old node need not keep it. */
static void
leave_old_node(struct routing_request *request)
{
	const struct session_record *record = &request->record;

	if (memcmp(request->old_node_id, record->node_id, UUID_BYTES) == 0)
		return;
	routing_close_unwanted(request->routing, request->old_node_id, record->relay_id,
			       record->id);
}

/* It was opened and written, but cannot be used: over again. */
static void
abandon(struct routing *routing, struct session *session)
{
	sessions_close(&routing->sessions, session);
	(void)table_sessions_add(&routing->table, session->record.node_id, -1);
	if (routing_store_set_status(routing->store, session->record.id, SESSION_CLOSING) != 0)
		log_warn("session_not_closed", "error=%d", -EIO);
}

static void
finish(struct routing_request *request)
{
	struct routing *routing = request->routing;
	const struct session *known = sessions_find(&routing->sessions, request->record.id);
	bool was_open = known != NULL && known->record.status == SESSION_OPEN;
	uint8_t known_node_id[UUID_BYTES] = { 0 };
	struct answer answer = { 0 };
	struct session *session;
	int error;

	if (was_open)
		memcpy(known_node_id, known->record.node_id, UUID_BYTES);
	error = sessions_put(&routing->sessions, &request->record,
			     clock_monotonic_ms() + routing->session_lifetime_ms, &session);
	if (error != 0) {
		/* Nobody will ever use its row. */
		if (!request->resumes &&
		    routing_store_remove(routing->store, request->record.id) != 0)
			log_warn("session_not_removed", "error=%d", -EIO);
	} else {
		if (was_open)
			(void)table_sessions_add(&routing->table, known_node_id, -1);
		(void)table_sessions_add(&routing->table, request->record.node_id, 1);
		error = fill_answer(&answer, request);
		if (error != 0)
			abandon(routing, session);
	}
	if (error != 0) {
		log_warn("route_not_answered", "error=%d", error);
		fail(request, "no_node_available");
		return;
	}
	if (request->resumes)
		leave_old_node(request);
	metric_add(routing->routes, 1);
	request->closure(&answer.reply, request->call);
	routing_request_free(request);
}

/* Deleted or ended while its node was asked: what was closed is not opened again by a resume. */
static bool
is_overtaken(const struct routing_request *request)
{
	const struct session *session;

	if (!request->resumes)
		return false;
	session = sessions_find(&request->routing->sessions, request->record.id);
	return session == NULL || session->record.status != SESSION_OPEN;
}

static void
refuse_overtaken(struct routing *routing)
{
	struct routing_request **at = &routing->opened, *request;

	while ((request = *at) != NULL) {
		if (!is_overtaken(request)) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		routing_close_unwanted(routing, request->record.node_id, request->record.relay_id,
				       request->record.id);
		bus_call_fail(request->call, BUS_NOT_FOUND, "session_unknown", "sessionId");
		routing_request_free(request);
	}
}

static int
write_all(struct routing *routing)
{
	int error = store_begin(routing->store);

	for (const struct routing_request *request = routing->opened; error == 0 && request != NULL;
	     request = request->next)
		error = routing_store_put(routing->store, &request->record);
	if (error == 0)
		return store_commit(routing->store);
	store_rollback(routing->store);
	return error;
}

static void
commit_turn(struct loop *loop, void *arg)
{
	struct routing *routing = arg;
	struct routing_request *request;
	int error;

	(void)loop;
	routing->commit_deferred = false;
	refuse_overtaken(routing);
	if (routing->opened == NULL)
		return;
	error = write_all(routing);
	if (error != 0)
		log_warn("routes_not_written", "error=%d", error);
	while ((request = routing->opened) != NULL) {
		routing->opened = request->next;
		if (error != 0)
			fail(request, "store_failed");
		else
			finish(request);
	}
}

void
routing_commit(struct routing_request *request)
{
	struct routing *routing = request->routing;

	request->next = routing->opened;
	routing->opened = request;
	if (routing->commit_deferred)
		return;
	if (loop_defer(routing->context->loop, commit_turn, routing) == 0)
		routing->commit_deferred = true;
	else
		commit_turn(routing->context->loop, routing);
}
