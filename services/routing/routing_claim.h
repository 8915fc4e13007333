/*
 * routing_claim: which session a route request is about, and may it? One that the client names, the
 * one that it has, or a new one (T05).
 */
#pragma once

#include "routing/routing_handlers.h"

/* Takes over the call. */
void routing_claim_start(struct routing *routing, const Boson__Routing__RouteRequest *input,
			 const struct routing_wish *wish,
			 Boson__Routing__RouteReply_Closure closure, void *call);
