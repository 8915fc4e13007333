/*
 * loop_timer: timers in a binary heap by due time.
 */
#include "loop/clock.h"
#include "loop/loop_inside.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

static const int64_t DELAY_MAX_MS = INT64_MAX / 4;

static bool
is_before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->order < b->order);
}

static void
put(struct loop *loop, size_t at, struct loop_timer *timer)
{
	loop->heap[at] = timer;
	timer->at = at;
}

static void
sift_up(struct loop *loop, struct loop_timer *timer)
{
	size_t at = timer->at;

	while (at > 0 && is_before(timer, loop->heap[(at - 1) / 2])) {
		put(loop, at, loop->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(loop, at, timer);
}

static void
sift_down(struct loop *loop, struct loop_timer *timer)
{
	size_t at = timer->at;

	for (size_t child; (child = 2 * at + 1) < loop->timers; at = child) {
		if (child + 1 < loop->timers && is_before(loop->heap[child + 1], loop->heap[child]))
			child++;
		if (!is_before(loop->heap[child], timer))
			break;
		put(loop, at, loop->heap[child]);
	}
	put(loop, at, timer);
}

/* The heap must have room. */
static void
heap_add(struct loop *loop, struct loop_timer *timer)
{
	timer->order = loop->timer_order++;
	timer->queued = true;
	put(loop, loop->timers++, timer);
	sift_up(loop, timer);
}

static void
heap_remove(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer *last = loop->heap[--loop->timers];

	timer->queued = false;
	if (last == timer)
		return;
	put(loop, timer->at, last);
	sift_up(loop, last);
	sift_down(loop, last);
}

static int
heap_reserve(struct loop *loop)
{
	if (loop->timers < loop->heap_capacity)
		return 0;
	size_t capacity = loop->heap_capacity ? loop->heap_capacity * 2 : 16;
	struct loop_timer **heap = reallocarray(loop->heap, capacity, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	loop->heap = heap;
	loop->heap_capacity = capacity;
	return 0;
}

int
loop_timer_start(struct loop *loop, int64_t delay_ms, int64_t period_ms, loop_fn fn, void *arg,
		 struct loop_timer **ret)
{
	if (period_ms < 0 || period_ms > DELAY_MAX_MS || delay_ms > DELAY_MAX_MS)
		return -EINVAL;
	struct loop_timer *timer = calloc(1, sizeof(*timer));
	if (!timer || heap_reserve(loop) < 0) {
		free(timer);
		return -ENOMEM;
	}
	timer->loop = loop;
	/* The true time, not the turn's: a long callback must not shorten the delay. */
	timer->due_ms = clock_monotonic_ms() + (delay_ms > 0 ? delay_ms : 0);
	timer->period_ms = period_ms;
	timer->fn = fn;
	timer->arg = arg;
	heap_add(loop, timer);
	*ret = timer;
	return 0;
}

void
loop_timer_stop(struct loop_timer **timer)
{
	struct loop_timer *t = timer ? *timer : NULL;

	if (!t)
		return;
	*timer = NULL;
	if (t->queued)
		heap_remove(t->loop, t);
	t->dead = true;
	t->next_dead = t->loop->dead_timers;
	t->loop->dead_timers = t;
}

static void
fire(struct loop *loop, struct loop_timer *timer)
{
	heap_remove(loop, timer);
	if (timer->period_ms > 0) {
		/* Turns that were missed are not made up for. */
		timer->due_ms += timer->period_ms;
		if (timer->due_ms <= loop_now_ms(loop))
			timer->due_ms = loop_now_ms(loop) + timer->period_ms;
		heap_add(loop, timer); /* has room: it was in there */
		timer->fn(loop, timer->arg);
		return;
	}
	timer->fn(loop, timer->arg);
	if (!timer->dead)
		loop_timer_stop(&timer);
}

void
loop_timers_run(struct loop *loop)
{
	uint64_t started = loop->timer_order; /* what callbacks start waits for the next turn */

	while (loop->timers > 0 && loop->heap[0]->due_ms <= loop_now_ms(loop) &&
	       loop->heap[0]->order < started)
		fire(loop, loop->heap[0]);
}

int
loop_timers_wait_ms(const struct loop *loop)
{
	if (loop->timers == 0)
		return -1;
	int64_t wait_ms = loop->heap[0]->due_ms - clock_monotonic_ms();
	if (wait_ms <= 0)
		return 0;
	return wait_ms > INT_MAX ? INT_MAX : (int)wait_ms;
}

void
loop_timers_free_dead(struct loop *loop)
{
	while (loop->dead_timers) {
		struct loop_timer *timer = loop->dead_timers;
		loop->dead_timers = timer->next_dead;
		free(timer);
	}
}

void
loop_timers_fini(struct loop *loop)
{
	for (size_t i = 0; i < loop->timers; i++)
		free(loop->heap[i]);
	free(loop->heap);
	loop_timers_free_dead(loop);
}
