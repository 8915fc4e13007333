/*
 * relay_wait: how a shard waits for its next work. To sleep and to be woken takes longer than some
 * microseconds of asking again and again; so while work mostly comes that soon, the shard asks for
 * so long before it sleeps. Not when it works more than half of the time: what comes while it
 * sleeps is then done in one turn, at less a message. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum {
	RELAY_WAIT_AWAKE_US = 15,
	RELAY_WAIT_SOON_US = 30,     /* that, and what it takes to be woken */
	RELAY_WAIT_ALWAYS = 1 << 10, /* of `soon` and `busy` */
	RELAY_WAIT_WORTH = RELAY_WAIT_ALWAYS / 4,
	RELAY_WAIT_BUSY = RELAY_WAIT_ALWAYS / 2,
	RELAY_WAIT_WEIGHT = 16, /* of the past against one turn */
};

/* All zero at first. */
struct relay_wait {
	int64_t woken_us, since_us; /* the last turn's start and end */
	int32_t soon;		    /* how often work came soon of late */
	int32_t busy;		    /* how much of the time went into turns of late */
};

/* As epoll_wait. The time afterwards in *ret_now_us, in any case. */
int relay_wait(struct relay_wait *wait, int epoll_fd, struct epoll_event *events, int most,
	       int timeout_ms, int64_t *ret_now_us);

/* The turn has ended. */
static inline void
relay_wait_begin(struct relay_wait *wait, int64_t now_us)
{
	wait->since_us = now_us;
}

/* Waiting has ended, with work or without. */
static inline void
relay_wait_learn(struct relay_wait *wait, bool has_work, int64_t now_us)
{
	bool is_soon = has_work && now_us - wait->since_us < RELAY_WAIT_SOON_US;
	int64_t work_us = wait->since_us - wait->woken_us, all_us = now_us - wait->woken_us;
	int32_t share = all_us <= 0 ? 0 : (int32_t)(work_us * RELAY_WAIT_ALWAYS / all_us);

	wait->soon += ((is_soon ? RELAY_WAIT_ALWAYS : 0) - wait->soon) / RELAY_WAIT_WEIGHT;
	wait->busy += (share - wait->busy) / RELAY_WAIT_WEIGHT;
	wait->woken_us = now_us;
}

/* Is it worth it to wait awake? */
static inline bool
relay_wait_is_awake(const struct relay_wait *wait, int64_t now_us)
{
	return wait->soon >= RELAY_WAIT_WORTH && wait->busy < RELAY_WAIT_BUSY &&
	       now_us - wait->since_us < RELAY_WAIT_AWAKE_US;
}
