/* higgs-agent: the half of a HiggsNode that talks to the server and holds no capability. */
#include "agent/agent.h"
#include "agent/agent_capabilities.h"

#include <stdio.h>
#include <sysexits.h>

int
main(int argc, char **argv)
{
	static const struct actor *const actors[] = { &agent_actor, NULL };
	static const struct program program = {
		.name = "higgs-agent",
		.summary = "Enrols this node with a BosonServer and decides which sessions it "
			   "admits.",
		.actors = actors,
	};

	if (agent_capabilities_drop() < 0) {
		fputs("higgs-agent: cannot give up its capabilities\n", stderr);
		return EX_NOPERM;
	}
	return service_main(argc, argv, &program);
}
