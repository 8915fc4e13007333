/* agent_backoff: see "Exponential Backoff And Jitter" (M. Brooker, 2015). */
#include "agent/agent_backoff.h"

#include "identity/mac.h"

enum { DOUBLINGS_MAX = 16, RETRY_AFTER_MAX_SEC = 3600 };

/* random of 2^32 parts of a whole: the same share of `of`. */
static int64_t
share(int64_t of, uint32_t random)
{
	return (int64_t)(((uint64_t)of * random) >> 32);
}

int64_t
backoff_next_ms(struct backoff *backoff, uint32_t retry_after_sec, uint32_t random)
{
	unsigned doublings = backoff->failures < DOUBLINGS_MAX ? backoff->failures : DOUBLINGS_MAX;
	int64_t ceiling_ms = (int64_t)BACKOFF_FIRST_MS << doublings;
	int64_t asked_ms = (retry_after_sec < RETRY_AFTER_MAX_SEC ? (int64_t)retry_after_sec
								  : RETRY_AFTER_MAX_SEC) *
			   1000;

	if (ceiling_ms > BACKOFF_MAX_MS)
		ceiling_ms = BACKOFF_MAX_MS;
	backoff->failures++;
	return asked_ms + share(ceiling_ms, random);
}

void
backoff_reset(struct backoff *backoff)
{
	backoff->failures = 0;
}

uint32_t
backoff_random(void)
{
	uint32_t random = 0;

	(void)mac_random(&random, sizeof(random));
	return random;
}

int64_t
backoff_spread_ms(int64_t period_ms, uint32_t random)
{
	return period_ms - share(period_ms / 10, random);
}
