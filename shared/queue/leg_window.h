/*
 * leg_window: how much may be under way on a leg that has more to send than it takes, counted to
 * where it matters: what the other end's program has read. A socket that is full says nothing of
 * the routers' queues behind it, nor of the reader's kernel; both are queues that nobody can jump.
 *
 *	mark	a WebSocket ping with the number of bytes sent before it. Its pong, which RFC 6455
 *		(section 5.5.3) demands and which only the other end's program can give, says that
 *		all of them were read, and how long the way was. One pong may answer several pings:
 *		the latest counts for all
 *	window	bytes. Once all that was sent since it changed has been read, it becomes what by
 *		Little's law would have waited only for the target: window x (least delay + target)
 *		/ (least delay + queue), and a few packets (so does FAST: Wei et al., 2006, after
 *		Vegas: Brakmo and Peterson, 1995). The queue is the least delay of that round beyond
 *		the least of all: what stands, not what comes and goes (so does CoDel, RFC 8289).
 *		Where delays differ anyway the target is as long as they do
 *
 *	pace	an eighth faster than the window goes round: so what several pongs open at once, or
 *		a pause of ours held back, is no burst in the narrowest queue. Only while a queue
 *		was found: one that looks for more is not slowed down
 *
 * So what counts is the queue itself, not how well the rate is known. Where several rounds find no
 * queue, each asks for twice as long a one as the last. The least delay is learnt anew when nothing
 * confirms it for a while, or when a queue stays though the window shrinks: only as much as half
 * fills the way may go then until a mark has gone through. While no pong comes at all (a loss on
 * the way, a reader that pauses) sending goes on at the known rate, for as long as that has been
 * found to keep the way from standing empty.
 *
 * A leg that nothing holds up has no window: it is not started, and sends no marks but the pings
 * that keep it alive. A model: no I/O, no clock. One thread at a time.
 */
#pragma once

#include "queue/leg_marks.h"
#include "queue/leg_pace.h"

enum {
	LEG_WINDOW_PACKET_BYTES = 1500,
	LEG_WINDOW_LEAST_PACKETS = 4,
	LEG_WINDOW_LEAST_RATE = 64 * 1000, /* bytes a second */
	LEG_WINDOW_LEAST_MOST_BYTES = 64 * 1024,
	LEG_WINDOW_MORE_PACKETS = 1, /* each round: who has less gets more, so they become equal */
	LEG_WINDOW_TARGET_LEAST_US = 250,
	LEG_WINDOW_TARGET_PART = 32,	 /* the target is this part of the least delay; */
	LEG_WINDOW_SPREAD_MOST_US = 500, /* or how delays spread, up to this */
	LEG_WINDOW_SPREAD_MOST_PART = 4, /* and this part of the least delay */
	LEG_WINDOW_MARKS_PART = 16,	 /* of the least delay, from one mark to the next */
	LEG_WINDOW_ROUND_LEAST_US = 2000,
	LEG_WINDOW_FLOOR_PART = 24, /* how much of what is too high the floor loses each round */
	LEG_WINDOW_PACE_PART = 8,   /* the pace is higher than the window's rate by this part */
	LEG_WINDOW_LULL_MOST_US = 100 * 1000, /* or two round trips */
	LEG_WINDOW_LEAST_KEPT_US = 10 * 1000 * 1000,
	LEG_WINDOW_LATE_US = 200 * 1000,    /* then another mark, and room for as much again */
	LEG_WINDOW_LATE_MOST = 5,	    /* so often; then there is no window */
	LEG_WINDOW_BLIND_BYTES = 16 * 1024, /* then, as long as nothing is known */
	LEG_WINDOW_VAIN_US = 200 * 1000,    /* one that holds nothing up for so long ends */
	LEG_WINDOW_AGAIN_US = 1000 * 1000,  /* and does not start again earlier */
};

/* All zero at first. */
struct leg_window {
	uint64_t sent, acked; /* bytes */
	uint64_t marked;      /* sent, at the last mark */
	int64_t marked_us, acked_us;
	int64_t limited_us; /* when it last held something up, or was started */
	int64_t again_us;   /* not started before */
	int64_t least_at_us;
	uint64_t bytes; /* that may be under way; 0: not known */
	uint64_t rate;	/* bytes a second, the highest of this round and the last; 0: not known */
	uint64_t round_rate; /* of this round */
	uint64_t mean_rate;  /* of the last round */
	uint64_t rate_most;  /* of late, and since it was last drained */
	int64_t round_us;
	uint64_t round_acked; /* when it began */
	uint64_t round_from;  /* what was sent behind here is of the round */
	uint64_t clump_from, clump_end;
	int64_t clump_us; /* since when; 0: there is none. See take_lull */
	uint32_t lull_us, silent_us;
	uint32_t round_least_us, delay_us, least_us; /* 0: not known */
	uint32_t round_pongs;			     /* those of the round, */
	uint64_t round_delays_us;		     /* and all they took */
	uint32_t spread_us;			     /* of a round's delays beyond its least */
	uint32_t already;			     /* under way at the start */
	uint32_t drain_from_us;			     /* the least delay, when draining began */
	uint32_t drain_at;			     /* the mark that ends draining */
	uint8_t slow_rounds, empty_rounds, late;
	bool is_started, is_draining, is_drained, has_drain_mark, is_paced;
	struct leg_pace pace;
	struct leg_marks marks;
};

/* The leg is held up: from now on what is sent is counted. under_way: bytes that were sent already
 * and not read yet, as far as is known. */
void leg_window_start(struct leg_window *window, uint64_t under_way, int64_t now_us);

/* The leg's delay as it was last measured; 0: not known. */
static inline void
leg_window_expect(struct leg_window *window, uint32_t delay_us, int64_t now_us)
{
	window->least_us = delay_us;
	window->least_at_us = now_us;
}

/* Might it be started? */
static inline bool
leg_window_may_start(const struct leg_window *window, int64_t now_us)
{
	return !window->is_started && now_us >= window->again_us;
}

/* How much may be sent now; SIZE_MAX: as much as the socket takes. Ends a window that has held
 * nothing up for a while. */
size_t leg_window_room(struct leg_window *window, int64_t now_us);

/* When there was no room: was that for the pace alone? Then a millisecond makes some, no pong need
 * come. */
static inline bool
leg_window_is_paced(const struct leg_window *window)
{
	return window->is_paced;
}

/* How much may go before a mark is due: who sends more at once sends it behind. */
size_t leg_window_to_mark(const struct leg_window *window);

/* What the leg moves in so long, as far as is known. */
static inline uint64_t
leg_window_bytes_in(const struct leg_window *window, uint64_t us)
{
	return window->rate * us / 1000000;
}

static inline void
leg_window_sent(struct leg_window *window, size_t n)
{
	window->sent += n;
	leg_pace_sent(&window->pace, n);
}

/* Is a mark to go behind what was sent? */
bool leg_window_wants_mark(const struct leg_window *window, int64_t now_us);

/* A ping goes, with this payload. With no window, too: it measures. */
void leg_window_mark(struct leg_window *window, int64_t now_us, uint8_t ret[LEG_MARK_BYTES]);

/* A pong came. True: it was a mark's; delay_us is how long it took. */
bool leg_window_on_pong(struct leg_window *window, const uint8_t *payload, size_t n,
			int64_t now_us);

/* Has a mark been answered since it was started? Then marks say what the other end's program
 * takes. */
static inline bool
leg_window_is_answered(const struct leg_window *window)
{
	return window->rate != 0;
}

/* Is a mark under way? */
static inline bool
leg_window_has_mark(const struct leg_window *window)
{
	return leg_marks_oldest(&window->marks) != NULL;
}

/* Bytes sent behind the oldest mark that is under way; one is. */
static inline uint32_t
leg_window_behind_mark(const struct leg_window *window)
{
	return (uint32_t)window->sent - leg_marks_oldest(&window->marks)->at;
}

/* When to look again though no pong came; INT64_MAX: no need to. */
int64_t leg_window_deadline_us(const struct leg_window *window);
