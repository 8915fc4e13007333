/*
 * loop_post: calls from other threads, through a bounded list and an eventfd; and loop_stop, by the
 * same eventfd.
 */
#include "loop/loop_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int
loop_calls_add(struct loop_calls *calls, loop_fn fn, void *arg)
{
	if (calls->n == calls->capacity) {
		size_t capacity = calls->capacity ? calls->capacity * 2 : 16;
		struct loop_call *items = reallocarray(calls->items, capacity, sizeof(*items));
		if (!items)
			return -ENOMEM;
		calls->items = items;
		calls->capacity = capacity;
	}
	calls->items[calls->n++] = (struct loop_call){ fn, arg };
	return 0;
}

void
loop_calls_run(struct loop *loop, struct loop_calls *now)
{
	for (size_t i = 0; i < now->n; i++)
		now->items[i].fn(loop, now->items[i].arg);
	now->n = 0;
}

/* Added to the eventfd's count: how often something was posted, and in the upper half that it is
 * time to stop. */
static const uint64_t WAKE = 1, STOP = (uint64_t)1 << 32;

/* Cannot fail but by a full counter, and then the loop is awake anyway. Signal-safe. */
static void
wake(struct loop *loop, uint64_t what)
{
	ssize_t written = write(loop->wake_fd, &what, sizeof(what));

	(void)written;
}

int
loop_post(struct loop *loop, loop_fn fn, void *arg)
{
	int r = -EAGAIN;

	pthread_mutex_lock(&loop->post_mutex);
	size_t before = loop->posted.n;
	if (before < LOOP_POSTS_MAX)
		r = loop_calls_add(&loop->posted, fn, arg);
	/* Inside the lock: afterwards the loop may already be gone. */
	if (r == 0 && before == 0)
		wake(loop, WAKE);
	pthread_mutex_unlock(&loop->post_mutex);
	return r;
}

/* From another thread the write must be the last touch: the loop's own thread may free it as soon
 * as it reads this. */
void
loop_stop(struct loop *loop)
{
	int saved_errno = errno;

	if (pthread_equal(atomic_load(&loop->thread), pthread_self())) {
		atomic_store(&loop->stopping, true);
		wake(loop, WAKE); /* a signal may have come just before we sleep */
	} else {
		wake(loop, STOP);
	}
	errno = saved_errno;
}

static void
on_wake(struct loop *loop, int fd, uint32_t events, void *arg)
{
	uint64_t count = 0;
	ssize_t got = read(fd, &count, sizeof(count));

	(void)got, (void)events, (void)arg;
	if (count >= STOP)
		atomic_store(&loop->stopping, true);
	pthread_mutex_lock(&loop->post_mutex);
	struct loop_calls batch = loop->posted;
	loop->posted = loop->posted_now;
	loop->posted_now = batch;
	pthread_mutex_unlock(&loop->post_mutex);
	loop_calls_run(loop, &loop->posted_now);
}

int
loop_posts_init(struct loop *loop)
{
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->wake_fd < 0)
		return -errno;
	int r = loop_fd_add(loop, loop->wake_fd, EPOLLIN, on_wake, NULL, &loop->wake_watch);
	if (r < 0) {
		close(loop->wake_fd);
		return r;
	}
	pthread_mutex_init(&loop->post_mutex, NULL);
	return 0;
}

void
loop_posts_fini(struct loop *loop)
{
	loop_fd_remove(&loop->wake_watch);
	close(loop->wake_fd);
	pthread_mutex_destroy(&loop->post_mutex);
	free(loop->posted.items);
	free(loop->posted_now.items);
}
