/*
 * bus_sightings: see bus_sightings.h.
 */
#include "bus/bus_sightings.h"

/* FNV-1a over a random start: routing ids are short, and a peer that finds two that meet only
 * makes its own requests be dropped. Never 0, which marks a free place. */
static uint64_t
hash(uint64_t seed, const uint8_t *bytes, size_t n)
{
	uint64_t h = seed ^ 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		h = (h ^ bytes[i]) * 0x100000001b3;
	h ^= h >> 32;
	return h ? h : 1;
}

static struct bus_sighting *
find(struct bus_sightings *s, uint64_t peer)
{
	struct bus_sighting *oldest = &s->table[peer % BUS_SIGHTINGS];

	for (size_t i = 0; i < BUS_SIGHTING_PROBES; i++) {
		struct bus_sighting *at = &s->table[(peer + i) % BUS_SIGHTINGS];
		if (at->peer == peer)
			return at;
		if (at->used < oldest->used)
			oldest = at;
	}
	*oldest = (struct bus_sighting){ .peer = peer };
	return oldest;
}

bool
bus_sighting_is_new(struct bus_sightings *s, const void *routing_id, size_t n, uint64_t correlation)
{
	struct bus_sighting *peer = find(s, hash(s->seed, routing_id, n));

	peer->used = ++s->clock;
	if (correlation <= peer->highest)
		return false;
	peer->highest = correlation;
	return true;
}
