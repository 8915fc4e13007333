/* routing_clients: see the header. */
#include "routing/routing_clients.h"
#include "routing/routing_access.h"
#include "routing/routing_store.h"

#include "loop/clock.h"
#include "relay.pb-c.h"
#include "service/caller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LIST_DEFAULT = 50,
	LIST_MAX = 200, /* of 270 bytes each at most: a page is within BUS_MESSAGE_MAX_BYTES */
	FLOWS_TIMEOUT_MS = 1000,
};

/* A Client and what it points to. */
struct client_view {
	Boson__Routing__Client client;
	char client_id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES];
	char session_id[UUID_TEXT_BYTES], route_id[UUID_TEXT_BYTES];
	char public_key[KEY_TEXT_BYTES];
	char connected_at[CLOCK_ISO8601_BYTES], expires_at[CLOCK_ISO8601_BYTES];
};

static void
fill_view(struct client_view *view, const struct session_record *record, int64_t open)
{
	Boson__Routing__Client *client = &view->client;

	boson__routing__client__init(client);
	uuid_format(record->client_id, view->client_id);
	uuid_format(record->node_id, view->node_id);
	uuid_format(record->id, view->session_id);
	uuid_format(record->route_id, view->route_id);
	key_format(&record->client_key, view->public_key);
	clock_format_iso8601(record->created_wall_ms, view->connected_at);
	clock_format_iso8601(record->expires_wall_ms, view->expires_at);
	client->client_id = view->client_id;
	client->public_key = view->public_key;
	client->status =
		(char *)(uintptr_t)(record->status == SESSION_OPEN ? "connected" : "disconnected");
	client->node_id = view->node_id;
	client->session_id = view->session_id;
	client->route_id = view->route_id;
	client->connected_at = view->connected_at;
	client->expires_at = view->expires_at;
	client->has_sessions = 1;
	client->sessions = (uint32_t)open;
}

/* ---- ListClients ---- */

struct client_page {
	struct client_view views[LIST_MAX];
	Boson__Routing__Client *clients[LIST_MAX];
	size_t count, limit;
	bool more;
};

static int
add_to_page(const struct session_record *record, int64_t open, void *arg)
{
	struct client_page *page = arg;

	if (page->count == page->limit) {
		page->more = true;
		return 0;
	}
	fill_view(&page->views[page->count], record, open);
	page->clients[page->count] = &page->views[page->count].client;
	page->count++;
	return 0;
}

static void
answer_page(struct routing *routing, const char *after, struct client_page *page,
	    Boson__Routing__ListClientsReply_Closure closure, void *call)
{
	Boson__Routing__ListClientsReply reply = BOSON__ROUTING__LIST_CLIENTS_REPLY__INIT;

	if (routing_store_clients(routing->store, after, page->limit + 1, add_to_page, page) != 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
		return;
	}
	reply.n_clients = page->count;
	reply.clients = page->clients;
	reply.has_count = 1;
	reply.count = (uint32_t)page->count;
	if (page->more)
		reply.next_cursor = page->views[page->count - 1].client_id;
	closure(&reply, call);
}

void
routing_clients_list(struct routing *routing, const Boson__Routing__ListClientsRequest *input,
		     Boson__Routing__ListClientsReply_Closure closure, void *call)
{
	uint32_t limit = input->has_limit ? input->limit : LIST_DEFAULT;
	const char *after = input->cursor == NULL ? "" : input->cursor;
	uint8_t id[UUID_BYTES];
	struct client_page *page;

	if (!caller_is_admin(input->caller)) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return;
	}
	if (limit == 0 || limit > LIST_MAX) {
		bus_call_fail(call, BUS_INVALID, "range", "limit");
		return;
	}
	if (after[0] != '\0' && uuid_parse(after, id) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "cursor");
		return;
	}
	page = calloc(1, sizeof(*page));
	if (page == NULL) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
		return;
	}
	page->limit = limit;
	answer_page(routing, after, page, closure, call);
	free(page);
}

/* ---- GetClient ---- */

struct lookup {
	struct routing *routing;
	Boson__Routing__Client_Closure closure;
	void *call;
	struct bus_peer *peer;
	struct client_view view;
	bool found;
};

static int
take_client(const struct session_record *record, int64_t open, void *arg)
{
	struct lookup *lookup = arg;

	fill_view(&lookup->view, record, open);
	lookup->found = true;
	return 0;
}

/* A relay that does not know, or does not answer, costs the bytes, not the answer. */
static void
on_flows(const Boson__Relay__ListFlowsReply *reply, void *arg)
{
	struct lookup *lookup = arg;
	Boson__Routing__Client *client = &lookup->view.client;

	if (reply != NULL && reply->has_bytes_up && reply->has_bytes_down) {
		client->has_bytes_up = client->has_bytes_down = 1;
		client->bytes_up = reply->bytes_up;
		client->bytes_down = reply->bytes_down;
	}
	lookup->closure(client, lookup->call);
	free(lookup);
}

static bool
ask_bytes(struct lookup *lookup)
{
	Boson__Relay__ListFlowsRequest request = BOSON__RELAY__LIST_FLOWS_REQUEST__INIT;
	const Boson__Routing__Client *client = &lookup->view.client;
	uint8_t node_id[UUID_BYTES];
	const struct table_leg *home;
	struct bus_peer *peer;

	if (client->sessions == 0 || uuid_parse(client->node_id, node_id) != 0)
		return false;
	home = table_home_leg(table_find(&lookup->routing->table, node_id));
	peer = home == NULL ? NULL : routing_links_peer(lookup->routing, home->relay->id);
	if (peer == NULL)
		return false;
	request.session_id = client->session_id;
	request.node_id = client->node_id;
	bus_peer_next(peer, FLOWS_TIMEOUT_MS, bus_call_trace(lookup->call));
	boson__relay__relay__list_flows(bus_peer_service(peer), &request, on_flows, lookup);
	return true;
}

void
routing_clients_get(struct routing *routing, const Boson__Routing__GetClientRequest *input,
		    Boson__Routing__Client_Closure closure, void *call)
{
	struct lookup *lookup;
	uint8_t id[UUID_BYTES];

	if (!caller_is_admin(input->caller)) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return;
	}
	if (input->client_id == NULL || uuid_parse(input->client_id, id) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "clientId");
		return;
	}
	lookup = calloc(1, sizeof(*lookup));
	if (lookup == NULL) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
		return;
	}
	*lookup = (struct lookup){ .routing = routing, .closure = closure, .call = call };
	if (routing_store_client(routing->store, id, take_client, lookup) != 0)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
	else if (!lookup->found)
		bus_call_fail(call, BUS_NOT_FOUND, "client_unknown", NULL);
	else if (ask_bytes(lookup))
		return;
	else
		closure(&lookup->view.client, call);
	free(lookup);
}
