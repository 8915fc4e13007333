/*
 * leg_pace: a virtual clock, that of what has gone, runs ahead of the true one by so much at most.
 */
#include "queue/leg_pace.h"

enum { NS_PER_US = 1000, US_PER_SEC = 1000 * 1000 };

size_t
leg_pace_room(struct leg_pace *pace, int64_t now_us)
{
	int64_t now_ns = now_us * NS_PER_US;

	if (pace->rate == 0)
		return SIZE_MAX;
	if (pace->next_ns < now_ns)
		pace->next_ns = now_ns;
	int64_t most = (int64_t)(pace->rate * LEG_PACE_AT_ONCE_US / US_PER_SEC);
	if (most < LEG_PACE_LEAST_BYTES)
		most = LEG_PACE_LEAST_BYTES;
	int64_t gone = (pace->next_ns - now_ns) / NS_PER_US * (int64_t)pace->rate / US_PER_SEC;
	return gone < most ? (size_t)(most - gone) : 0;
}
