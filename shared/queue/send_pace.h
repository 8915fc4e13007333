/*
 * send_pace: how fast a socket takes what waits for it, and so how much may lie where it can no
 * longer be dropped or overtaken, which is in the kernel: half a millisecond's worth, up to the
 * next power of two. On a fast path that is all one would give, on one of a megabit a second it is
 * what a queue of one's own is there to prevent. A model: no I/O, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SEND_PACE_WINDOW_MS = 8,
	SEND_PACE_LEAST_BYTES = 2 * 1024,
	SEND_PACE_UNSENT_US = 500,
};

/* All zero at first. */
struct send_pace {
	uint32_t taken_bytes; /* since since_ms */
	uint32_t since_ms;    /* as far as 32 bits go */
	uint32_t bytes_per_ms;
	uint32_t unsent_bytes; /* TCP_NOTSENT_LOWAT as it was last chosen, 0: as it began */
	bool is_limited; /* the socket was full at since_ms, and something waited ever since */
};

/* The socket took n bytes. */
static inline void
send_pace_took(struct send_pace *pace, size_t n)
{
	pace->taken_bytes += (uint32_t)n;
}

/* The socket is full. True when unsent_bytes, at most `most`, is to be something else from now on.
 */
bool send_pace_full(struct send_pace *pace, int64_t now_ms, uint32_t most);

/* Nothing waits: what is taken no longer says how fast the socket is. */
static inline void
send_pace_clear(struct send_pace *pace)
{
	pace->is_limited = false;
}
