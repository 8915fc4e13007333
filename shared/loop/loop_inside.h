/*
 * loop_inside: the loop's state, shared by the loop_*.c files alone. Each part (descriptors,
 * timers, posts, ZeroMQ sockets) has its own struct and file; loop.c takes the turns.
 *
 * Whatever is removed is only marked dead and freed at the end of the turn, so that a callback may
 * remove anything that the turn still has in hand.
 */
#pragma once

#include "loop/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/queue.h>

enum {
	LOOP_POSTS_MAX = 65536,
	LOOP_EVENTS = 128,	   /* descriptors taken from epoll a turn */
	LOOP_ZSOCK_CALLS = 256,	   /* callbacks of one ZeroMQ socket a turn, and ... */
	LOOP_ZSOCK_TURN_US = 2000, /* ... for how long, before the others get theirs */
};

struct loop_call {
	loop_fn fn;
	void *arg;
};

/* A growing list of calls to make. */
struct loop_calls {
	struct loop_call *items;
	size_t n, capacity;
};

struct loop_fd {
	struct loop *loop;
	int fd;
	loop_fd_fn fn;
	void *arg;
	bool dead;
	LIST_ENTRY(loop_fd) of_loop; /* all of the loop's, or its dead ones */
};

struct loop_timer {
	struct loop *loop;
	int64_t due_ms, period_ms;
	uint64_t order; /* of starting: equal dues fire in it */
	loop_fn fn;
	void *arg;
	size_t at; /* place in the heap */
	bool queued, dead;
	struct loop_timer *next_dead;
};

struct loop_zsock {
	struct loop *loop;
	zsock_t *socket;
	void *handle; /* libzmq's */
	struct loop_fd *watch;
	loop_zsock_fn fn;
	void *arg;
	bool dead, ready; /* ready: on the list to be looked at this turn */
	struct loop_zsock *next_ready;
	LIST_ENTRY(loop_zsock) of_loop; /* likewise */
};

struct loop {
	int epoll_fd;
	int wake_fd; /* eventfd: something was posted, or stop */
	_Atomic(bool) stopping;
	_Atomic(pthread_t) thread; /* that runs the loop; 0 before */
	int64_t now_ms;		   /* as of this turn */

	LIST_HEAD(, loop_fd) fds, dead_fds;
	struct loop_fd *wake_watch;

	struct loop_timer **heap;
	size_t timers, heap_capacity;
	uint64_t timer_order;
	struct loop_timer *dead_timers;

	LIST_HEAD(, loop_zsock) zsocks, dead_zsocks;
	struct loop_zsock *first_ready, **last_ready;

	pthread_mutex_t post_mutex;
	struct loop_calls posted; /* under post_mutex */
	struct loop_calls posted_now, deferred, deferred_now;
};

int loop_calls_add(struct loop_calls *calls, loop_fn fn, void *arg);

/* Empties *calls into *now, then runs those. */
void loop_calls_run(struct loop *loop, struct loop_calls *now);

int loop_posts_init(struct loop *loop);
void loop_posts_fini(struct loop *loop);

void loop_fds_free_dead(struct loop *loop);
void loop_fds_fini(struct loop *loop);

/* -1 when there is no timer. */
int loop_timers_wait_ms(const struct loop *loop);
void loop_timers_run(struct loop *loop);
void loop_timers_free_dead(struct loop *loop);
void loop_timers_fini(struct loop *loop);

void loop_zsocks_run(struct loop *loop);
void loop_zsocks_free_dead(struct loop *loop);
void loop_zsocks_fini(struct loop *loop);
