/*
 * leg_marks: a ring, and how it is thinned out.
 */
#include "queue/leg_marks.h"

static struct leg_mark *
mark_of(struct leg_marks *marks, unsigned i)
{
	return &marks->ring[(marks->first + i) % LEG_MARKS_MOST];
}

/* Marks that have long been under way must not be crowded out before they are answered: of many,
 * the last gives its place to the next one until it is far enough from the one before. */
static void
make_room(struct leg_marks *marks, uint32_t now_us)
{
	if (marks->count >= LEG_MARKS_MOST / 2) {
		uint32_t last_us = mark_of(marks, marks->count - 1U)->sent_us;
		uint32_t gap_us = last_us - mark_of(marks, marks->count - 2U)->sent_us;

		if (gap_us <
		    leg_mark_since_us(mark_of(marks, 0)->sent_us, now_us) / (LEG_MARKS_MOST / 2))
			marks->count--;
	}
	if (marks->count < LEG_MARKS_MOST)
		return;
	for (unsigned i = 1; i < LEG_MARKS_MOST / 2; i++)
		*mark_of(marks, i) = *mark_of(marks, 2 * i + 1);
	marks->count = LEG_MARKS_MOST / 2;
}

void
leg_marks_add(struct leg_marks *marks, const struct leg_mark *mark)
{
	make_room(marks, mark->sent_us);
	*mark_of(marks, marks->count++) = *mark;
}

bool
leg_marks_take(struct leg_marks *marks, uint32_t at, struct leg_mark *ret)
{
	for (unsigned i = 0; i < marks->count; i++) {
		if (mark_of(marks, i)->at != at)
			continue;
		*ret = *mark_of(marks, i);
		marks->first = (uint8_t)((marks->first + i + 1) % LEG_MARKS_MOST);
		marks->count -= (uint8_t)(i + 1);
		return true;
	}
	return false;
}
