/*
 * send_pace: rates over windows of a few milliseconds, half of the last one remembered.
 */
#include "queue/send_pace.h"

/* The power of two next to it, so that small changes cost no system call. */
static uint32_t
round_off(uint64_t bytes, uint32_t most)
{
	uint32_t rounded = SEND_PACE_LEAST_BYTES;

	while (rounded < bytes && rounded < most)
		rounded *= 2;
	return rounded < most ? rounded : most;
}

bool
send_pace_full(struct send_pace *pace, int64_t now_ms, uint32_t most)
{
	uint32_t passed_ms = (uint32_t)now_ms - pace->since_ms;

	if (!pace->is_limited) {
		pace->is_limited = true;
		pace->since_ms = (uint32_t)now_ms;
		pace->taken_bytes = 0;
		return false;
	}
	if (passed_ms < SEND_PACE_WINDOW_MS)
		return false;
	uint32_t rate = pace->taken_bytes / passed_ms;
	pace->bytes_per_ms = pace->bytes_per_ms == 0 ? rate : pace->bytes_per_ms / 2 + rate / 2;
	if (pace->bytes_per_ms == 0)
		pace->bytes_per_ms = 1;
	pace->since_ms = (uint32_t)now_ms;
	pace->taken_bytes = 0;
	uint32_t unsent =
		round_off((uint64_t)pace->bytes_per_ms * SEND_PACE_UNSENT_US / 1000, most);
	bool is_new = unsent != pace->unsent_bytes;
	pace->unsent_bytes = unsent;
	return is_new;
}
