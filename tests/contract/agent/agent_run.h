/*
 * agent_run: runs higgs-agent as a process, with a folder of its own, and is its forwarder: a bus
 * on ipc that calls the agent's mailbox and answers SetRelays and CloseSession. Fails the test,
 * with the agent's log on stderr, when something does not happen before the deadline.
 */
#pragma once

#include "bus/bus.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

#include "node.pb-c.h"

#include <stdbool.h>
#include <sys/types.h>

enum { AGENT_RUN_CLOSED_MAX = 16 };

struct agent_run {
	Boson__Node__Forwarder_Service forwarder; /* first */
	char folder[32];
	pid_t pid; /* 0: not running */
	int exit_code;
	struct loop *loop;
	struct metrics *metrics;
	struct bus *bus;
	struct bus_peer *agent;
	bool answers_relays; /* false: SetRelays fails */

	/* What the agent told its forwarder. */
	unsigned relays_told;
	Boson__Node__Attachment *attachment;
	unsigned closed;
	char closed_id[AGENT_RUN_CLOSED_MAX][40];

	/* The last call's outcome. */
	bool has_answer;
	struct bus_result result;
	ProtobufCMessage *reply; /* a copy, or NULL when it failed */
};

void agent_run_open(struct agent_run *run);
void agent_run_close(struct agent_run *run);

/* Writes the configuration: [agent] lines beside those for the bus and the state. */
void agent_run_configure(struct agent_run *run, const char *agent_lines);
void agent_run_start(struct agent_run *run);
void agent_run_signal(struct agent_run *run, int signal); /* and waits for its end */
void agent_run_wait_exit(struct agent_run *run);

/* A file of the agent's state folder. */
const char *agent_run_file(const struct agent_run *run, const char *name);

/* Turns the loop until it is true. */
typedef bool (*agent_run_fn)(struct agent_run *run, void *arg);
void agent_run_until(struct agent_run *run, agent_run_fn is_true, void *arg, const char *what);

/* Calls of the agent's mailbox; they wait for the answer, and for the agent to be there. */
const Boson__Link__SessionOpened *agent_run_admit(struct agent_run *run, const char *session_id,
						  const char *key, int64_t expires_at_ms);
void agent_run_end(struct agent_run *run, const char *session_id);
const Boson__Node__SnapshotReply *agent_run_snapshot(struct agent_run *run);
void agent_run_report(struct agent_run *run);
