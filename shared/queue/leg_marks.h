/*
 * leg_marks: what is remembered of the marks (leg_window.h) that are under way on a leg, the oldest
 * first. There is room for a few, and of many those stay that tell most: the oldest, which will be
 * answered first, and the newest; those between become rarer. What does not fit any more is
 * forgotten, and its pong says nothing. A model: no I/O, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LEG_MARK_BYTES = 8,	   /* of a ping's payload */
	LEG_MARK_FRAME_BYTES = 10, /* at least: a ping on the wire */
	LEG_MARKS_MOST = 64,	   /* under way at once */
};

struct leg_mark {
	uint32_t at; /* bytes sent before it, as far as 32 bits go; so all of these */
	uint32_t sent_us;
	uint32_t acked, acked_us; /* what was known to be read when it was sent, and since when */
};

/* All zero at first. */
struct leg_marks {
	uint8_t first, count;
	struct leg_mark ring[LEG_MARKS_MOST];
};

/* A mark goes, the newest of all. */
void leg_marks_add(struct leg_marks *marks, const struct leg_mark *mark);

/* The pong of the mark at this byte came: it and those before it are under way no longer. False:
 * there is none. */
bool leg_marks_take(struct leg_marks *marks, uint32_t at, struct leg_mark *ret);

static inline void
leg_marks_clear(struct leg_marks *marks)
{
	marks->count = 0;
}

/* NULL: none is under way. */
static inline const struct leg_mark *
leg_marks_oldest(const struct leg_marks *marks)
{
	return marks->count > 0 ? &marks->ring[marks->first] : NULL;
}

/* Since one of a mark's times. */
static inline int64_t
leg_mark_since_us(uint32_t then_us, int64_t now_us)
{
	return (int64_t)((uint32_t)now_us - then_us);
}
