/* higgs-agent: the half of a HiggsNode that talks to the server and holds no capability. */
#include "agent/agent.h"
#include "agent/agent_capabilities.h"
#include "agent/agent_rotation.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

int
main(int argc, char **argv)
{
	static const struct actor *const actors[] = { &agent_actor, NULL };
	static const struct program program = {
		.name = "higgs-agent",
		.summary = "Enrols this node with a BosonServer and decides which sessions it "
			   "admits.\n"
			   "--rotate-key [-c FILE] makes the node another WireGuard key, which "
			   "the agent changes to.",
		.actors = actors,
	};

	if (agent_capabilities_drop() < 0) {
		fputs("higgs-agent: cannot give up its capabilities\n", stderr);
		return EX_NOPERM;
	}
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--rotate-key") == 0)
			return agent_rotation_prepare(argc, argv);
	return service_main(argc, argv, &program);
}
