/*
 * bus_strikes: connections that sent what cannot be read. After BUS_STRIKES_MAX in a minute
 * whatever comes from one is thrown away for a minute (T24). Told apart by routing id, so that one
 * of several peers with the same key does not silence the others. Remembers a bounded number of
 * them. No I/O, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUS_STRIKES_MAX = 10, BUS_STRIKES_WINDOW_MS = 60 * 1000, BUS_STRIKES_PLACES = 64 };

struct bus_strikes {
	struct {
		uint64_t who;	  /* hash of a routing id; 0: free */
		int64_t began_ms; /* of this minute, or of the ban */
		unsigned n;
	} places[BUS_STRIKES_PLACES];
	size_t used; /* 0: nobody has any, and nothing need be looked up */
	uint64_t seed;
};

/* True when this was the one too many. */
bool bus_strikes_add(struct bus_strikes *strikes, const void *routing_id, size_t n, int64_t now_ms);

bool bus_strikes_is_out(struct bus_strikes *strikes, const void *routing_id, size_t n,
			int64_t now_ms);
