/*
 * routing_packets: WireGuard datagrams that come by REST, carried on by the relay that has the
 * node's leg. Nothing is kept: a datagram that cannot go on now is refused.
 */
#pragma once

#include "routing/routing_handlers.h"

void routing_packet_from_node(struct routing *routing,
			      const Boson__Routing__PacketFromNodeRequest *input,
			      Boson__Routing__PacketReply_Closure closure, void *call);
void routing_packet_from_client(struct routing *routing,
				const Boson__Routing__PacketFromClientRequest *input,
				Boson__Routing__PacketReply_Closure closure, void *call);
