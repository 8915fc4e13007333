/*
 * leg_pace: what may go is spread over time: at a rate, and no more at once than goes at that rate
 * in a little while. A model: no I/O, no clock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { LEG_PACE_AT_ONCE_US = 1000, LEG_PACE_LEAST_BYTES = 2 * 1500 };

/* All zero: there is none, all may go. */
struct leg_pace {
	uint64_t rate;	 /* bytes a second; 0: none */
	int64_t next_ns; /* what went until now has gone by then, at the rate */
};

static inline void
leg_pace_sent(struct leg_pace *pace, size_t n)
{
	if (pace->rate != 0)
		pace->next_ns += (int64_t)(n * UINT64_C(1000000000) / pace->rate);
}

/* How much may go now. */
size_t leg_pace_room(struct leg_pace *pace, int64_t now_us);
