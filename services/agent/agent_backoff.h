/*
 * agent_backoff: how long the agent waits: before it tries again, so that nodes that lost the same
 * server do not come back in one wave (T45), and until the next of what is regular. No clock;
 * randomness is an argument (loop/backoff.h has some).
 */
#pragma once

#include <stdint.h>

enum { AGENT_BACKOFF_FIRST_MS = 1000, AGENT_BACKOFF_MAX_MS = 60 * 1000 };

/* After one more failure than so many: full jitter, on top of what the server asked for (0:
 * nothing), of which an hour is taken at most. */
int64_t agent_backoff_ms(unsigned failures, uint32_t retry_after_sec, uint32_t random);

/* Some time between nine tenths and the whole of a period: spreads what is regular. */
int64_t agent_backoff_spread_ms(int64_t period_ms, uint32_t random);
