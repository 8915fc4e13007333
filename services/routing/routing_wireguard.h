/*
 * routing_wireguard: stock WireGuard apps: a session may be used over UDP at the relay that has the
 * node's leg (routing_binding).
 */
#pragma once

#include "routing/routing_handlers.h"

void routing_wireguard_register(struct routing *routing,
				const Boson__Routing__RegisterWireguardRequest *input,
				Boson__Routing__WireguardReply_Closure closure, void *call);
void routing_wireguard_unregister(struct routing *routing,
				  const Boson__Routing__UnregisterWireguardRequest *input,
				  Boson__Routing__WireguardReply_Closure closure, void *call);
