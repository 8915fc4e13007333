/* boson-discovery: discovery as a process of its own. */
#include "discovery/discovery_actor.h"

int
main(int argc, char **argv)
{
	static const struct actor *const actors[] = { &discovery_actor, NULL };
	static const struct program program = {
		.name = "boson-discovery",
		.summary = "Knows the nodes and the relays, and whether they are alive.",
		.actors = actors,
	};

	return service_main(argc, argv, &program);
}
