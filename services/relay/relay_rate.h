/*
 * relay_rate: a session's rate each way, as a token bucket of bytes that holds a quarter of a
 * second. Debt is allowed: what has arrived is judged by what was there before it. No clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RELAY_RATE_BURST_MS = 250,
	RELAY_RATE_BURST_MIN_BYTES = 64 * 1024,
	RELAY_RATE_READ_MS = 2,
	RELAY_RATE_READ_MIN_BYTES = 4 * 1024,
};

struct relay_rate {
	uint32_t bytes_per_ms; /* = kB/s; 0: no limit */
	int64_t tokens;
	int64_t updated_ms;
};

void relay_rate_init(struct relay_rate *rate, uint32_t kbytes_per_sec, int64_t now_ms);

/* How much to read at once of one that is held to this rate, most at most: who is made to wait
 * should not come in gusts. */
static inline size_t
relay_rate_read_bytes(const struct relay_rate *rate, size_t most)
{
	size_t bytes = (size_t)rate->bytes_per_ms * RELAY_RATE_READ_MS;

	if (rate->bytes_per_ms == 0 || bytes > most)
		return most;
	return bytes > RELAY_RATE_READ_MIN_BYTES ? bytes : RELAY_RATE_READ_MIN_BYTES;
}

/* True while the bucket is in debt: what comes now is too much. */
bool relay_rate_is_spent(struct relay_rate *rate, int64_t now_ms);

/* Takes n bytes. Returns the milliseconds until the bucket is out of debt: 0, go on. */
int64_t relay_rate_take_limited(struct relay_rate *rate, uint64_t n, int64_t now_ms);
static inline int64_t
relay_rate_take(struct relay_rate *rate, uint64_t n, int64_t now_ms)
{
	return rate->bytes_per_ms != 0 ? relay_rate_take_limited(rate, n, now_ms) : 0;
}
