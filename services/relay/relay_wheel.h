/*
 * relay_wheel: deadlines of many legs, each set and moved in constant time: a hashed wheel
 * (Varghese and Lauck, 1987) of 2048 slots of 32 ms: what falls due together is work in one piece,
 * and packets wait for it. A deadline fires late by up to a slot, never early; one farther than the
 * wheel is wide comes round again. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	RELAY_WHEEL_SLOTS = 2048,
	RELAY_WHEEL_SLOT_MS = 32,
	RELAY_WHEEL_AHEAD = 7, /* slots that are looked at before a sleep */
};

struct relay_timer {
	struct relay_timer *next, **at; /* at NULL: not set */
	int64_t deadline_ms;
	uint8_t kind; /* the owner's: what the timer sits in */
};

struct relay_wheel {
	struct relay_timer *slots[RELAY_WHEEL_SLOTS];
	int64_t tick; /* all slots up to this one were looked at */
	uint32_t count;
};

typedef void (*relay_timer_fn)(struct relay_timer *timer, void *arg);

void relay_wheel_init(struct relay_wheel *wheel, int64_t now_ms);

/* Sets or moves. */
void relay_timer_set(struct relay_wheel *wheel, struct relay_timer *timer, int64_t deadline_ms);
void relay_timer_stop(struct relay_wheel *wheel, struct relay_timer *timer);

/* Fires what is due; fn may set and stop any timer. A timer is stopped before fn sees it. */
void relay_wheel_advance(struct relay_wheel *wheel, int64_t now_ms, relay_timer_fn fn, void *arg);

/* How long to sleep at most: to the next slot that is not empty, or RELAY_WHEEL_AHEAD slots; -1
 * when no timer is set. */
int relay_wheel_timeout_ms(const struct relay_wheel *wheel, int64_t now_ms);
