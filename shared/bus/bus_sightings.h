/*
 * bus_sightings: which correlation ids a server has seen, so that a request that comes twice has
 * one effect. Ids grow on a connection, so the highest of each peer is enough to know.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUS_SIGHTINGS = 2048, BUS_SIGHTING_PROBES = 8 };

struct bus_sightings {
	uint64_t seed;
	uint64_t clock; /* counts uses, to know the least recent */
	struct bus_sighting {
		uint64_t peer, highest, used;
	} table[BUS_SIGHTINGS];
};

/* False when this peer has sent this or a higher id before. The least recent peers are forgotten
 * when there are more than about BUS_SIGHTINGS. */
bool bus_sighting_is_new(struct bus_sightings *sightings, const void *routing_id, size_t n,
			 uint64_t correlation);
