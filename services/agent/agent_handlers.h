/*
 * agent_handlers: the agent's mailbox, one function for each rpc of service Agent in
 * proto/node.proto. Called by: the forwarder, over ipc.
 */
#pragma once

#include "agent/agent.h"

extern const Boson__Node__Agent_Service agent_mailbox;

/* How long the forwarder may be silent before the node counts as degraded. */
enum { AGENT_FORWARDER_SILENT_MS = 30 * 1000 };

bool agent_forwarder_is_silent(const struct agent *agent, int64_t now_ms);
