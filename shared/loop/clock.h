/*
 * clock: the two clocks, in one place. Deadlines and ages are monotonic; only what a person or
 * another host reads (expiry in a ticket, a record's time) is wall time. Any thread.
 */
#pragma once

#include <stdint.h>

/* Milliseconds since an arbitrary start; never goes back. */
int64_t clock_monotonic_ms(void);

/* Microseconds of the same clock. */
int64_t clock_monotonic_us(void);

/* As clock_monotonic_ms, but it goes on while the machine sleeps: for what ends hours from now on
 * somebody's PC. */
int64_t clock_boottime_ms(void);

/* Milliseconds since the Unix epoch, UTC. */
int64_t clock_wall_ms(void);
int64_t clock_wall_us(void);

/* "2026-01-31T12:00:00.000Z" */
enum { CLOCK_ISO8601_BYTES = 25 };
void clock_format_iso8601(int64_t wall_ms, char ret_text[CLOCK_ISO8601_BYTES]);
