/* backoff: see the header. */
#include "loop/backoff.h"

#include "loop/clock.h"

#include <sys/random.h>

int64_t
backoff_ms(int64_t first_ms, int64_t max_ms, unsigned failures)
{
	int64_t pause_ms = first_ms;

	while (failures-- > 0 && pause_ms < max_ms)
		pause_ms = pause_ms <= max_ms / 2 ? pause_ms * 2 : max_ms;
	return pause_ms;
}

int64_t
backoff_share_ms(int64_t pause_ms, uint32_t random)
{
	return (int64_t)(((uint64_t)pause_ms * random) >> 32);
}

uint32_t
backoff_random(void)
{
	uint32_t random;

	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
		random = (uint32_t)clock_monotonic_us();
	return random;
}
