/*
 * clock: see clock.h. The only callers of clock_gettime in the house.
 */
#include "loop/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t
read_us(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
clock_monotonic_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clock_monotonic_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t
clock_boottime_ms(void)
{
	return read_us(CLOCK_BOOTTIME) / 1000;
}

int64_t
clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

int64_t
clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

/* Years that have four digits; anything else is shown as the nearest of them. */
static const int64_t YEAR_1_MS = -62135596800000, YEAR_9999_END_MS = 253402300799999;

void
clock_format_iso8601(int64_t wall_ms, char ret_text[CLOCK_ISO8601_BYTES])
{
	struct tm tm;
	char text[64];

	if (wall_ms < YEAR_1_MS)
		wall_ms = YEAR_1_MS;
	if (wall_ms > YEAR_9999_END_MS)
		wall_ms = YEAR_9999_END_MS;
	int ms = (int)(wall_ms % 1000);
	time_t sec = (time_t)(wall_ms / 1000);
	if (ms < 0) {
		ms += 1000;
		sec--;
	}
	gmtime_r(&sec, &tm);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms);
	snprintf(ret_text, CLOCK_ISO8601_BYTES, "%.24s", text);
}
