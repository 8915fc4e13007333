/*
 * routing_check: is a route request well formed, and what does it wish for? No I/O, no state.
 */
#pragma once

#include "routing.pb-c.h"
#include "routing/routing_wish.h"

enum {
	ROUTING_BANDWIDTH_MAX_MBITS = 1000 * 1000,
	ROUTING_LATENCY_MAX_MS = 60 * 1000,
};

/* What is wrong: a static code ("field", "range", "address") and the field's camelCase path. */
struct routing_problem {
	const char *code;
	const char *field;
};

/* 0 and the wish, or -EINVAL and *ret_problem. clientId and publicKey are checked, too. */
int routing_check_request(const Boson__Routing__RouteRequest *request, struct routing_wish *ret,
			  struct routing_problem *ret_problem);
