/*
 * bus_deadline: a binary heap. The timer is not moved when the earliest deadline is taken out, as
 * nearly all are: it fires, finds nothing due, and waits for what is then the earliest.
 */
#include "bus/bus_deadline.h"

#include <errno.h>
#include <stdlib.h>

static void
put(struct bus_deadlines *d, size_t at, struct bus_deadline *deadline)
{
	d->heap[at] = deadline;
	deadline->place = at + 1;
}

static void
sift_up(struct bus_deadlines *d, size_t at)
{
	struct bus_deadline *moving = d->heap[at];

	for (; at > 0 && moving->due_ms < d->heap[(at - 1) / 2]->due_ms; at = (at - 1) / 2)
		put(d, at, d->heap[(at - 1) / 2]);
	put(d, at, moving);
}

static void
sift_down(struct bus_deadlines *d, size_t at)
{
	struct bus_deadline *moving = d->heap[at];

	for (size_t child; (child = 2 * at + 1) < d->n; at = child) {
		if (child + 1 < d->n && d->heap[child + 1]->due_ms < d->heap[child]->due_ms)
			child++;
		if (d->heap[child]->due_ms >= moving->due_ms)
			break;
		put(d, at, d->heap[child]);
	}
	put(d, at, moving);
}

void
bus_deadline_remove(struct bus_deadlines *d, struct bus_deadline *deadline)
{
	if (deadline->place == 0)
		return;
	size_t at = deadline->place - 1;
	struct bus_deadline *last = d->heap[--d->n];
	deadline->place = 0;
	if (last == deadline)
		return;
	put(d, at, last);
	sift_up(d, at);
	sift_down(d, last->place - 1);
}

static void on_timer(struct loop *loop, void *arg);

static int
arm(struct bus_deadlines *d)
{
	if (d->n == 0 || (d->timer && d->armed_ms <= d->heap[0]->due_ms))
		return 0;
	loop_timer_stop(&d->timer);
	d->armed_ms = d->heap[0]->due_ms;
	return loop_timer_start(d->loop, d->armed_ms - loop_now_ms(d->loop), 0, on_timer, d,
				&d->timer);
}

static void
on_timer(struct loop *loop, void *arg)
{
	struct bus_deadlines *d = arg;

	d->timer = NULL; /* frees itself */
	while (d->n > 0 && d->heap[0]->due_ms <= loop_now_ms(loop)) {
		struct bus_deadline *due = d->heap[0];
		bus_deadline_remove(d, due);
		due->fn(due);
	}
	arm(d);
}

static int
reserve(struct bus_deadlines *d)
{
	if (d->n < d->capacity)
		return 0;
	size_t capacity = d->capacity ? d->capacity * 2 : 64;
	struct bus_deadline **heap = reallocarray(d->heap, capacity, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	d->heap = heap;
	d->capacity = capacity;
	return 0;
}

int
bus_deadline_add(struct bus_deadlines *d, struct bus_deadline *deadline)
{
	int r = reserve(d);

	if (r < 0)
		return r;
	put(d, d->n++, deadline);
	sift_up(d, d->n - 1);
	r = arm(d);
	if (r < 0)
		bus_deadline_remove(d, deadline);
	return r;
}

void
bus_deadlines_fini(struct bus_deadlines *d)
{
	loop_timer_stop(&d->timer);
	for (size_t i = 0; i < d->n; i++)
		d->heap[i]->place = 0;
	free(d->heap);
	d->heap = NULL;
	d->n = d->capacity = 0;
}
