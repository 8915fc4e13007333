/*
 * routing_wireguard: stock WireGuard apps: a session may be used over UDP at the relay that has the
 * node's leg. Told again when that leg is a new one: the relay started anew, or the node went to
 * another.
 */
#pragma once

#include "routing/routing_handlers.h"

void routing_wireguard_register(struct routing *routing,
				const Boson__Routing__RegisterWireguardRequest *input,
				Boson__Routing__WireguardReply_Closure closure, void *call);
void routing_wireguard_unregister(struct routing *routing,
				  const Boson__Routing__UnregisterWireguardRequest *input,
				  Boson__Routing__WireguardReply_Closure closure, void *call);

/* Binds those again whose node has a new leg. The sweeper's. */
void routing_wireguard_tick(struct routing *routing);
