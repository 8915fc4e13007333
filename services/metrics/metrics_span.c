/* metrics_span: ISO 8601, and which level answers what. */
#include "metrics/metrics_span.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *name;
	int64_t ms;
} levels[METRICS_LEVELS] = {
	[METRICS_RAW] = { "raw", 1 },
	[METRICS_MINUTE] = { "minute", 60 * 1000 },
	[METRICS_HOUR] = { "hour", 3600 * 1000 },
	[METRICS_DAY] = { "day", 24 * 3600 * 1000 },
};

const char *
metrics_level_name(enum metrics_level level)
{
	return levels[level].name;
}

int
metrics_level_parse(const char *name, enum metrics_level *ret)
{
	for (int i = METRICS_RAW; i < METRICS_LEVELS; i++)
		if (strcmp(levels[i].name, name) == 0) {
			*ret = (enum metrics_level)i;
			return 0;
		}
	return -EINVAL;
}

int64_t
metrics_level_floor(enum metrics_level level, int64_t at_ms)
{
	return level == METRICS_EVER ? 0 : at_ms - at_ms % levels[level].ms;
}

static int64_t
ceiling(enum metrics_level level, int64_t at_ms)
{
	return metrics_level_floor(level, at_ms + levels[level].ms - 1);
}

/* n digits, then `after` unless it is NUL. -1 when they are not there. */
static int
digits(const char **text, size_t n, char after)
{
	int value = 0;

	for (; n > 0; n--, (*text)++) {
		if (**text < '0' || **text > '9')
			return -1;
		value = value * 10 + (**text - '0');
	}
	if (after != '\0' && *(*text)++ != after)
		return -1;
	return value;
}

/* ".123456", rounded down to ms; or nothing. */
static int
fraction(const char **text)
{
	int ms = 0, unit = 100;

	if (**text != '.')
		return 0;
	(*text)++;
	if (**text < '0' || **text > '9')
		return -1;
	for (; **text >= '0' && **text <= '9'; (*text)++, unit /= 10)
		ms += (**text - '0') * unit;
	return ms;
}

/* 0 and the minutes that local time is ahead. */
static int
zone(const char **text, int *ret_minutes)
{
	int sign = **text == '-' ? -1 : 1, hours, minutes;

	*ret_minutes = 0;
	if (**text == 'Z') {
		(*text)++;
		return 0;
	}
	if (**text != '+' && **text != '-')
		return -EINVAL;
	(*text)++;
	hours = digits(text, 2, ':');
	minutes = hours < 0 ? -1 : digits(text, 2, '\0');
	if (minutes < 0 || hours > 14 || minutes > 59)
		return -EINVAL;
	*ret_minutes = sign * (hours * 60 + minutes);
	return 0;
}

/* Fields in range, and a day that the calendar has: timegm would make the 31st of April the 1st of
 * May. */
static bool
is_date(const struct tm *date, time_t seconds)
{
	struct tm back;

	return gmtime_r(&seconds, &back) != NULL && back.tm_year == date->tm_year &&
	       back.tm_mon == date->tm_mon && back.tm_mday == date->tm_mday &&
	       back.tm_hour == date->tm_hour && back.tm_min == date->tm_min &&
	       back.tm_sec == date->tm_sec;
}

int
metrics_time_parse(const char *text, int64_t *ret_ms)
{
	static const struct {
		size_t n;
		char after;
	} parts[] = { { 4, '-' }, { 2, '-' }, { 2, 'T' }, { 2, ':' }, { 2, ':' }, { 2, '\0' } };
	int field[6], ms, ahead_min;
	struct tm date = { 0 }, asked;
	time_t seconds;

	for (size_t i = 0; i < 6; i++)
		if ((field[i] = digits(&text, parts[i].n, parts[i].after)) < 0)
			return -EINVAL;
	ms = fraction(&text);
	if (ms < 0 || zone(&text, &ahead_min) != 0 || *text != '\0' || field[0] < 1970)
		return -EINVAL;
	date.tm_year = field[0] - 1900;
	date.tm_mon = field[1] - 1;
	date.tm_mday = field[2];
	date.tm_hour = field[3];
	date.tm_min = field[4];
	date.tm_sec = field[5];
	asked = date;
	seconds = timegm(&date);
	if (!is_date(&asked, seconds))
		return -EINVAL;
	*ret_ms = ((int64_t)seconds - ahead_min * INT64_C(60)) * 1000 + ms;
	return *ret_ms >= 0 && *ret_ms < METRICS_FOREVER_MS ? 0 : -EINVAL;
}

static bool
is_kept(enum metrics_level level, int64_t at_ms, int64_t now_ms,
	const struct metrics_retention *retention)
{
	return now_ms - at_ms <= retention->keep_ms[level];
}

enum metrics_level
metrics_level_choose(int64_t from_ms, int64_t to_ms, int64_t now_ms,
		     const struct metrics_retention *retention, size_t points_max)
{
	for (int i = METRICS_MINUTE; i < METRICS_DAY; i++) {
		enum metrics_level level = (enum metrics_level)i;
		int64_t points = (ceiling(level, to_ms) - metrics_level_floor(level, from_ms)) /
				 levels[level].ms;

		if (points <= (int64_t)points_max && is_kept(level, from_ms, now_ms, retention))
			return level;
	}
	return METRICS_DAY;
}

struct cover {
	struct metrics_span *spans;
	size_t n;
};

/* Both ends are at whole intervals of some level from minute up. */
static void
cover(struct cover *cover_, enum metrics_level level, int64_t from_ms, int64_t to_ms)
{
	int64_t first_ms = ceiling(level, from_ms), last_ms = metrics_level_floor(level, to_ms);
	enum metrics_level finer = (enum metrics_level)(level - 1);

	if (from_ms >= to_ms)
		return;
	if (level > METRICS_MINUTE && first_ms > last_ms) {
		cover(cover_, finer, from_ms, to_ms);
		return;
	}
	if (level > METRICS_MINUTE)
		cover(cover_, finer, from_ms, first_ms);
	if (first_ms < last_ms)
		cover_->spans[cover_->n++] = (struct metrics_span){ level, first_ms, last_ms };
	if (level > METRICS_MINUTE)
		cover(cover_, finer, last_ms, to_ms);
}

size_t
metrics_spans_cover(int64_t from_ms, int64_t to_ms, int64_t now_ms,
		    const struct metrics_retention *retention,
		    struct metrics_span ret[METRICS_SPANS_MAX])
{
	struct cover all = { ret, 0 };
	int left = METRICS_MINUTE, right = METRICS_MINUTE;

	while (left < METRICS_DAY && !is_kept((enum metrics_level)left, from_ms, now_ms, retention))
		left++;
	/* Of the right end, what is left of the next coarser interval must be there. */
	while (right < METRICS_DAY &&
	       !is_kept((enum metrics_level)right,
			metrics_level_floor((enum metrics_level)(right + 1), to_ms), now_ms,
			retention))
		right++;
	cover(&all, METRICS_DAY, metrics_level_floor((enum metrics_level)left, from_ms),
	      ceiling((enum metrics_level)right, to_ms));
	return all.n;
}
