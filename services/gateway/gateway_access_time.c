/*
 * gateway_access_time: see the header.
 */
#include "gateway/gateway_access_time.h"

#include "identity/token.h"

#include <string.h>

/* Tokens hold for half a minute before their time (token.c). */
enum { LEEWAY_MS = 30 * 1000 };

static void
forget(struct access_time *time, int64_t steady_ms)
{
	while (time->before_n > 0 && time->before[time->before_n - 1].until_ms <= steady_ms)
		time->before_n--;
}

static void
remember(struct access_time *time, int64_t wall_ms, int64_t steady_ms, bool is_back)
{
	if (time->before_n == ACCESS_TIMES_MAX)
		time->before_n--;
	memmove(&time->before[1], &time->before[0], time->before_n * sizeof(time->before[0]));
	time->before_n++;
	time->before[0].offset_ms = time->offset_ms;
	time->before[0].step_wall_ms = wall_ms;
	time->before[0].until_ms = steady_ms + TOKEN_LIFETIME_MAX_MS;
	time->before[0].is_back = is_back;
}

int64_t
access_time_tell(struct access_time *time, int64_t wall_ms, int64_t steady_ms)
{
	int64_t offset_ms = wall_ms - steady_ms, step_ms = offset_ms - time->offset_ms;
	bool is_step = step_ms > ACCESS_TIME_STEP_MS || step_ms < -ACCESS_TIME_STEP_MS;
	forget(time, steady_ms);
	if (time->is_set && is_step)
		remember(time, wall_ms, steady_ms, step_ms < 0);
	if (!time->is_set || !is_step)
		step_ms = 0;
	time->is_set = true;
	time->offset_ms = offset_ms;
	return step_ms;
}

bool
access_time_is_before(const struct access_time *time, int64_t issued_ms)
{
	return time->before_n > 0 && time->before[0].is_back &&
	       issued_ms < time->before[0].step_wall_ms - LEEWAY_MS;
}

bool
access_time_earlier(const struct access_time *time, size_t i, int64_t steady_ms,
		    int64_t *ret_wall_ms)
{
	if (i >= time->before_n)
		return false;
	*ret_wall_ms = steady_ms + time->before[i].offset_ms;
	return true;
}
