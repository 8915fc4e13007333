/* boson-routing: routing as a process of its own. */
#include "routing/routing_actor.h"

int
main(int argc, char **argv)
{
	static const struct actor *const actors[] = { &routing_actor, NULL };
	static const struct program program = {
		.name = "boson-routing",
		.summary = "Picks a node for a client and opens the session there.",
		.actors = actors,
	};

	return service_main(argc, argv, &program);
}
