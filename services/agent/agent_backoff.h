/*
 * agent_backoff: how long to wait before the next attempt: exponential, with full jitter, so that
 * nodes that lost the same server do not come back in one wave (T45). No clock; randomness
 * is an argument, backoff_random where nobody wants another.
 */
#pragma once

#include <stdint.h>

enum { BACKOFF_FIRST_MS = 1000, BACKOFF_MAX_MS = 60 * 1000 };

struct backoff {
	unsigned failures;
};

/* After one more failure: between 0 and min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2^failures), on top
 * of what the server asked for (0: nothing). */
int64_t backoff_next_ms(struct backoff *backoff, uint32_t retry_after_sec, uint32_t random);
void backoff_reset(struct backoff *backoff);

/* For the jitter. Without randomness all nodes wait alike: worse for the server, not wrong. */
uint32_t backoff_random(void);

/* Some time between nine tenths and the whole of a period: spreads what is regular. */
int64_t backoff_spread_ms(int64_t period_ms, uint32_t random);
