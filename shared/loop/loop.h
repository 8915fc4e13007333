/*
 * loop: one thread's event loop: epoll over descriptors, ZeroMQ sockets, timers and messages from
 * other threads. Every actor has exactly one. It owns no descriptor that is given to it.
 *
 * All functions are for the loop's own thread, except loop_post and loop_stop. Callbacks may add
 * and remove anything, themselves included. Errors are -errno.
 */
#pragma once

#include <czmq.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;
struct loop_fd;
struct loop_timer;
struct loop_zsock;

typedef void (*loop_fn)(struct loop *loop, void *arg);
typedef void (*loop_fd_fn)(struct loop *loop, int fd, uint32_t events, void *arg);
typedef void (*loop_zsock_fn)(struct loop *loop, zsock_t *socket, void *arg);

int loop_new(struct loop **ret);
void loop_free(struct loop **loop);

/* Runs until loop_stop. 0, or -errno when epoll itself fails. */
int loop_run(struct loop *loop);

/* Any thread, and signal-safe. */
void loop_stop(struct loop *loop);

/* Any thread: runs fn(loop, arg) soon on the loop's thread. -EAGAIN when 65536 are waiting. */
int loop_post(struct loop *loop, loop_fn fn, void *arg);

/* The monotonic clock as of this turn, in ms. */
int64_t loop_now_ms(const struct loop *loop);

/* events: EPOLLIN, EPOLLOUT, EPOLLET. The descriptor stays the caller's. */
int loop_fd_add(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *arg,
		struct loop_fd **ret);
int loop_fd_set(struct loop_fd *watch, uint32_t events);
void loop_fd_remove(struct loop_fd **watch);

/* First after delay_ms, then every period_ms; period 0 fires once, and then the timer frees itself
 * and *ret is not to be used again, unless loop_timer_stop came first. */
int loop_timer_start(struct loop *loop, int64_t delay_ms, int64_t period_ms, loop_fn fn, void *arg,
		     struct loop_timer **ret);
void loop_timer_stop(struct loop_timer **timer);

/* fn is called as long as the socket has a message to receive, and must receive it. ZMQ_FD is only
 * edge-like: after sending on the socket outside fn, call loop_zsock_check. */
int loop_zsock_add(struct loop *loop, zsock_t *socket, loop_zsock_fn fn, void *arg,
		   struct loop_zsock **ret);
void loop_zsock_check(struct loop_zsock *watch);
void loop_zsock_remove(struct loop_zsock **watch);

/* Runs once at the end of this turn, after all ready descriptors: batches are flushed here. */
int loop_defer(struct loop *loop, loop_fn fn, void *arg);
