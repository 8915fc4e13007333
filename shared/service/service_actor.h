/*
 * service_actor: one actor's thread: its loop, its bus, its figures. Made, told and freed by the
 * main thread; what happens to it comes back as posts on the main thread's loop.
 *
 *	main                            actor
 *	service_actor_start  --thread-> set up, actor->start
 *	hooks.started        <--post--  (failure: its exit code)      loop runs
 *	service_actor_drain  --post-->  actor->drain
 *	hooks.finished       <--post--  actor_finished
 *	service_actor_stop   --stop-->  actor->stop, bus freed
 *	hooks.ended          <--post--  thread over: service_actor_join
 */
#pragma once

#include "service/service.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* On the main thread; arg is the struct service_actor. */
struct service_actor_hooks {
	loop_fn started;  /* start_code says how */
	loop_fn finished; /* its drain is over */
	loop_fn failed;	  /* it cannot go on: exit_code */
	loop_fn ended;	  /* join it now */
};

struct service_actor {
	struct actor_context context;
	const struct actor *actor;
	const struct bus_security *security;
	struct loop *main_loop;
	const struct service_actor_hooks *hooks;
	void *service; /* the hooks' own */

	void *state;
	pthread_t thread;
	bool has_thread;  /* main thread only */
	bool is_finished; /* main thread only: drained */
	char state_dir[PATH_MAX];
	char metrics_prefix[64];
	int folder_fd;
	struct metric *ready_gauge;

	int start_code;	      /* of the thread, until it has said that it started */
	atomic_int exit_code; /* of actor_failed, which may come before that is read */
	_Atomic(const char *) unready_reason; /* NULL: ready */
	_Atomic(int64_t) turned_at_ms;	      /* last turn of its loop; 0: none yet */
};

/* Fills what does not depend on the thread: folder, loop, metrics. 0 or an exit code. */
int service_actor_init(struct service_actor *self, const struct actor *actor,
		       const struct config *config, const char *keys_dir, char *ret_error,
		       size_t error_bytes);
void service_actor_fini(struct service_actor *self); /* after the join */

/* 0 or -errno when there is no thread to be had. */
int service_actor_start(struct service_actor *self);
void service_actor_drain(struct service_actor *self);
void service_actor_stop(struct service_actor *self);
void service_actor_join(struct service_actor *self);
