/*
 * boson-gateway: the gateway as a process of its own.
 */
#include "gateway/gateway_actor.h"

int
main(int argc, char **argv)
{
	static const struct actor *const actors[] = { &gateway_actor, NULL };
	static const struct program program = {
		.name = "boson-gateway",
		.summary = "The REST API of BosonServer",
		.actors = actors,
	};
	return service_main(argc, argv, &program);
}
