/*
 * boson_rig: for contract tests of the services: a folder of our own, services as real processes in
 * it (exec, so that they can be killed), and a client on the bus that waits for answers. Nothing
 * here sleeps: it runs its loop until something happened or a deadline passed.
 *
 * The services keep their tables in files of their state folder; run by `with_servers`, in a
 * PostgreSQL and a Redis, each rig in schemas of its own.
 */
#pragma once

#include "bus/bus.h"
#include "common.pb-c.h"

#include <stdbool.h>
#include <sys/types.h>

enum { RIG_WAIT_MS = 20 * 1000, RIG_PATH_BYTES = 256, RIG_PROCESSES_MAX = 8 };

struct rig {
	char folder[64];
	struct loop *loop;
	struct metrics *metrics;
	struct bus *bus;
	pid_t processes[RIG_PROCESSES_MAX];
	bool has_failed; /* a wait came to nothing */
};

/* Makes the folder, the loop and the bus. config is a config file's text; %s in it, if any, is the
 * folder. [service] and [admin] are ours. */
void rig_start(struct rig *rig, const char *config);

/* Stops all processes by SIGTERM, each must exit 0; frees all; removes the folder. */
void rig_stop(struct rig *rig);

/* Replaces the configuration of what is started from now on. */
void rig_configure(struct rig *rig, const char *config);

/* Starts a program; does not wait for it. file_limit_bytes 0: none. */
pid_t rig_spawn(struct rig *rig, const char *program, size_t file_limit_bytes);

/* SIGTERM, and the exit code (fails when there is none). */
int rig_terminate(struct rig *rig, pid_t process);
void rig_kill(struct rig *rig, pid_t process); /* SIGKILL */

/* "<folder>/<name>" */
void rig_path(const struct rig *rig, const char *name, char ret[RIG_PATH_BYTES]);

/* A peer of the service's mailbox in the run folder. */
struct bus_peer *rig_peer(struct rig *rig, const char *service,
			  const ProtobufCServiceDescriptor *descriptor);

/* A service of its own process, up; ret_process may be NULL. */
struct bus_peer *rig_serve(struct rig *rig, const char *program, const char *service,
			   const ProtobufCServiceDescriptor *descriptor, pid_t *ret_process);

/* For cmocka: set-up has left the rig in *state. */
int rig_teardown(void **state);

/* Waits until the service behind it answers: it may be starting, and a bus fails what is asked of a
 * peer that is known to be down. */
void rig_wait_up(struct rig *rig, struct bus_peer *peer);
void rig_endpoint(const struct rig *rig, const char *service, bool events,
		  char ret[RIG_PATH_BYTES]);

/* Runs the loop until condition(arg) holds; fails the test at the deadline. */
void rig_wait(struct rig *rig, bool (*condition)(void *arg), void *arg, const char *what);

/* One call and what came of it. */
struct rig_call {
	struct rig *rig;
	struct bus_peer *peer;
	bool done;
	ProtobufCMessage *reply; /* a copy, or NULL: see result */
	struct bus_result result;
};
void rig_call_init(struct rig_call *call, struct rig *rig, struct bus_peer *peer);
void rig_call_fini(struct rig_call *call);
void rig_call_take(struct rig_call *call, const ProtobufCMessage *reply);
void rig_call_wait(struct rig_call *call);

/* It came to nothing yet for a reason that passes: a store, a service or a peer is away, or has not
 * answered in time. Who waits for that asks again. */
bool rig_call_may_be_repeated(const struct rig_call *call);

/* What the gateway would say of who asks. subject is borrowed; NULL: none. */
Boson__Common__Caller rig_caller(Boson__Common__Caller__Role role, const char *subject);

/* What it came to; waits for it, and is done with it. */
void rig_call_assert_refused(struct rig_call *call, enum bus_status status, const char *code);
void rig_call_assert_served(struct rig_call *call);

/* Defines the closure `name` for replies of this type; its data is a struct rig_call. */
#define RIG_CLOSURE(name, type)                                                              \
	static void name(const type *reply, void *data)                                      \
	{                                                                                    \
		rig_call_take(data, reply == NULL ? NULL : (const ProtobufCMessage *)reply); \
	}
