/*
 * identity_bus: see the header.
 */
#include "identity_bus.h"

#include <stdio.h>

struct rig rig;
struct bus_peer *discovery;

int
identity_bus_start(const char *policy)
{
	char config[64];

	snprintf(config, sizeof(config), "[discovery]\nenrolment = %s\n", policy);
	rig_start(&rig, config);
	(void)rig_spawn(&rig, PROGRAM_DISCOVERY, 0);
	discovery = rig_peer(&rig, "discovery", &boson__discovery__discovery__descriptor);
	rig_wait_up(&rig, discovery);
	return 0;
}

int
identity_bus_stop(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

void
identity_bus_restart(void)
{
	rig_kill(&rig, rig.processes[0]);
	(void)rig_spawn(&rig, PROGRAM_DISCOVERY, 0);
	rig_wait_up(&rig, discovery);
}
