/*
 * leg_window_inside: what leg_window (how much may go) and leg_rounds (what pongs say) both ask.
 */
#pragma once

#include "queue/leg_window.h"

enum {
	US_PER_SEC = 1000 * 1000,
	EMPTY_ROUNDS_MOST = 5,
	LEAST_BYTES = LEG_WINDOW_LEAST_PACKETS * LEG_WINDOW_PACKET_BYTES,
};

static inline uint64_t
min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t
max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t
leg_window_us_for(uint64_t bytes, uint64_t rate)
{
	return rate == 0 ? 0 : bytes * US_PER_SEC / rate;
}

static inline uint64_t
leg_window_target_us(const struct leg_window *window)
{
	return max64(window->least_us / LEG_WINDOW_TARGET_PART, LEG_WINDOW_TARGET_LEAST_US);
}

static inline uint64_t
leg_window_under_way(const struct leg_window *window)
{
	return window->sent - window->acked;
}

/* For how long no pong has come though one should have. */
uint64_t leg_window_silence_us(const struct leg_window *window, int64_t now_us);

/* As much as half fills the way: with no more under way it has no queue. */
uint64_t leg_window_drained(const struct leg_window *window);
