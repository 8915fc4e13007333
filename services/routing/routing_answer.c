/* routing: what a client is told of its route: where to go, with which ticket, with which keys. */
#include "routing/routing_binding.h"
#include "routing/routing_handlers.h"

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

/* The client enters at another relay than the one that has the node's leg. Nothing is `direct`:
 * nobody checks yet that a client reaches its node without a relay. */
static bool
is_cascade(const struct session_record *record)
{
	return record->entry_relay_id[0] != '\0' &&
	       strcmp(record->entry_relay_id, record->relay_id) != 0;
}

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
	route->type = is_cascade(record) ? BOSON__ROUTING__ROUTE__TYPE__cascade
					 : BOSON__ROUTING__ROUTE__TYPE__relay;
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
	route->status = (char *)(uintptr_t)(session_lives(record->status) ? "open" : "closed");
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
	char token_subject[ROUTING_TOKEN_BYTES];
	char ticket[TICKET_TEXT_MAX_BYTES];
	char urls[CHOICE_ENTRIES_MAX][URL_BYTES];
	char *url_pointers[CHOICE_ENTRIES_MAX];
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
	const struct table_relay *place;

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
	place = routing_binding_place(routing, leg);
	if (place != NULL)
		wireguard->endpoint = (char *)(uintptr_t)place->udp_endpoint;
	wireguard->has_persistent_keepalive = 1;
	wireguard->persistent_keepalive = routing->keepalive_sec;
}

static void
fill_endpoints(struct answer *answer, const struct table_relay *const *entries, size_t n)
{
	Boson__Routing__SelectedRoute *selected = &answer->selected;

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(answer->urls[i], URL_BYTES, "%s/relay/%s",
			       entries[i]->relay_endpoint, answer->route_text.session_id);
		answer->url_pointers[i] = answer->urls[i];
	}
	selected->n_relay_endpoints = n;
	selected->relay_endpoints = answer->url_pointers;
	selected->relay_endpoint = answer->url_pointers[0];
}

/* 0, or -ENOENT when the node lost its last leg while the session was written. */
static int
fill_answer(struct answer *answer, struct routing_request *request)
{
	const struct session_record *record = &request->record;
	const struct table_node *node = table_find(&request->routing->table, record->node_id);
	const struct routing *routing = request->routing;
	const struct table_relay *entries[CHOICE_ENTRIES_MAX];
	size_t n = node == NULL ? 0
				: choice_entries(&routing->table, node, &request->wish,
						 routing->has_cascade, entries);
	int error;

	if (n == 0)
		return -ENOENT;
	boson__routing__route_reply__init(&answer->reply);
	boson__routing__selected_route__init(&answer->selected);
	boson__routing__node_endpoint__init(&answer->endpoint);
	routing_route_fill(record, &answer->route, &answer->route_text);
	error = sign_ticket(request->routing, record, answer->ticket);
	if (error == 0)
		error = routing_token_subject(record->client_id, record->owner,
					      answer->token_subject);
	if (error != 0)
		return error;
	fill_wireguard(answer, request, node, table_home_leg(node));
	fill_endpoints(answer, entries, n);
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
	answer->reply.mint_subject = answer->token_subject;
	return 0;
}

int
routing_answer(struct routing_request *request)
{
	struct answer answer = { 0 };
	int error = fill_answer(&answer, request);

	if (error == 0)
		request->closure(&answer.reply, request->call);
	return error;
}
