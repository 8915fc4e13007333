/*
 * loop: takes the turns. One turn: wait, descriptors (posts among them), timers, ZeroMQ sockets,
 * deferred calls, then the funeral of what was removed.
 */
#include "loop/clock.h"
#include "loop/loop_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int
loop_new(struct loop **ret)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	loop->last_ready = &loop->first_ready;
	loop->now_ms = clock_monotonic_ms();
	loop->wake_fd = -1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		r = -errno;
		goto fail_loop;
	}
	r = loop_posts_init(loop);
	if (r < 0)
		goto fail_epoll;
	*ret = loop;
	return 0;
fail_epoll:
	close(loop->epoll_fd);
fail_loop:
	free(loop);
	return r;
}

void
loop_free(struct loop **loop)
{
	struct loop *l = loop ? *loop : NULL;

	if (!l)
		return;
	loop_zsocks_fini(l);
	loop_posts_fini(l);
	loop_timers_fini(l);
	loop_fds_fini(l);
	close(l->epoll_fd);
	free(l->deferred.items);
	free(l->deferred_now.items);
	free(l);
	*loop = NULL;
}

int64_t
loop_now_ms(const struct loop *loop)
{
	return loop->now_ms;
}

/* 0 or -errno of epoll itself. */
static int
take_descriptors(struct loop *loop)
{
	struct epoll_event events[LOOP_EVENTS];
	bool busy = loop->first_ready || loop->deferred.n > 0;
	int n = epoll_wait(loop->epoll_fd, events, LOOP_EVENTS,
			   busy ? 0 : loop_timers_wait_ms(loop));

	if (n < 0 && errno != EINTR)
		return -errno;
	loop->now_ms = clock_monotonic_ms();
	for (int i = 0; i < n; i++) {
		struct loop_fd *watch = events[i].data.ptr;
		if (!watch->dead)
			watch->fn(loop, watch->fd, events[i].events, watch->arg);
	}
	return 0;
}

static void
run_deferred(struct loop *loop)
{
	struct loop_calls batch = loop->deferred;

	loop->deferred = loop->deferred_now;
	loop->deferred_now = batch;
	loop_calls_run(loop, &loop->deferred_now);
}

static void
bury_the_dead(struct loop *loop)
{
	loop_zsocks_free_dead(loop);
	loop_timers_free_dead(loop);
	loop_fds_free_dead(loop);
}

int
loop_run(struct loop *loop)
{
	int r = 0;

	atomic_store(&loop->thread, pthread_self());
	while (r == 0 && !atomic_load(&loop->stopping)) {
		r = take_descriptors(loop);
		loop_timers_run(loop);
		loop_zsocks_run(loop);
		run_deferred(loop);
		bury_the_dead(loop);
	}
	atomic_store(&loop->stopping, false);
	return r;
}

int
loop_defer(struct loop *loop, loop_fn fn, void *arg)
{
	return loop_calls_add(&loop->deferred, fn, arg);
}
