/*
 * loop_fd: watched descriptors.
 */
#include "loop/loop_inside.h"

#include <errno.h>
#include <stdlib.h>

int
loop_fd_add(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *arg,
	    struct loop_fd **ret)
{
	struct loop_fd *watch = calloc(1, sizeof(*watch));
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (!watch)
		return -ENOMEM;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		int r = -errno;
		free(watch);
		return r;
	}
	*watch = (struct loop_fd){ .loop = loop, .fd = fd, .fn = fn, .arg = arg };
	LIST_INSERT_HEAD(&loop->fds, watch, of_loop);
	*ret = watch;
	return 0;
}

int
loop_fd_set(struct loop_fd *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
		return -errno;
	return 0;
}

void
loop_fd_remove(struct loop_fd **watch)
{
	struct loop_fd *w = watch ? *watch : NULL;

	if (!w)
		return;
	/* Fails when the owner closed it first, and then the kernel has removed it already. */
	epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->dead = true;
	LIST_REMOVE(w, of_loop);
	LIST_INSERT_HEAD(&w->loop->dead_fds, w, of_loop);
	*watch = NULL;
}

void
loop_fds_free_dead(struct loop *loop)
{
	while (!LIST_EMPTY(&loop->dead_fds)) {
		struct loop_fd *watch = LIST_FIRST(&loop->dead_fds);
		LIST_REMOVE(watch, of_loop);
		free(watch);
	}
}

void
loop_fds_fini(struct loop *loop)
{
	while (!LIST_EMPTY(&loop->fds)) {
		struct loop_fd *watch = LIST_FIRST(&loop->fds);
		loop_fd_remove(&watch);
	}
	loop_fds_free_dead(loop);
}
