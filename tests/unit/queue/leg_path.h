/*
 * leg_path: a simulated way with leg windows at its near end: one narrow place with a queue, a
 * delay, losses that hold up all that comes behind them, and a reader at the far end for each
 * window, who answers marks as he reads. Time is simulated.
 */
#pragma once

#include "leg_path_tcp.h"
#include "queue/leg_window.h"

enum { LEG_PATH_FLOWS_MAX = 2, LEG_PATH_STEP_US = 20 };

struct leg_path_item {
	uint32_t n;
	unsigned flow;
	bool is_mark, is_modest, is_others;
	uint8_t payload[LEG_MARK_BYTES];
	int64_t offered_us, sent_us, left_us, due_us; /* left_us: its TCP let it go */
};

struct leg_path_queue {
	struct leg_path_item *items;
	size_t first, count, capacity;
	uint64_t bytes;
};

struct leg_path_waits {
	uint32_t *us;
	size_t n;
};

struct leg_path_flow {
	struct leg_window window;
	struct leg_path_queue transit, pongs; /* past the narrow place; on the way back */
	bool has_tcp;			      /* else what is sent is at the narrow place at once */
	struct leg_path_tcp tcp;
	struct leg_path_queue socket, acks; /* of its TCP */
	uint64_t offered_rate;		    /* bytes a second; 0: as much as it may */
	uint64_t offered, sent, read;
	uint64_t waiting;		  /* of the flow, in the narrow place's queue */
	int64_t last_due_us, pong_due_us; /* nothing overtakes */
	int64_t read_due_us;		  /* its reader reads again */
	int64_t paused_until_us;	  /* its reader */
	int64_t away_until_us;		  /* its sender, who hears nothing either */
	int64_t look_every_us,
		look_us;     /* its sender looks so often, and when pongs come; 0: always */
	bool is_on, is_mute; /* takes part; answers nothing */
	bool is_batched;     /* all that may go goes at once, a mark behind it */
	uint64_t delay_sum_us, delays; /* from being sent to being read, since the last look */
	uint32_t delay_most_us;
	uint64_t marks;
	int64_t modest_every_us, modest_due_us; /* a modest session's datagrams; 0: there is none */
	struct leg_path_waits modest;		/* from being offered to being read */
};

struct leg_path {
	uint64_t rate;	       /* bytes a second, at the narrow place */
	int64_t delay_us;      /* there and back */
	uint32_t socket_bytes; /* what may wait in the narrow place's queue: then the socket is full
				*/
	uint32_t read_every_us; /* readers read about so often; 0: at once */
	uint32_t jitter_us;	/* pongs take up to so much longer */
	uint32_t burst_bytes;	/* the narrow place's credit, as shapers give it */
	int64_t hiccup_every_us, hiccup_us, hiccup_due_us; /* readers are away: how often, long */
	bool are_senders_away;				   /* instead of readers */
	double loss, pong_loss;				   /* of packets, of pongs */
	int64_t others_every_us, others_due_us; /* packets of others through the narrow place */
	uint32_t others_bytes;
	struct leg_path_waits others; /* in the narrow place's queue */
	bool keeps_first; /* of pings read at once readers answer the first, not the last */
	uint64_t dice;
	int64_t now_us;
	double credit;
	struct leg_path_queue narrow;
	struct leg_path_flow flows[LEG_PATH_FLOWS_MAX];
};

void leg_path_init(struct leg_path *path, uint64_t rate, int64_t delay_us);
void leg_path_fini(struct leg_path *path);

/* From now on there is a TCP below the flow's leg, which begins. */
void leg_path_has_tcp(struct leg_path *path, struct leg_path_flow *flow);

/* Lets so much time pass, and starts counting delays and bytes read anew. */
void leg_path_run(struct leg_path *path, int64_t us);

/* Of what was read in the last run. */
double leg_path_mean_delay_us(const struct leg_path_flow *flow);

/* Such a part of those of the last run took no longer. */
uint32_t leg_path_wait_us(struct leg_path_waits *waits, double part);

/* 0 to below 1. */
double leg_path_dice(struct leg_path *path);
