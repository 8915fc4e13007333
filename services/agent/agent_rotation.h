/*
 * agent_rotation: the node gets another WireGuard key. `higgs-agent --rotate-key` makes the new one
 * in a file beside the old (`.next`); the agent that runs, or starts, has the server change to it
 * by proofs of both, then puts the file in the old one's place and ends, to be started anew: the
 * sessions of the old key are over. Killed at any point, the next start takes it up.
 */
#pragma once

#include "agent/agent.h"

/* What --rotate-key does: 0, or an exit code of sysexits.h after a sentence. */
int agent_rotation_prepare(int argc, char **argv);

/* Where the key is, and where the new one would be. */
void agent_rotation_paths(const struct config *config, const char *state_dir, char *ret_key,
			  char *ret_next, size_t bytes);

/* Is there a new key? Then the next registration changes to it. */
void agent_rotation_look(struct agent *agent);

/* The server has changed to it. Ends the agent with 75. */
void agent_rotation_done(struct agent *agent);
