/*
 * bus_strikes: see bus_strikes.h.
 */
#include "bus/bus_strikes.h"

/* FNV-1a (Fowler, Noll, Vo) under a seed: never 0. */
static uint64_t
hash(const struct bus_strikes *strikes, const void *routing_id, size_t n)
{
	const uint8_t *bytes = routing_id;
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ strikes->seed;

	for (size_t i = 0; i < n; i++)
		h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
	return h | 1;
}

static bool
is_over(const struct bus_strikes *strikes, size_t i, int64_t now_ms)
{
	return now_ms - strikes->places[i].began_ms >= BUS_STRIKES_WINDOW_MS;
}

/* Its place; else one that is free or over; else the oldest. */
static size_t
find(const struct bus_strikes *strikes, uint64_t who, int64_t now_ms)
{
	size_t best = 0;

	for (size_t i = 0; i < BUS_STRIKES_PLACES; i++)
		if (strikes->places[i].who == who && !is_over(strikes, i, now_ms))
			return i;
	for (size_t i = 0; i < BUS_STRIKES_PLACES; i++) {
		if (strikes->places[i].who == 0 || is_over(strikes, i, now_ms))
			return i;
		if (strikes->places[i].began_ms < strikes->places[best].began_ms)
			best = i;
	}
	return best;
}

bool
bus_strikes_add(struct bus_strikes *strikes, const void *routing_id, size_t n, int64_t now_ms)
{
	uint64_t who = hash(strikes, routing_id, n);
	size_t i = find(strikes, who, now_ms);

	if (strikes->places[i].who != who || is_over(strikes, i, now_ms)) {
		strikes->used += strikes->places[i].who == 0;
		strikes->places[i].who = who;
		strikes->places[i].began_ms = now_ms;
		strikes->places[i].n = 0;
	}
	if (++strikes->places[i].n != BUS_STRIKES_MAX)
		return false;
	strikes->places[i].began_ms = now_ms; /* its minute outside begins */
	return true;
}

bool
bus_strikes_is_out(struct bus_strikes *strikes, const void *routing_id, size_t n, int64_t now_ms)
{
	if (strikes->used == 0)
		return false;
	uint64_t who = hash(strikes, routing_id, n);
	size_t i = find(strikes, who, now_ms);

	return strikes->places[i].who == who && !is_over(strikes, i, now_ms) &&
	       strikes->places[i].n >= BUS_STRIKES_MAX;
}
