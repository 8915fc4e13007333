/*
 * load_delays: how long the messages of one session took, and percentiles over several sessions: of
 * all, and the middle one of those of 50 ms each. A pause of the machine (10 ms about once a
 * second), and the jam at its end, decide what the 99th percentile of all is; what most slices have
 * is the server's own.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	LOAD_SLICE_US = 50 * 1000, /* hundreds of samples */
	LOAD_SLICES_MAX = 4096,
};

struct load_delays {
	uint32_t *us;
	size_t n;
	size_t slice_ends[LOAD_SLICES_MAX]; /* of us */
	unsigned slices;
};

/* Forgets what there is. All zero at first. */
void load_delays_begin(struct load_delays *delays);

void load_delays_add(struct load_delays *delays, uint32_t us);

/* So much time has passed since the beginning: a slice may have ended. */
void load_delays_passed(struct load_delays *delays, int64_t us);

/* "NAME_p50_us":..,"NAME_p99_us":..,"NAME_slice_p99_us":.., of `count` sessions that began
 * together. */
void load_delays_print(const char *name, const struct load_delays *of, unsigned count);
