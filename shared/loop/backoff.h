/*
 * backoff: how long to wait before the next attempt: a pause that doubles with each failure, up to
 * a limit, and a share of it by chance (Brooker, "Exponential backoff and jitter", 2015), so that
 * those who lost the same thing do not come back at one moment (T45). Who counts failures, and what
 * ends them, is the caller's. No clock, and randomness is an argument. Any thread.
 */
#pragma once

#include <stdint.h>

/* first_ms, doubled once for each failure before this one, at most max_ms. Any number of failures;
 * 0 < first_ms <= max_ms. */
int64_t backoff_ms(int64_t first_ms, int64_t max_ms, unsigned failures);

/* random of 2^32 parts of a pause: 0 to just below it (full jitter, of backoff_ms). Up to 49 days.
 */
int64_t backoff_share_ms(int64_t pause_ms, uint32_t random);

/* For backoff_share_ms. Without the kernel's randomness it is the clock's, which is enough for that
 * and for nothing else. */
uint32_t backoff_random(void);
