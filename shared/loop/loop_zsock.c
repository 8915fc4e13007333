/*
 * loop_zsock: ZeroMQ sockets. ZMQ_FD says only that something may have changed since we last asked
 * for ZMQ_EVENTS; so a socket is put on the ready list when it is added, when its descriptor wakes
 * us and after own sends, and then is asked until it has nothing more or its budget is used up.
 */
#include "loop/clock.h"
#include "loop/loop_inside.h"

#include <errno.h>
#include <stdlib.h>

static void
make_ready(struct loop_zsock *watch)
{
	struct loop *loop = watch->loop;

	if (watch->ready || watch->dead)
		return;
	watch->ready = true;
	watch->next_ready = NULL;
	*loop->last_ready = watch;
	loop->last_ready = &watch->next_ready;
}

static void
on_wake(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop, (void)fd, (void)events;
	make_ready(arg);
}

static int
socket_fd(void *handle)
{
	int fd = -1;
	size_t n = sizeof(fd);

	return zmq_getsockopt(handle, ZMQ_FD, &fd, &n) < 0 ? -errno : fd;
}

static bool
has_message(const struct loop_zsock *watch)
{
	int events = 0;
	size_t n = sizeof(events);

	return zmq_getsockopt(watch->handle, ZMQ_EVENTS, &events, &n) == 0 && (events & ZMQ_POLLIN);
}

int
loop_zsock_add(struct loop *loop, zsock_t *socket, loop_zsock_fn fn, void *arg,
	       struct loop_zsock **ret)
{
	void *handle = zsock_resolve(socket);
	int fd = socket_fd(handle);
	struct loop_zsock *watch;

	if (fd < 0)
		return fd;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	*watch = (struct loop_zsock){
		.loop = loop, .socket = socket, .handle = handle, .fn = fn, .arg = arg
	};
	int r = loop_fd_add(loop, fd, EPOLLIN, on_wake, watch, &watch->watch);
	if (r < 0) {
		free(watch);
		return r;
	}
	LIST_INSERT_HEAD(&loop->zsocks, watch, of_loop);
	make_ready(watch);
	*ret = watch;
	return 0;
}

void
loop_zsock_check(struct loop_zsock *watch)
{
	make_ready(watch);
}

void
loop_zsock_remove(struct loop_zsock **watch)
{
	struct loop_zsock *w = watch ? *watch : NULL;

	if (!w)
		return;
	loop_fd_remove(&w->watch);
	w->dead = true;
	LIST_REMOVE(w, of_loop);
	LIST_INSERT_HEAD(&w->loop->dead_zsocks, w, of_loop);
	*watch = NULL;
}

/* True when the socket may have more. */
static bool
drain(struct loop *loop, struct loop_zsock *watch)
{
	int64_t end_us = clock_monotonic_us() + LOOP_ZSOCK_TURN_US;

	for (int calls = 0; calls < LOOP_ZSOCK_CALLS; calls++) {
		if (watch->dead || !has_message(watch))
			return false;
		watch->fn(loop, watch->socket, watch->arg);
		if (clock_monotonic_us() >= end_us)
			break;
	}
	return !watch->dead;
}

void
loop_zsocks_run(struct loop *loop)
{
	struct loop_zsock *next = loop->first_ready;

	loop->first_ready = NULL;
	loop->last_ready = &loop->first_ready;
	while (next) {
		struct loop_zsock *watch = next;
		next = watch->next_ready;
		watch->ready = false;
		if (drain(loop, watch))
			make_ready(watch);
	}
}

/* A dead one may still stand on the ready list, having been made ready and then removed. */
void
loop_zsocks_free_dead(struct loop *loop)
{
	if (LIST_EMPTY(&loop->dead_zsocks))
		return;
	struct loop_zsock **at = &loop->first_ready;
	while (*at) {
		if ((*at)->dead)
			*at = (*at)->next_ready;
		else
			at = &(*at)->next_ready;
	}
	loop->last_ready = at;
	while (!LIST_EMPTY(&loop->dead_zsocks)) {
		struct loop_zsock *watch = LIST_FIRST(&loop->dead_zsocks);
		LIST_REMOVE(watch, of_loop);
		free(watch);
	}
}

void
loop_zsocks_fini(struct loop *loop)
{
	while (!LIST_EMPTY(&loop->zsocks)) {
		struct loop_zsock *watch = LIST_FIRST(&loop->zsocks);
		loop_zsock_remove(&watch);
	}
	loop_zsocks_free_dead(loop);
}
