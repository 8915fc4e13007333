/*
 * gateway_access_time: the wall clock as far as tokens go by it. When it is set (by more than five
 * minutes at once), what was made before is judged by the clock that it was made by, for as long as
 * a token may live: nobody is thrown out, and a clock that is put back brings no expired token to
 * life. The model: time is an argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACCESS_TIME_STEP_MS = 5 * 60 * 1000, ACCESS_TIMES_MAX = 4 };

struct access_time {
	bool is_set;
	int64_t offset_ms; /* wall - steady, followed */
	/* Clocks that were ours, the newest first. */
	struct {
		int64_t offset_ms;
		int64_t step_wall_ms; /* what the clock that came after it began with */
		int64_t until_ms;     /* steady */
		bool is_back;	      /* that one was behind it */
	} before[ACCESS_TIMES_MAX];
	size_t before_n;
};

/* steady_ms: a clock that nobody sets and that goes on while the machine sleeps. The size of the
 * step that was noticed, or 0. */
int64_t access_time_tell(struct access_time *time, int64_t wall_ms, int64_t steady_ms);

/* Was a token of this time (epoch ms) made before the wall clock was put back? Then the wall clock
 * alone has no say in it. */
bool access_time_is_before(const struct access_time *time, int64_t issued_ms);

/* What the i-th earlier clock (from 0) would show now. False when there is none. */
bool access_time_earlier(const struct access_time *time, size_t i, int64_t steady_ms,
			 int64_t *ret_wall_ms);
