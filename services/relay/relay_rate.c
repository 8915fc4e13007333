/*
 * relay_rate: refills by the clock it is given.
 */
#include "relay/relay_rate.h"

enum { DAY_MS = 24 * 3600 * 1000 };

static int64_t
burst_bytes(const struct relay_rate *rate)
{
	int64_t burst = (int64_t)rate->bytes_per_ms * RELAY_RATE_BURST_MS;

	return burst > RELAY_RATE_BURST_MIN_BYTES ? burst : RELAY_RATE_BURST_MIN_BYTES;
}

void
relay_rate_init(struct relay_rate *rate, uint32_t kbytes_per_sec, int64_t now_ms)
{
	rate->bytes_per_ms = kbytes_per_sec;
	rate->tokens = burst_bytes(rate);
	rate->updated_ms = now_ms;
}

/* After a day it is full in any case, and a day at the highest rate fits into 64 bits. */
static void
refill(struct relay_rate *rate, int64_t now_ms)
{
	int64_t burst = burst_bytes(rate), passed_ms = now_ms - rate->updated_ms;

	if (passed_ms > DAY_MS)
		passed_ms = DAY_MS;
	rate->tokens += passed_ms * rate->bytes_per_ms;
	if (rate->tokens > burst)
		rate->tokens = burst;
	rate->updated_ms = now_ms;
}

bool
relay_rate_is_spent(struct relay_rate *rate, int64_t now_ms)
{
	if (rate->bytes_per_ms == 0)
		return false;
	refill(rate, now_ms);
	return rate->tokens < 0;
}

int64_t
relay_rate_take_limited(struct relay_rate *rate, uint64_t n, int64_t now_ms)
{
	refill(rate, now_ms);
	rate->tokens -= (int64_t)n;
	if (rate->tokens >= 0)
		return 0;
	return (-rate->tokens + rate->bytes_per_ms - 1) / rate->bytes_per_ms;
}
