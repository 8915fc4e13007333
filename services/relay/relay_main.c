/* boson-relay: the relay as a process of its own. */
#include "relay/relay_actor.h"

int
main(int argc, char **argv)
{
	static const struct actor *const actors[] = { &relay_actor, NULL };
	static const struct program program = {
		.name = "boson-relay",
		.summary = "Moves datagrams between the legs of clients and nodes.",
		.actors = actors,
	};

	return service_main(argc, argv, &program);
}
