/*
 * relay_rate: a session's rate each way, as a token bucket of bytes that holds a quarter of a
 * second. Debt is allowed: what has arrived is judged by what was there before it. No clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { RELAY_RATE_BURST_MS = 250, RELAY_RATE_BURST_MIN_BYTES = 64 * 1024 };

struct relay_rate {
	uint32_t bytes_per_ms; /* = kB/s; 0: no limit */
	int64_t tokens;
	int64_t updated_ms;
};

void relay_rate_init(struct relay_rate *rate, uint32_t kbytes_per_sec, int64_t now_ms);

/* True while the bucket is in debt: what comes now is too much. */
bool relay_rate_is_spent(struct relay_rate *rate, int64_t now_ms);

/* Takes n bytes. Returns the milliseconds until the bucket is out of debt: 0, go on. */
int64_t relay_rate_take(struct relay_rate *rate, uint64_t n, int64_t now_ms);
