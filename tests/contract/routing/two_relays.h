/*
 * two_relays: a rig with a second relay's mailbox beside its own, and one node, whose leg is at the
 * first. `setup` and `teardown` are for cmocka.
 */
#pragma once

#include "route_rig.h"

extern const char first_url[], second_url[];

extern struct route_rig rig; /* rig.relay is the first */
extern struct relay_mailbox second;
extern struct route_rig_client client;
extern struct enrolment_node node;

int two_relays_setup(void **state);
int two_relays_teardown(void **state);

/* The client asks, with its own round trip to each relay, 0: not measured. Done after. */
void two_relays_request(struct rig_call *call, double first_ms, double second_ms);
const Boson__Routing__RouteReply *two_relays_reply(const struct rig_call *call);

struct expected {
	double first_ms, second_ms;
	size_t endpoints;
	const char *url; /* of the first of them */
	Boson__Routing__Route__Type type;
};

/* For rig_wait, with a struct expected: asks, and whether the route is that. */
bool two_relays_do(void *arg);
