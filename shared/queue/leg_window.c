/*
 * leg_window: how much may go now, and when a mark is due; leg_rounds has what pongs say.
 */
#include "queue/leg_window_inside.h"

#include <string.h>

/* ---- how much ---- */

/* For how long no pong has come though one should have. */
uint64_t
leg_window_silence_us(const struct leg_window *window, int64_t now_us)
{
	int64_t slack = (int64_t)leg_window_target_us(window);
	const struct leg_mark *oldest = leg_marks_oldest(&window->marks);

	if (oldest == NULL)
		return 0;
	int64_t silent = now_us - window->acked_us - slack;
	int64_t late = leg_mark_since_us(oldest->sent_us, now_us) - window->least_us - slack;
	int64_t least = silent < late ? silent : late;
	return least > 0 ? (uint64_t)least : 0;
}

uint64_t
leg_window_drained(const struct leg_window *window)
{
	return max64(leg_window_bytes_in(window, window->least_us / 2),
		     2 * LEG_WINDOW_PACKET_BYTES);
}

/* A few packets; and where a pong takes long, which may be the fault of the way back alone, what a
 * very slow way moves meanwhile. */
static uint64_t
least_bytes(const struct leg_window *window, int64_t now_us)
{
	const struct leg_mark *oldest = leg_marks_oldest(&window->marks);
	uint64_t us = window->delay_us;

	if (oldest != NULL)
		us = max64(us, (uint64_t)leg_mark_since_us(oldest->sent_us, now_us));
	return max64(LEAST_BYTES,
		     min64(us * LEG_WINDOW_LEAST_RATE / US_PER_SEC, LEG_WINDOW_LEAST_MOST_BYTES));
}

/* Until the first pong. What was under way got there in about the least delay: so in the next one
 * as much again may go. Where nothing was, a few packets: else no pong would ever come. */
static uint64_t
blind_bytes(const struct leg_window *window, int64_t now_us)
{
	uint64_t waited_us = (uint64_t)(now_us - window->acked_us);

	if (window->late > 0)
		return window->already + ((uint64_t)LEG_WINDOW_BLIND_BYTES << window->late);
	if (window->least_us == 0)
		return window->already;
	return window->already +
	       window->already * min64(waited_us, window->least_us) / window->least_us;
}

static uint64_t
window_bytes(const struct leg_window *window, int64_t now_us)
{
	if (window->rate == 0)
		return max64(blind_bytes(window, now_us), LEAST_BYTES);
	if (window->is_draining)
		return leg_window_drained(window) << window->late;
	uint64_t us = min64(leg_window_silence_us(window, now_us), window->lull_us);
	uint64_t most = window->bytes + leg_window_bytes_in(window, us);
	return max64(most, least_bytes(window, now_us)) << window->late;
}

size_t
leg_window_room(struct leg_window *window, int64_t now_us)
{
	if (!window->is_started)
		return SIZE_MAX;
	/* Only pongs say that nothing was held up. */
	if (window->acked_us - window->limited_us >
	    LEG_WINDOW_VAIN_US + 2 * (int64_t)window->least_us) {
		window->is_started = false;
		window->again_us = now_us + LEG_WINDOW_AGAIN_US;
		return SIZE_MAX;
	}
	if (window->late >= LEG_WINDOW_LATE_MOST) {
		window->limited_us = now_us;
		return SIZE_MAX;
	}
	uint64_t most = window_bytes(window, now_us), gone = leg_window_under_way(window);
	window->is_paced = false;
	if (window->is_draining && gone <= leg_window_drained(window))
		window->is_drained = true;
	if (gone < most) {
		size_t at_once = window->late > 0 ? SIZE_MAX : leg_pace_room(&window->pace, now_us);
		window->is_paced = at_once == 0;
		if (at_once > 0)
			return min64(most - gone, at_once);
	}
	window->limited_us = now_us;
	return 0;
}

/* ---- marks ---- */

static int64_t
late_us(const struct leg_window *window)
{
	uint32_t usual_us =
		window->delay_us > window->least_us ? window->delay_us : window->least_us;

	return LEG_WINDOW_LATE_US + (window->rate == 0 ? 2 : 4) * (int64_t)usual_us;
}

void
leg_window_start(struct leg_window *window, uint64_t already, int64_t now_us)
{
	window->acked = window->sent;
	window->sent += already;
	window->already = (uint32_t)already;
	window->marked = window->acked;
	leg_marks_clear(&window->marks);
	window->acked_us = window->limited_us = window->marked_us = now_us;
	window->slow_rounds = 0;
	window->empty_rounds = EMPTY_ROUNDS_MOST;
	if (window->late < LEG_WINDOW_LATE_MOST)
		window->late = 0; /* else it has never answered */
	window->is_draining = window->is_drained = window->has_drain_mark = false;
	window->clump_us = 0;
	window->pace.rate = 0;
	window->lull_us = window->least_us;
	window->bytes = window->rate = window->round_rate = 0;
	window->mean_rate = window->rate_most = 0;
	window->is_started = true;
}

/* Of bytes, from one mark to the next: what goes at once between them is a clump in the way. */
static uint64_t
gap_bytes(const struct leg_window *window)
{
	uint64_t us =
		max64(leg_window_target_us(window) / 2, window->least_us / LEG_WINDOW_MARKS_PART);

	if (window->rate == 0)
		return LEG_WINDOW_BLIND_BYTES;
	return max64(leg_window_bytes_in(window, us), 2 * LEG_WINDOW_PACKET_BYTES);
}

size_t
leg_window_to_mark(const struct leg_window *window)
{
	uint64_t news = window->sent - window->marked, gap = gap_bytes(window);

	return news < gap ? (size_t)(gap - news) : 0;
}

bool
leg_window_wants_mark(const struct leg_window *window, int64_t now_us)
{
	uint64_t news = window->sent - window->marked;

	if (!window->is_started)
		return false;
	if (now_us >= leg_window_deadline_us(window))
		return true;
	if (window->is_drained && !window->has_drain_mark)
		return true;
	if (!leg_window_has_mark(window) && news > 0)
		return now_us - window->marked_us >= (int64_t)leg_window_target_us(window) / 2 ||
		       window->rate == 0;
	return leg_window_to_mark(window) == 0;
}

void
leg_window_mark(struct leg_window *window, int64_t now_us, uint8_t ret[LEG_MARK_BYTES])
{
	if (window->is_started && window->late < LEG_WINDOW_LATE_MOST &&
	    now_us - window->acked_us > (window->late + 1) * late_us(window))
		window->late++;
	window->sent += LEG_MARK_FRAME_BYTES;
	leg_marks_add(&window->marks, &(struct leg_mark){
					      .at = (uint32_t)window->sent,
					      .sent_us = (uint32_t)now_us,
					      .acked = (uint32_t)window->acked,
					      .acked_us = (uint32_t)window->acked_us,
				      });
	if (window->is_drained && !window->has_drain_mark) {
		window->has_drain_mark = true;
		window->drain_at = (uint32_t)window->sent;
	}
	window->marked = window->sent;
	window->marked_us = now_us;
	memcpy(ret, &window->sent, LEG_MARK_BYTES);
}

int64_t
leg_window_deadline_us(const struct leg_window *window)
{
	int64_t silent_us = window->marked_us - window->acked_us;

	if (!window->is_started || leg_window_under_way(window) == 0)
		return INT64_MAX;
	/* A few round trips, and more and more of them while nothing comes. */
	uint64_t round_us =
		max64(window->delay_us, window->least_us + leg_window_target_us(window));
	int64_t wait_us = 2 * (int64_t)round_us;
	if (wait_us < silent_us / 4)
		wait_us = silent_us / 4;
	if (wait_us > late_us(window))
		wait_us = late_us(window);
	return (silent_us > 0 ? window->marked_us : window->acked_us) + wait_us;
}
