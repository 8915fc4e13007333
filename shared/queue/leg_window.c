/*
 * leg_window: what pongs say, rounds, and what follows from them.
 */
#include "queue/leg_window.h"

#include <string.h>

enum {
	US_PER_SEC = 1000 * 1000,
	SLOW_ROUNDS_MOST = 3,
	EMPTY_ROUNDS_MOST = 5,
	LEAST_BYTES = LEG_WINDOW_LEAST_PACKETS * LEG_WINDOW_PACKET_BYTES,
	MORE_BYTES = LEG_WINDOW_MORE_PACKETS * LEG_WINDOW_PACKET_BYTES,
};

static uint64_t
min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t
us_for(uint64_t bytes, uint64_t rate)
{
	return rate == 0 ? 0 : bytes * US_PER_SEC / rate;
}

static uint64_t
target_us(const struct leg_window *window)
{
	return max64(window->least_us / LEG_WINDOW_TARGET_PART, LEG_WINDOW_TARGET_LEAST_US);
}

static uint64_t
under_way(const struct leg_window *window)
{
	return window->sent - window->acked;
}

/* ---- how much ---- */

/* For how long no pong has come though one should have. */
static uint64_t
silence_us(const struct leg_window *window, int64_t now_us)
{
	int64_t slack = (int64_t)target_us(window);
	const struct leg_mark *oldest = leg_marks_oldest(&window->marks);

	if (oldest == NULL)
		return 0;
	int64_t silent = now_us - window->acked_us - slack;
	int64_t late = leg_mark_since_us(oldest->sent_us, now_us) - window->least_us - slack;
	int64_t least = silent < late ? silent : late;
	return least > 0 ? (uint64_t)least : 0;
}

static uint64_t
drained(const struct leg_window *window)
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
		return drained(window) << window->late;
	uint64_t us = min64(silence_us(window, now_us), window->lull_us);
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
	uint64_t most = window_bytes(window, now_us), gone = under_way(window);
	window->is_paced = false;
	if (window->is_draining && gone <= drained(window))
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
	uint64_t us = max64(target_us(window) / 2, window->least_us / LEG_WINDOW_MARKS_PART);

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
		return now_us - window->marked_us >= (int64_t)target_us(window) / 2 ||
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

	if (!window->is_started || under_way(window) == 0)
		return INT64_MAX;
	/* A few round trips, and more and more of them while nothing comes. */
	uint64_t round_us = max64(window->delay_us, window->least_us + target_us(window));
	int64_t wait_us = 2 * (int64_t)round_us;
	if (wait_us < silent_us / 4)
		wait_us = silent_us / 4;
	if (wait_us > late_us(window))
		wait_us = late_us(window);
	return (silent_us > 0 ? window->marked_us : window->acked_us) + wait_us;
}

/* ---- what pongs say ---- */

/* Of the window as it is now only that tells which is sent behind what still goes to fill it. */
static void
start_round(struct leg_window *window, int64_t now_us)
{
	uint64_t gone = under_way(window);

	window->round_us = now_us;
	window->round_acked = window->acked;
	window->round_from = window->sent + (window->bytes > gone ? window->bytes - gone : 0);
	window->round_least_us = 0;
}

static void
start_draining(struct leg_window *window)
{
	window->pace.rate = 0;
	window->is_draining = true;
	window->drain_from_us = window->least_us;
	window->is_drained = window->has_drain_mark = false;
}

static void
size_by_rate(struct leg_window *window)
{
	window->bytes = leg_window_bytes_in(window, window->least_us + target_us(window));
}

/* A mark went through while little was under way: this is the way's own delay. */
static void
end_draining(struct leg_window *window, uint32_t delay_us, int64_t now_us)
{
	uint64_t own_us = us_for(drained(window), window->rate);
	bool is_longer = delay_us > window->least_us + target_us(window) + own_us;
	bool is_much_shorter = delay_us < window->drain_from_us - window->drain_from_us / 4;

	window->least_us = delay_us;
	window->least_at_us = now_us;
	if (window->slow_rounds > 0 && is_longer)
		window->rate = window->rate_most; /* what seemed a queue was none */
	window->rate_most = window->mean_rate;
	if (window->slow_rounds > 0 || is_much_shorter || window->bytes == 0)
		size_by_rate(window);
	window->slow_rounds = 0;
	window->is_draining = window->is_drained = false;
	if (is_much_shorter && window->least_us > LEG_WINDOW_TARGET_LEAST_US)
		start_draining(window); /* what was halved was a queue: there may be more of it */
	start_round(window, now_us);
}

static void
resize(struct leg_window *window, uint64_t queue_us)
{
	uint64_t target = target_us(window), least = window->least_us, wanted = target;

	if (window->empty_rounds > 1)
		wanted = max64(min64(target << window->empty_rounds, least), target);
	uint64_t next = window->bytes * (least + wanted) / (least + queue_us) + MORE_BYTES;
	uint64_t floor = max64(LEAST_BYTES, window->rate_most * least / US_PER_SEC);
	window->bytes = max64(min64(next, 2 * window->bytes), floor);
}

/* Somewhat faster than the window goes round, while a queue says that it is large enough: what a
 * pause held back, of pongs or of ourselves, is no burst then. */
static void
set_pace(struct leg_window *window)
{
	uint64_t rate = max64(window->bytes, LEAST_BYTES) * US_PER_SEC / window->least_us;
	bool is_enough = window->empty_rounds == 0 && window->slow_rounds == 0;

	window->pace.rate =
		is_enough && !window->is_draining ? rate + rate / LEG_WINDOW_PACE_PART : 0;
}

/* What was sent since the window changed has been read. */
static void
end_round(struct leg_window *window, int64_t now_us)
{
	uint64_t target = target_us(window), queue_us = 0;
	uint64_t own_us = us_for(LEAST_BYTES, window->rate_most);
	bool is_limited = window->limited_us >= window->round_us;
	uint64_t passed_us = (uint64_t)(now_us - window->round_us);

	window->mean_rate = (window->acked - window->round_acked) * US_PER_SEC / passed_us;
	if (window->rate_most > window->mean_rate) /* it may have been a clump */
		window->rate_most -=
			(window->rate_most - window->mean_rate) / LEG_WINDOW_FLOOR_PART;
	window->rate_most = max64(window->rate_most, window->mean_rate);

	if (window->round_least_us > window->least_us)
		queue_us = window->round_least_us - window->least_us;
	if (queue_us > target / 2 || !is_limited)
		window->empty_rounds = 0;
	else if (window->empty_rounds < EMPTY_ROUNDS_MOST)
		window->empty_rounds++;
	if (is_limited || queue_us > target)
		resize(window, queue_us);
	if (queue_us > 2 * target + own_us)
		window->slow_rounds++;
	else
		window->slow_rounds = 0;
	bool is_old = now_us - window->least_at_us > LEG_WINDOW_LEAST_KEPT_US;
	if (window->slow_rounds >= SLOW_ROUNDS_MOST || (is_old && window->empty_rounds < 2))
		start_draining(window); /* but not while it finds no queue at all */
	window->rate = max64(window->round_rate, 1);
	window->round_rate = 0;
	set_pace(window);
	start_round(window, now_us);
}

static void
take_delay(struct leg_window *window, uint32_t delay_us, int64_t now_us)
{
	bool is_old =
		!window->is_started && now_us - window->least_at_us > LEG_WINDOW_LEAST_KEPT_US;

	window->delay_us = delay_us;
	if (window->least_us == 0 || delay_us <= window->least_us || is_old) {
		window->least_us = delay_us;
		window->least_at_us = now_us;
	}
}

/* Nothing is read for a while, and then much at once: faster than the way moves it if the reader
 * was away, or one packet held up all others, and the way may have stood empty meanwhile. So more
 * may go the next time. If it is read no faster it is the reader who is slow, and less may go. */
static void
take_lull(struct leg_window *window, uint64_t at, uint64_t silent_us, int64_t now_us)
{
	uint64_t most_us = max64(LEG_WINDOW_LULL_MOST_US, 2 * (uint64_t)window->least_us);

	if (window->clump_us == 0) {
		if (silent_us <= window->lull_us / 2)
			return;
		uint64_t missed = leg_window_bytes_in(window, silent_us);
		window->clump_us = now_us;
		window->clump_from = window->acked;
		window->clump_end = window->acked + min64(under_way(window) / 2, missed);
		window->silent_us = (uint32_t)min64(silent_us + silent_us / 2, most_us);
	}
	if (at < window->clump_end)
		return;
	uint64_t usual_us = us_for(at - window->clump_from, window->rate);
	if ((uint64_t)(now_us - window->clump_us) < usual_us / 2)
		window->lull_us = (uint32_t)min64(max64(2 * window->lull_us, target_us(window)),
						  max64(window->lull_us, window->silent_us));
	else
		window->lull_us -= window->lull_us / 4;
	window->clump_us = 0;
}

static void
take_rate(struct leg_window *window, const struct leg_mark *mark, int64_t now_us)
{
	int64_t passed_us = leg_mark_since_us(mark->acked_us, now_us);
	uint32_t read = mark->at - mark->acked;
	uint64_t rate = passed_us > 0 ? (uint64_t)read * US_PER_SEC / (uint64_t)passed_us : 0;

	window->round_rate = max64(window->round_rate, rate);
	window->rate = max64(window->rate, max64(rate, 1));
}

/* One that was sent since the window was started, and not answered by a later one's pong. */
static void
take_mark(struct leg_window *window, const struct leg_mark *mark, uint64_t at, int64_t now_us)
{
	window->acked = at;
	window->acked_us = now_us;
	window->late = 0;
	if (window->bytes == 0 && !window->is_draining) {
		size_by_rate(window);
		start_round(window, now_us);
	}
	if (at > window->round_from &&
	    (window->round_least_us == 0 || window->delay_us < window->round_least_us))
		window->round_least_us = window->delay_us;
	if (window->is_draining) {
		if (window->has_drain_mark && (int32_t)(mark->at - window->drain_at) >= 0)
			end_draining(window, window->delay_us, now_us);
	} else if (at >= window->round_from + window->bytes / 2 &&
		   now_us - window->round_us >= LEG_WINDOW_ROUND_LEAST_US) {
		end_round(window, now_us);
	}
}

bool
leg_window_on_pong(struct leg_window *window, const uint8_t *payload, size_t n, int64_t now_us)
{
	struct leg_mark mark;
	uint64_t at;

	if (n != LEG_MARK_BYTES)
		return false;
	memcpy(&at, payload, sizeof(at));
	uint64_t silent_us = silence_us(window, now_us);
	if (!leg_marks_take(&window->marks, (uint32_t)at, &mark))
		return false;
	at = window->sent - (uint32_t)((uint32_t)window->sent - mark.at);
	uint32_t delay_us = (uint32_t)leg_mark_since_us(mark.sent_us, now_us);
	bool is_first = window->least_us == 0;
	take_delay(window, delay_us > 0 ? delay_us : 1, now_us);
	if (!window->is_started || at <= window->acked)
		return true;
	if (window->rate == 0)
		window->limited_us = now_us;
	take_lull(window, at, silent_us, now_us);
	take_rate(window, &mark, now_us);
	if (is_first)
		start_draining(window);
	take_mark(window, &mark, at, now_us);
	return true;
}
