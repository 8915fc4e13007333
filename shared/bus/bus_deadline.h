/*
 * bus_deadline: the deadlines of all calls of a bus, under one timer of its loop.
 */
#pragma once

#include "loop/loop.h"

#include <stddef.h>

/* Part of what has the deadline. Zeroed: not queued. */
struct bus_deadline {
	int64_t due_ms;
	size_t place; /* 1 + index in the heap; 0: not queued */
	void (*fn)(struct bus_deadline *deadline);
};

struct bus_deadlines {
	struct loop *loop;
	struct bus_deadline **heap;
	size_t n, capacity;
	struct loop_timer *timer;
	int64_t armed_ms; /* what the timer waits for */
};

void bus_deadlines_fini(struct bus_deadlines *deadlines);

/* fn is called once, at due_ms or soon after, and the deadline is then no longer queued. */
int bus_deadline_add(struct bus_deadlines *deadlines, struct bus_deadline *deadline);
void bus_deadline_remove(struct bus_deadlines *deadlines, struct bus_deadline *deadline);
