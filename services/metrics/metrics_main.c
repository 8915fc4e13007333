/* boson-metrics: metrics as a process of its own. */
#include "metrics/metrics_actor.h"

int
main(int argc, char **argv)
{
	static const struct actor *const actors[] = { &metrics_actor, NULL };
	static const struct program program = {
		.name = "boson-metrics",
		.summary = "Keeps what nodes say of themselves and what sessions used.",
		.actors = actors,
	};

	return service_main(argc, argv, &program);
}
