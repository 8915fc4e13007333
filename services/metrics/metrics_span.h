/*
 * metrics_span: spans of time, and the levels at which the figures within them are kept: every
 * sample, and rollups by minute, hour and day (UTC). The model: no I/O, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* These numbers stand in the tables. */
enum metrics_level {
	METRICS_RAW,
	METRICS_MINUTE,
	METRICS_HOUR,
	METRICS_DAY,
	METRICS_EVER, /* of the fleet alone */
};

enum { METRICS_LEVELS = METRICS_DAY + 1, METRICS_SPANS_MAX = 5 };

#define METRICS_FOREVER_MS INT64_C(253402300800000) /* the year 10000 */

/* [from, to) of one level, at whole intervals of it, in epoch ms. */
struct metrics_span {
	enum metrics_level level;
	int64_t from_ms, to_ms;
};

/* How long each level is kept, by enum metrics_level. A coarser one no shorter than a finer. */
struct metrics_retention {
	int64_t keep_ms[METRICS_LEVELS];
};

const char *metrics_level_name(enum metrics_level level);
/* "raw", "minute", "hour", "day". 0 or -EINVAL. */
int metrics_level_parse(const char *name, enum metrics_level *ret);

/* When the interval that holds at_ms begins, or the last one when it is raw. */
int64_t metrics_level_floor(enum metrics_level level, int64_t at_ms);

/* "2026-01-31T12:00:00Z", with or without .fraction, Z or +hh:mm, in the years 1970 to 9999. 0 or
 * -EINVAL. */
int metrics_time_parse(const char *text, int64_t *ret_ms);

/* The finest of minute, hour, day that is still kept at from_ms and takes no more than points_max
 * intervals to to_ms; day, when none does. */
enum metrics_level metrics_level_choose(int64_t from_ms, int64_t to_ms, int64_t now_ms,
					const struct metrics_retention *retention,
					size_t points_max);

/* Covers [from, to) with the coarsest intervals that fit, and finer ones at its ends. Where the
 * finer are no longer kept, the ends move outwards. Returns how many spans there are. */
size_t metrics_spans_cover(int64_t from_ms, int64_t to_ms, int64_t now_ms,
			   const struct metrics_retention *retention,
			   struct metrics_span ret[METRICS_SPANS_MAX]);
