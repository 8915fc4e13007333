/*
 * routing_binding: tells relays which sessions a stock WireGuard app may use over UDP, and tells
 * them again when the node has a new leg: its relay started anew, or the node went to another.
 */
#pragma once

#include "relay.pb-c.h"
#include "routing/routing_handlers.h"

struct binding {
	struct routing *routing;
	struct bus_peer *peer;
	uint8_t session_id[UUID_BYTES];
	char relay_id[ROUTING_RELAY_ID_BYTES];
	uint64_t told; /* of the leg that it is for */

	/* Of a registration; NULL when it is ours. */
	Boson__Routing__WireguardReply_Closure closure;
	void *call;
};

/* Where an app is told to send to: the relay that has its node's leg. One that drains, or has no
 * UDP, gives way to the least loaded that can carry it there; then it stays what it is. NULL: no
 * UDP. */
const struct table_relay *routing_binding_place(const struct routing *routing,
						const struct table_leg *home);

/* For one session at one relay, or NULL: not connected, or out of memory. The caller's, and in the
 * end on_bound's, to free. */
struct binding *routing_binding_new(struct routing *routing, const struct session *session,
				    const struct table_relay *relay);

/* client_address: as the gateway saw it, or NULL. */
void routing_binding_send(struct binding *binding, const struct session_record *record,
			  const struct table_node *node, const char *client_address,
			  void (*on_bound)(const Boson__Common__Empty *reply, void *binding));

/* Is there a relay where the app of a session may turn up, beside the one that it was told? */
bool routing_binding_is_wanted_elsewhere(const struct routing *routing,
					 const struct session_record *record);

/* At each relay where its app may turn up. Nobody waits: what is not unbound ends with the session.
 */
void routing_unbind(struct routing *routing, const struct session_record *record);

/* Binds those again whose node has a new leg. The sweeper's. */
void routing_binding_tick(struct routing *routing);
