/*
 * holder: the exit policy in a process of its own on the lab's node, so that it can be stopped and
 * killed. It holds guard, exit table, uplinks and settings as the forwarder does, and nothing else.
 */
#pragma once

#include "lab.h"

struct holder {
	pid_t pid;
	pid_t survivor; /* a grandchild that outlives it, 0: none */
};

struct holder_options {
	bool policy_on;
	const char *const *allow;
	uint32_t new_flows, flows_max, udp_packets;
	uint32_t up_mbits, down_mbits;
	bool with_second; /* client, 10.90.0.99 */
	bool with_survivor;
	const char *state_dir;
};

/* Returns when everything is in force. Its client is 10.90.0.2 and fd48:6967:6773::2. */
void holder_start(struct lab *lab, const struct holder_options *options, struct holder *ret);

/* SIGTERM, and asserts that it left cleanly. */
void holder_stop(struct holder *holder);

/* SIGKILL; returns when it is gone. */
void holder_kill(struct holder *holder);

/* Ends whatever is left of it, after a failed test too. */
void holder_bury(struct holder *holder);
