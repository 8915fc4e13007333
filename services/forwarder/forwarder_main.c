/*
 * higgs-forwarder: carries packets between relay legs and WireGuard, and is the exit to the
 * internet. See forwarder_actor.c for what it hears.
 */
#include "forwarder/forwarder_actor.h"
#include "forwarder/privileges.h"

#include <stdio.h>
#include <sysexits.h>

int
main(int argc, char **argv)
{
	static const struct actor *const actors[] = { &forwarder_actor, NULL };
	static const struct program program = {
		.name = "higgs-forwarder",
		.summary = "Carries sessions' packets between relay and internet. "
			   "Needs CAP_NET_ADMIN, and gives up all else.",
		.actors = actors,
	};
	if (privileges_drop() < 0) {
		fprintf(stderr, "higgs-forwarder: cannot give up privileges\n");
		return EX_OSERR;
	}
	return service_main(argc, argv, &program);
}
