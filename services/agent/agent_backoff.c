/* agent_backoff: see the header. */
#include "agent/agent_backoff.h"

#include "loop/backoff.h"

enum { RETRY_AFTER_MAX_SEC = 3600 };

int64_t
agent_backoff_ms(unsigned failures, uint32_t retry_after_sec, uint32_t random)
{
	int64_t limit_ms = backoff_ms(AGENT_BACKOFF_FIRST_MS, AGENT_BACKOFF_MAX_MS, failures);
	int64_t asked_sec =
		retry_after_sec < RETRY_AFTER_MAX_SEC ? retry_after_sec : RETRY_AFTER_MAX_SEC;

	return asked_sec * 1000 + backoff_share_ms(limit_ms, random);
}

int64_t
agent_backoff_spread_ms(int64_t period_ms, uint32_t random)
{
	return period_ms - backoff_share_ms(period_ms / 10, random);
}
