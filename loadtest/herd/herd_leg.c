/* herd_leg: see the header. Figures as in shared/leg/leg_attempt.c and leg_client.c. */
#include "herd_leg.h"

#include "leg/leg_frame.h"
#include "link.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	FIRST_MS = 100,
	MOST_MS = 30 * 1000,
	SPREAD_MS = 500,
	STABLE_MS = 10 * 1000,
	REPLACED_MS = 30 * 1000,
	LEAVE_MS = 500,
	CODE_REPLACED = 4009,
	CONNECT_MS = 5 * 1000,
	CONNECT_AGAIN_MS = 10 * 1000,
	US_PER_MS = 1000,
};

int64_t
herd_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

uint32_t
herd_random(uint32_t n)
{
	return (uint32_t)random() % n;
}

static struct herd_line *
other_line(struct herd_leg *leg)
{
	return &leg->lines[1 - leg->active];
}

static void
on_up(struct herd_line *line)
{
	struct herd_leg *leg = line->owner;
	int64_t now_us = herd_now_us();

	leg->owner->connected++;
	leg->owner->resumed += line->is_resumed;
	if (line == other_line(leg)) { /* moved */
		leg->active = 1 - leg->active;
		leg->relay = leg->move_to;
		leg->is_moving = false;
		leg->leave_us = now_us + LEAVE_MS * US_PER_MS;
		leg->owner->moved++;
	} else if (leg->lost_us != 0) {
		leg->back_us = now_us - leg->lost_us;
	}
	leg->lost_us = 0;
	leg->up_us = now_us;
}

static void
retry(struct herd_leg *leg, unsigned code, int64_t now_us)
{
	bool was_stable = leg->up_us != 0 && now_us - leg->up_us >= STABLE_MS * US_PER_MS;
	unsigned round = leg->failures / leg->owner->relay_count;
	uint32_t limit_ms = round < 9 && (uint32_t)FIRST_MS << round < MOST_MS
				    ? (uint32_t)FIRST_MS << round
				    : MOST_MS;

	if (was_stable || leg->up_us != 0)
		leg->failures = 0;
	else
		leg->relay = (leg->relay + 1) % leg->owner->relay_count;
	if (leg->up_us != 0)
		limit_ms = SPREAD_MS;
	leg->failures++;
	leg->up_us = 0;
	if (code == CODE_REPLACED)
		leg->retry_us = now_us + REPLACED_MS * US_PER_MS;
	else
		leg->retry_us = now_us + (int64_t)herd_random(limit_ms * US_PER_MS);
}

static void
on_down(struct herd_line *line, unsigned code)
{
	struct herd_leg *leg = line->owner;
	int64_t now_us = herd_now_us();

	leg->owner->closed[code < 5000 ? code : 0]++;
	if (line == other_line(leg)) {
		if (leg->is_moving) { /* the other relay did not take it: on to the next */
			leg->move_to = (leg->move_to + 1) % leg->owner->relay_count;
			leg->move_us = now_us + (int64_t)herd_random(FIRST_MS * US_PER_MS);
			leg->is_moving = false;
		}
		return;
	}
	if (leg->is_moving) { /* what is being tried is all there is */
		leg->active = 1 - leg->active;
		leg->relay = leg->move_to;
		leg->is_moving = false;
		leg->lost_us = leg->lost_us != 0 ? leg->lost_us : now_us;
		leg->up_us = 0;
		return;
	}
	if (leg->lost_us == 0)
		leg->lost_us = now_us;
	leg->move_us = 0;
	retry(leg, code, now_us);
}

static void
on_drain(struct herd_leg *leg, const Boson__Link__Drain *drain)
{
	const char *colon = drain->other_relay != NULL ? strrchr(drain->other_relay, ':') : NULL;
	unsigned long port = colon != NULL ? strtoul(colon + 1, NULL, 10) : 0;

	leg->move_to = (leg->relay + 1) % leg->owner->relay_count;
	for (unsigned i = 0; i < leg->owner->relay_count; i++)
		if (leg->owner->ports[i] == port)
			leg->move_to = i;
	leg->move_us = herd_now_us() + (int64_t)drain->reconnect_in_ms * US_PER_MS;
}

static void
on_message(struct herd_line *line, uint8_t *message, size_t n)
{
	struct herd_leg *leg = line->owner;

	if (message[0] == LEG_KIND_DATA) {
		leg->owner->on_data(leg, line, message, n);
		return;
	}
	Boson__Link__Control *control = boson__link__control__unpack(NULL, n - 1, message + 1);
	if (control == NULL)
		return;
	if (control->body_case == BOSON__LINK__CONTROL__BODY_DRAIN &&
	    line == &leg->lines[leg->active])
		on_drain(leg, control->drain);
	boson__link__control__free_unpacked(control, NULL);
}

static const struct herd_events events = {
	.on_up = on_up,
	.on_message = on_message,
	.on_down = on_down,
};

void
herd_leg_init(struct herd_leg *leg, struct herd_owner *owner, unsigned relay)
{
	leg->owner = owner;
	leg->relay = relay;
	for (unsigned i = 0; i < 2; i++) {
		herd_line_init(&leg->lines[i], owner->epoll_fd, &events, leg);
		leg->lines[i].ssl_context = owner->ssl_context;
	}
	leg->retry_us = 1;
}

bool
herd_leg_is_up(const struct herd_leg *leg)
{
	return leg->lines[leg->active].state == HERD_UP;
}

static void
open_line(struct herd_leg *leg, struct herd_line *line, unsigned relay)
{
	leg->owner->attempts++;
	leg->deadline_us = herd_now_us() +
			   (leg->failures > 0 ? CONNECT_AGAIN_MS : CONNECT_MS) * (int64_t)US_PER_MS;
	herd_line_open(line, leg->owner->ports[relay], leg->id, leg->ticket);
}

void
herd_leg_tick(struct herd_leg *leg, int64_t now_us)
{
	struct herd_line *other = other_line(leg);

	if (leg->retry_us != 0 && now_us >= leg->retry_us) {
		leg->retry_us = 0;
		open_line(leg, &leg->lines[leg->active], leg->relay);
	}
	struct herd_line *active = &leg->lines[leg->active];
	if ((active->state == HERD_CONNECTING || active->state == HERD_UPGRADING) &&
	    now_us >= leg->deadline_us) {
		herd_line_close(active);
		on_down(active, 0);
	}
	if (leg->leave_us != 0 && now_us >= leg->leave_us) {
		leg->leave_us = 0;
		if (other->state != HERD_IDLE)
			herd_line_close(other);
	}
	if (leg->move_us != 0 && now_us >= leg->move_us && leg->leave_us == 0 &&
	    other->state == HERD_IDLE) {
		leg->move_us = 0;
		if (leg->move_to == leg->relay)
			leg->move_to = (leg->move_to + 1) % leg->owner->relay_count;
		leg->is_moving = true;
		open_line(leg, other, leg->move_to);
	}
}

void
herd_leg_send(struct herd_leg *leg, uint8_t *message, size_t n)
{
	herd_line_send(&leg->lines[leg->active], message, n);
}
