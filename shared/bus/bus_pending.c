/*
 * bus_pending: the calls under way on a peer, from the stub to the closure, which each meets
 * exactly once. A correlation id is (sequence << 16 | slot): it grows with each call, and tells
 * where in the peer's table the call is.
 */
#include "bus/bus_inside.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT_BITS = 16 };

static int
slots_grow(struct bus_peer *peer)
{
	size_t capacity = peer->capacity ? peer->capacity * 2 : 64;
	struct bus_pending **slots = reallocarray(peer->slots, capacity, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	peer->slots = slots;
	peer->capacity = capacity;
	return 0;
}

static struct bus_pending *
new_slot(struct bus_peer *peer)
{
	if (peer->n_slots == peer->capacity && slots_grow(peer) < 0)
		return NULL;
	struct bus_pending *pending = calloc(1, sizeof(*pending));
	if (!pending)
		return NULL;
	pending->slot = (uint32_t)peer->n_slots;
	peer->slots[peer->n_slots++] = pending;
	return pending;
}

/* One that can only fail, because there are BUS_PENDING_MAX already, or no memory for the table. */
static struct bus_pending *
new_loose(void)
{
	struct bus_pending *pending = calloc(1, sizeof(*pending));

	if (pending)
		pending->slot = UINT32_MAX;
	return pending;
}

static void on_deadline(struct bus_deadline *deadline);

struct bus_pending *
bus_pending_take(struct bus_peer *peer)
{
	struct bus_pending *pending = peer->free_slots;

	if (pending)
		peer->free_slots = pending->next;
	else if (peer->n_slots < BUS_PENDING_MAX)
		pending = new_slot(peer);
	if (!pending)
		pending = new_loose();
	if (!pending)
		return NULL;
	*pending = (struct bus_pending){
		.peer = peer,
		.slot = pending->slot,
		.correlation = ++peer->sequence << SLOT_BITS | (pending->slot & 0xffff),
		.asked_us = clock_monotonic_us(),
		.deadline.fn = on_deadline,
	};
	peer->n_pending++;
	return pending;
}

static void
pending_give_back(struct bus_pending *pending)
{
	struct bus_peer *peer = pending->peer;

	bus_deadline_remove(&peer->bus->deadlines, &pending->deadline);
	if (pending->state == BUS_PENDING_SENT)
		peer->n_sent--;
	free(pending->body);
	pending->body = NULL;
	pending->state = BUS_PENDING_FREE;
	peer->n_pending--;
	if (pending->slot == UINT32_MAX) {
		free(pending);
		return;
	}
	pending->next = peer->free_slots;
	peer->free_slots = pending;
}

struct bus_pending *
bus_pending_find(struct bus_peer *peer, uint64_t correlation)
{
	size_t slot = correlation & 0xffff;

	if (slot >= peer->n_slots)
		return NULL;
	struct bus_pending *pending = peer->slots[slot];
	return pending->state == BUS_PENDING_SENT && pending->correlation == correlation ? pending
											 : NULL;
}

/* ---- how a call ends ---- */

static void
trace_end(const struct bus_pending *pending, const struct bus_result *result, int64_t took_us)
{
	const struct bus_peer *peer = pending->peer;
	char trace[BUS_TRACE_BYTES];

	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	for (size_t i = 0; i < BUS_TRACE_RAW_BYTES; i++)
		snprintf(trace + 2 * i, 3, "%02x", pending->trace[i]);
	log_debug("call_ended", "method=%s.%s trace=%s result=%s code=%s us=%lld",
		  peer->service.descriptor->short_name,
		  peer->service.descriptor->methods[pending->method].name, trace,
		  bus_status_word(result->status), result->code, (long long)took_us);
}

/* The one place where closures are called. The slot is free again before, so that the closure may
 * call anew; the caller must not touch pending, nor the peer unless it holds it busy. */
void
bus_pending_finish(struct bus_pending *pending, const struct bus_result *result,
		   const ProtobufCMessage *reply)
{
	struct bus_peer *peer = pending->peer;
	struct bus_pending ended = *pending;
	int64_t took_us = (peer->turn_us ? peer->turn_us : clock_monotonic_us()) - ended.asked_us;

	if (took_us < 0)
		took_us = 0; /* asked and answered within one turn */

	peer->busy++;
	if (!ended.ping && !peer->group) {
		bus_tally_add(&peer->tally, ended.method, result->status, took_us);
		trace_end(pending, result, took_us);
	}
	pending_give_back(pending);
	peer->result = *result;
	peer->ended_here = ended.ends_here;
	peer->ended_unsent = !ended.was_sent;
	if (ended.ping)
		ended.ping(result->status == BUS_OK, (uint32_t)took_us, ended.arg);
	else
		ended.closure(reply, ended.arg);
	bus_peer_leave(peer);
}

static void
finish_failed(struct bus_pending *pending, enum bus_status status, const char *code)
{
	struct bus_result result;

	bus_result_set(&result, status, code, NULL, 0);
	pending->ends_here = true;
	bus_pending_finish(pending, &result, NULL);
}

static void
on_deadline(struct bus_deadline *deadline)
{
	struct bus_pending *pending =
		(struct bus_pending *)((char *)deadline - offsetof(struct bus_pending, deadline));

	if (pending->state == BUS_PENDING_WAITING)
		bus_waiting_remove(pending);
	finish_failed(pending, BUS_DEADLINE, "deadline");
}

/* ---- failures inside a stub: told from a timer that fires at once ---- */

/* Those that fail meanwhile, because a closure called once more, wait for the next round. */
void
bus_pendings_finish_failed(struct bus *bus)
{
	uint64_t round = bus->failed_round++;

	while (bus->first_failed && bus->first_failed->fail_round <= round) {
		struct bus_pending *pending = bus->first_failed;
		bus->first_failed = pending->next;
		if (!bus->first_failed)
			bus->last_failed = &bus->first_failed;
		finish_failed(pending, pending->fail_status, pending->fail_code);
	}
}

static void
on_failed_timer(struct loop *loop, void *arg)
{
	struct bus *bus = arg;

	(void)loop;
	bus->failed_timer = NULL;
	bus_pendings_finish_failed(bus);
}

void
bus_pending_fail(struct bus_pending *pending, enum bus_status status, const char *code)
{
	struct bus *bus = pending->peer->bus;

	bus_deadline_remove(&bus->deadlines, &pending->deadline);
	pending->state = BUS_PENDING_FAILED;
	pending->fail_status = status;
	pending->fail_code = code;
	pending->fail_round = bus->failed_round;
	pending->next = NULL;
	*bus->last_failed = pending;
	bus->last_failed = &pending->next;
	if (!bus->failed_timer)
		loop_timer_start(bus->loop, 0, 0, on_failed_timer, bus, &bus->failed_timer);
}

void
bus_pending_fail_send(struct bus_pending *pending, int error)
{
	bus_pending_fail(pending, BUS_UNAVAILABLE,
			 error == -EAGAIN      ? "peer_full"
			 : error == -EHOSTDOWN ? "peer_down"
					       : "out_of_memory");
}

/* Takes those of one peer off the failed list and finishes them now. */
void
bus_pendings_finish_failed_of(struct bus *bus, struct bus_peer *peer)
{
	struct bus_pending **at = &bus->first_failed;
	struct bus_pending *mine = NULL, **last = &mine;

	while (*at) {
		struct bus_pending *pending = *at;
		if (pending->peer != peer) {
			at = &pending->next;
			continue;
		}
		*at = pending->next;
		pending->next = NULL;
		*last = pending;
		last = &pending->next;
	}
	bus->last_failed = at;
	while (mine) {
		struct bus_pending *pending = mine;
		mine = pending->next;
		finish_failed(pending, pending->fail_status, pending->fail_code);
	}
}
