/*
 * leg_rounds: what a window's pongs say: delays, rates and pauses, and in rounds what the window
 * becomes of them (leg_window.h).
 */
#include "queue/leg_window_inside.h"

#include <string.h>

enum {
	SLOW_ROUNDS_MOST = 3,
	MORE_BYTES = LEG_WINDOW_MORE_PACKETS * LEG_WINDOW_PACKET_BYTES,
};

/* Of the window as it is now only that tells which is sent behind what still goes to fill it. */
static void
start_round(struct leg_window *window, int64_t now_us)
{
	uint64_t gone = leg_window_under_way(window);

	window->round_us = now_us;
	window->round_acked = window->acked;
	window->round_from = window->sent + (window->bytes > gone ? window->bytes - gone : 0);
	window->round_least_us = window->round_pongs = 0;
	window->round_delays_us = 0;
}

/* Slowly: one round's may be a pause. */
static void
take_spread(struct leg_window *window)
{
	uint32_t spread_us = 0;

	if (window->round_pongs > 0)
		spread_us = (uint32_t)(window->round_delays_us / window->round_pongs) -
			    window->round_least_us;
	window->spread_us = (7 * window->spread_us + spread_us) / 8;
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
	window->bytes =
		leg_window_bytes_in(window, window->least_us + leg_window_target_us(window));
}

/* A mark went through while little was under way: this is the way's own delay. */
static void
end_draining(struct leg_window *window, uint32_t delay_us, int64_t now_us)
{
	uint64_t own_us = leg_window_us_for(leg_window_drained(window), window->rate);
	bool is_longer = delay_us > window->least_us + leg_window_target_us(window) + own_us;
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

/* Pongs that take now longer, now less, leave the least of a round above the least of all, which is
 * no queue; so what stands may be as long as delays differ anyway. */
static uint64_t
wanted_us(const struct leg_window *window)
{
	uint64_t most_us =
		min64(window->least_us / LEG_WINDOW_SPREAD_MOST_PART, LEG_WINDOW_SPREAD_MOST_US);

	return max64(leg_window_target_us(window), min64(window->spread_us, most_us));
}

static void
resize(struct leg_window *window, uint64_t queue_us)
{
	uint64_t target = wanted_us(window), least = window->least_us, wanted = target;

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
	take_spread(window);
	uint64_t target = wanted_us(window), queue_us = 0;
	uint64_t own_us = leg_window_us_for(LEAST_BYTES, window->rate_most);
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
		window->clump_end = window->acked + min64(leg_window_under_way(window) / 2, missed);
		window->silent_us = (uint32_t)min64(silent_us + silent_us / 2, most_us);
	}
	if (at < window->clump_end)
		return;
	uint64_t usual_us = leg_window_us_for(at - window->clump_from, window->rate);
	if ((uint64_t)(now_us - window->clump_us) < usual_us / 2)
		window->lull_us =
			(uint32_t)min64(max64(2 * window->lull_us, leg_window_target_us(window)),
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
	if (at > window->round_from) {
		if (window->round_least_us == 0 || window->delay_us < window->round_least_us)
			window->round_least_us = window->delay_us;
		window->round_pongs++;
		window->round_delays_us += window->delay_us;
	}
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
	uint64_t silent_us = leg_window_silence_us(window, now_us);
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
