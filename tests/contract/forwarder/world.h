/*
 * world: higgs-forwarder as a process on the lab's node, and a stand-in for its agent in this
 * process. Files in a temporary folder, mailboxes over ipc.
 */
#pragma once

#include "lab.h"

#include "bus/bus.h"
#include "identity/key.h"
#include "node.pb-c.h"
#include "wg/child.h"

#include <stdbool.h>

enum { WORLD_SESSIONS_MAX = 4 };

struct world_session {
	char id[UUID_TEXT_BYTES], key[KEY_TEXT_BYTES], address4[16], address6[40];
	int64_t expires_at_ms;
};

struct world {
	Boson__Node__Agent_Service mailbox; /* the stand-in's; first */
	struct lab lab;
	char folder[64], interface[16];
	/* Commands. `wg show all` would show other namespaces' interfaces too. */
	char show_peers[64], count_peers[64];
	struct key node_private, node_public;
	struct loop *loop;
	struct metrics *metrics;
	struct bus *agent_bus, *bus;
	struct bus_peer *forwarder;
	struct child process;

	struct world_session sessions[WORLD_SESSIONS_MAX]; /* what Snapshot tells */
	size_t session_count;
	char node_id[UUID_TEXT_BYTES], relay[64], ticket[512]; /* Attachment, when node_id is set */
	unsigned admitted, ended, reports;
	char ended_id[UUID_TEXT_BYTES];
	bool policy_in_force;
	bool is_over; /* the deadline */
};

/* Makes lab, key and configuration. extra: more lines for [forwarder], or "". */
void world_up(struct world *world, const char *extra);
void world_down(struct world *world);

void world_agent_start(struct world *world);
void world_agent_stop(struct world *world);

/* In the node's namespace. */
void world_forwarder_start(struct world *world, const char *program);
int world_forwarder_end(struct world *world, int signal_number); /* its exit code, 128 + signal */

/* A session with a key of its own that lasts an hour; goes into the snapshot. */
struct world_session *world_session_add(struct world *world);

/* Runs the loop until done(world) or the deadline. */
bool world_wait(struct world *world, bool (*done)(struct world *world));

/* Waits until a command on the node prints `wanted`. */
bool world_wait_output(struct world *world, const char *command, const char *wanted);
bool world_has_output(struct world *world, const char *command, const char *wanted);

/* The forwarder reports that its policy is in force. */
bool world_is_up(struct world *world);
