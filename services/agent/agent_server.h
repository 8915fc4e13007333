/*
 * agent_server: what the agent does with the server's answers: the attachment they make is saved
 * and handed to the forwarder, tokens go to the heartbeats, and a conflict ends the agent.
 */
#pragma once

#include "agent/agent.h"

/* Makes rest, enrol and heartbeat. 0 or -errno after a log line. */
int agent_server_open(struct agent *agent);

/* Repeated by the clockwork until the forwarder took the attachment; does nothing when it did. */
void agent_server_tell_forwarder(struct agent *agent);
