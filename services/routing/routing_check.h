/*
 * routing_check: is a route request well formed, and what does it wish for? No I/O, no state.
 */
#pragma once

#include "routing.pb-c.h"
#include "routing/routing_wish.h"
#include "service/fields.h"

enum {
	ROUTING_BANDWIDTH_MAX_MBITS = 1000 * 1000,
	ROUTING_LATENCY_MAX_MS = 60 * 1000,
};

/* 0 and the wish, or -EINVAL and *ret_problem. clientId and publicKey are checked, too. */
int routing_check_request(const Boson__Routing__RouteRequest *request, struct routing_wish *ret,
			  struct field_problem *ret_problem);
