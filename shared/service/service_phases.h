/*
 * service_phases: from the first actor's start to the last one's end, on the main thread's loop.
 *
 *	starting --all started--> running --SIGTERM--> draining --all finished, or time--> stopping
 *	    \--a start fails, SIGTERM--------------\       \--second SIGTERM---------------/
 *	                                            `--actor_failed-----------------------/
 *
 * Actors start in order, one after the other, and stop in reverse.
 */
#pragma once

#include "service/service_actor.h"

#include <stddef.h>

enum service_phase {
	SERVICE_STARTING,
	SERVICE_RUNNING,
	SERVICE_DRAINING,
	SERVICE_STOPPING,
};

struct service_phases {
	struct loop *loop;
	struct service_actor *actors;
	size_t n;
	int64_t drain_ms;
	void (*on_phase)(enum service_phase phase, void *arg);
	void *arg;

	/* its own */
	enum service_phase phase;
	size_t started;
	int exit_code;
	int signal_fd;
	struct loop_fd *signal_watch;
	struct loop_timer *cap;
};

/* Blocks SIGTERM, SIGINT and SIGHUP for this thread and those it makes; they come by descriptor. */
int service_phases_init(struct service_phases *phases);

/* Returns when all actors have ended: the exit code of the process. */
int service_phases_run(struct service_phases *phases);
void service_phases_fini(struct service_phases *phases);
