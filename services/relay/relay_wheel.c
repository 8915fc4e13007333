/*
 * relay_wheel: slots are lists; a timer's slot is its deadline's tick, rounded up.
 */
#include "relay/relay_wheel.h"

#include <stddef.h>
#include <string.h>

void
relay_wheel_init(struct relay_wheel *wheel, int64_t now_ms)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->tick = now_ms / RELAY_WHEEL_SLOT_MS;
}

void
relay_timer_stop(struct relay_wheel *wheel, struct relay_timer *timer)
{
	if (timer->at == NULL)
		return;
	*timer->at = timer->next;
	if (timer->next != NULL)
		timer->next->at = timer->at;
	timer->next = NULL;
	timer->at = NULL;
	wheel->count--;
}

void
relay_timer_set(struct relay_wheel *wheel, struct relay_timer *timer, int64_t deadline_ms)
{
	int64_t tick = (deadline_ms + RELAY_WHEEL_SLOT_MS - 1) / RELAY_WHEEL_SLOT_MS;

	relay_timer_stop(wheel, timer);
	if (tick <= wheel->tick)
		tick = wheel->tick + 1;
	struct relay_timer **slot = &wheel->slots[tick % RELAY_WHEEL_SLOTS];
	timer->deadline_ms = deadline_ms;
	timer->next = *slot;
	timer->at = slot;
	if (timer->next != NULL)
		timer->next->at = &timer->next;
	*slot = timer;
	wheel->count++;
}

/* The slot's list is taken whole onto `due`, so that fn may set timers in this very slot. */
static void
fire_slot(struct relay_wheel *wheel, struct relay_timer **slot, int64_t now_ms, relay_timer_fn fn,
	  void *arg)
{
	struct relay_timer *due = *slot;

	*slot = NULL;
	if (due != NULL)
		due->at = &due;
	while (due != NULL) {
		struct relay_timer *timer = due;

		relay_timer_stop(wheel, timer);
		if (timer->deadline_ms > now_ms)
			relay_timer_set(wheel, timer, timer->deadline_ms);
		else
			fn(timer, arg);
	}
}

void
relay_wheel_advance(struct relay_wheel *wheel, int64_t now_ms, relay_timer_fn fn, void *arg)
{
	int64_t target = now_ms / RELAY_WHEEL_SLOT_MS;

	/* After a long sleep once round is enough. */
	if (target - wheel->tick > RELAY_WHEEL_SLOTS)
		wheel->tick = target - RELAY_WHEEL_SLOTS;
	while (wheel->tick < target) {
		wheel->tick++;
		fire_slot(wheel, &wheel->slots[wheel->tick % RELAY_WHEEL_SLOTS], now_ms, fn, arg);
	}
}

int
relay_wheel_timeout_ms(const struct relay_wheel *wheel, int64_t now_ms)
{
	if (wheel->count == 0)
		return -1;
	int64_t next = wheel->tick + 1;
	while (next < wheel->tick + RELAY_WHEEL_AHEAD &&
	       wheel->slots[next % RELAY_WHEEL_SLOTS] == NULL)
		next++;
	int64_t left = next * RELAY_WHEEL_SLOT_MS - now_ms;
	return left > 0 ? (int)left : 0;
}
