/* boson-turn: turn as a process of its own. */
#include "turn/turn_actor.h"

int
main(int argc, char **argv)
{
	static const struct actor *const actors[] = { &turn_actor, NULL };
	static const struct program program = {
		.name = "boson-turn",
		.summary = "Hands out STUN and TURN servers and short-lived credentials.",
		.actors = actors,
	};

	return service_main(argc, argv, &program);
}
