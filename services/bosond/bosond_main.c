/*
 * bosond: all six services in one process, each an actor on a thread of its own, over inproc. The
 * same actors run alone as boson-gateway, boson-discovery, ...
 */
#include "discovery/discovery_actor.h"
#include "gateway/gateway_actor.h"
#include "metrics/metrics_actor.h"
#include "relay/relay_actor.h"
#include "routing/routing_actor.h"
#include "turn/turn_actor.h"

/* They start in this order and stop in reverse: who asks comes after whom it asks, and the gateway,
 * which lets the world in, last. */
static const struct actor *const actors[] = {
	&discovery_actor, &metrics_actor, &turn_actor, &relay_actor,
	&routing_actor,	  &gateway_actor, NULL,
};

int
main(int argc, char **argv)
{
	static const struct program program = {
		.name = "bosond",
		.summary = "BosonServer in one process: gateway, discovery, routing, relay, "
			   "metrics and turn.",
		.actors = actors,
		.inproc_default = true,
	};

	return service_main(argc, argv, &program);
}
