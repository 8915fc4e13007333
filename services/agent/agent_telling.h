/*
 * agent_telling: what the node tells of itself beside its heartbeats (its place in the network, its
 * figures), and what the server may ask of it.
 */
#pragma once

#include "agent/agent.h"

/* After the heartbeat is there. 0 or -errno. */
int agent_telling_open(struct agent *agent);

/* arg: the agent. What a registration says of the network; NULL: nothing. */
const Boson__Discovery__NetworkInfo *agent_telling_network(void *arg);

/* arg: the agent. One action of a heartbeat's answer. */
void agent_telling_act(const char *type, const char *payload, void *arg);

/* Ends a maintenance that is over, and tells what could not be told at once. */
void agent_telling_tick(struct agent *agent, int64_t now_ms);
