/*
 * routing_clients: ListClients and GetClient. Read from the store, so that any replica tells the
 * same; a client's bytes from the relay that has its node's leg.
 */
#pragma once

#include "routing/routing_handlers.h"

void routing_clients_list(struct routing *routing, const Boson__Routing__ListClientsRequest *input,
			  Boson__Routing__ListClientsReply_Closure closure, void *call);
void routing_clients_get(struct routing *routing, const Boson__Routing__GetClientRequest *input,
			 Boson__Routing__Client_Closure closure, void *call);
