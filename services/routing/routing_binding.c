/* routing_binding: see the header. */
#include "routing/routing_binding.h"

#include <stdlib.h>
#include <string.h>

enum {
	BIND_TIMEOUT_MS = 2000,
	BIND_AGAIN_MAX = 256, /* in one tick */
};

void
routing_binding_send(struct binding *binding, const struct session_record *record,
		     const struct table_node *node, const char *client_address,
		     void (*on_bound)(const Boson__Common__Empty *reply, void *binding))
{
	Boson__Relay__BindUdpRequest request = BOSON__RELAY__BIND_UDP_REQUEST__INIT;
	char session_id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES], client_key[KEY_TEXT_BYTES];

	uuid_format(record->id, session_id);
	uuid_format(record->node_id, node_id);
	key_format(&record->client_key, client_key);
	request.session_id = session_id;
	request.node_id = node_id;
	request.node_public_key = (char *)(uintptr_t)node->public_key;
	request.client_public_key = client_key;
	request.has_expires_at = 1;
	request.expires_at = record->expires_wall_ms;
	request.client_address = (char *)(uintptr_t)client_address;
	bus_peer_next(binding->peer, BIND_TIMEOUT_MS,
		      binding->call == NULL ? NULL : bus_call_trace(binding->call));
	boson__relay__relay__bind_udp(bus_peer_service(binding->peer), &request, on_bound, binding);
}

struct binding *
routing_binding_new(struct routing *routing, const struct session *session,
		    const struct table_relay *relay)
{
	struct bus_peer *peer = routing_links_peer(routing, relay->id);
	struct binding *binding = peer == NULL ? NULL : calloc(1, sizeof(*binding));

	if (binding == NULL)
		return NULL;
	binding->routing = routing;
	binding->peer = peer;
	memcpy(binding->session_id, session->record.id, UUID_BYTES);
	memcpy(binding->relay_id, relay->id, sizeof(binding->relay_id));
	return binding;
}

static void
on_unbound(const Boson__Common__Empty *reply, void *arg)
{
	(void)reply; /* what is not unbound ends with the session */
	(void)arg;
}

static void
unbind_at(struct routing *routing, const struct session_record *record, const char *relay_id)
{
	Boson__Relay__UnbindUdpRequest request = BOSON__RELAY__UNBIND_UDP_REQUEST__INIT;
	struct bus_peer *peer = routing_links_peer(routing, relay_id);
	char session_id[UUID_TEXT_BYTES];

	if (peer == NULL)
		return;
	uuid_format(record->id, session_id);
	request.session_id = session_id;
	bus_peer_next(peer, BIND_TIMEOUT_MS, NULL);
	boson__relay__relay__unbind_udp(bus_peer_service(peer), &request, on_unbound, NULL);
}

/* ---- where an app may turn up ---- */

static bool
can_stand_in(const struct table_relay *relay)
{
	return relay->alive && !relay->draining && relay->udp_endpoint[0] != '\0';
}

const struct table_relay *
routing_binding_place(const struct routing *routing, const struct table_leg *home)
{
	const struct table *table = &routing->table;
	const struct table_relay *place = NULL;

	if (can_stand_in(home->relay))
		return home->relay;
	for (size_t i = 0; routing->has_cascade && i < table->relay_count; i++)
		if (can_stand_in(table->relays[i]) &&
		    (place == NULL || table->relays[i]->load < place->load))
			place = table->relays[i];
	if (place == NULL && home->relay->udp_endpoint[0] != '\0')
		place = home->relay;
	return place;
}

/* At the relay that has the leg, at the one that the app was told, and at those that share its
 * name: an app asks for the address anew. */
static bool
is_place(const struct table_relay *relay, const struct table_leg *home,
	 const struct table_relay *told)
{
	return relay->alive && relay->udp_endpoint[0] != '\0' &&
	       ((home != NULL && relay == home->relay) || relay == told ||
		(told != NULL && strcmp(relay->udp_endpoint, told->udp_endpoint) == 0));
}

bool
routing_binding_is_wanted_elsewhere(const struct routing *routing,
				    const struct session_record *record)
{
	const struct table *table = &routing->table;
	const struct table_leg *home = table_home_leg(table_find(table, record->node_id));
	const struct table_relay *told = table_relay_find(table, record->udp_relay_id);

	for (size_t i = 0; i < table->relay_count; i++)
		if (table->relays[i] != told && is_place(table->relays[i], home, told))
			return true;
	return false;
}

void
routing_unbind(struct routing *routing, const struct session_record *record)
{
	const struct table *table = &routing->table;
	const struct table_leg *home = table_home_leg(table_find(table, record->node_id));
	const struct table_relay *told = table_relay_find(table, record->udp_relay_id);

	for (size_t i = 0; i < table->relay_count; i++)
		if (is_place(table->relays[i], home, told))
			unbind_at(routing, record, table->relays[i]->id);
}

/* ---- the node has a new leg ---- */

static void
on_bound_again(const Boson__Common__Empty *reply, void *arg)
{
	struct binding *binding = arg;
	struct routing *routing = binding->routing;

	if (reply == NULL && !routing->stopping) {
		struct session *session = sessions_find(&routing->sessions, binding->session_id);

		if (session != NULL)
			session->bound_told = 0;
		routing->bound_told = 0; /* look again */
	}
	free(binding);
}

static void
bind_at(struct routing *routing, const struct session *session, const struct table_node *node,
	const struct table_relay *relay)
{
	struct binding *binding = routing_binding_new(routing, session, relay);

	if (binding != NULL)
		routing_binding_send(binding, &session->record, node, NULL, on_bound_again);
}

static void
bind_again(struct routing *routing, struct session *session, const struct table_node *node,
	   const struct table_leg *home)
{
	const struct table *table = &routing->table;
	const struct table_relay *told = table_relay_find(table, session->record.udp_relay_id);

	session->bound_told = home->told;
	session->bound_at = table->told;
	for (size_t i = 0; i < table->relay_count; i++)
		if (is_place(table->relays[i], home, told))
			bind_at(routing, session, node, table->relays[i]);
}

/* The node has a new leg, or one of its places may have started anew. */
static bool
is_due(const struct routing *routing, const struct session *session, const struct table_leg *home)
{
	const struct table *table = &routing->table;
	const struct table_relay *told = table_relay_find(table, session->record.udp_relay_id);

	if (home->told != session->bound_told)
		return true;
	for (size_t i = 0; i < table->relay_count; i++)
		if (table->relays[i]->told > session->bound_at &&
		    is_place(table->relays[i], home, told))
			return true;
	return false;
}

void
routing_binding_tick(struct routing *routing)
{
	uint64_t told = routing->table.told;
	size_t n = 0;

	if (routing->bound_told == told)
		return;
	for (struct session *session = routing->sessions.bound; session != NULL;
	     session = session->bound_next) {
		const struct table_node *node =
			table_find(&routing->table, session->record.node_id);
		const struct table_leg *home = table_home_leg(node);

		if (home == NULL || !is_due(routing, session, home))
			continue;
		if (n++ == BIND_AGAIN_MAX)
			return; /* the rest with the next tick */
		bind_again(routing, session, node, home);
	}
	routing->bound_told = told;
}
