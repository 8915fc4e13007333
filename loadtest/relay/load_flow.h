/*
 * load_flow: pairs of ends, and one epoll loop over all of them. What an end may send is bounded,
 * so that what is offered is what is taken:
 *
 *	WINDOW	so many messages in flight and no more
 *	PACED	as many as the flow's rate has given it
 *	ECHO	as many as it has received
 *
 * Every message's header is checked where it arrives. On a trunk (a node's leg with a channel for
 * each pair) the far ends of all pairs share one line.
 */
#pragma once

#include "load_frame.h"
#include "load_line.h"

#define LOAD_SAMPLES_MAX (4U * 1024 * 1024)

enum load_role { LOAD_SILENT, LOAD_WINDOW, LOAD_PACED, LOAD_ECHO };

struct load_end {
	struct load_line line;
	struct load_parser parser;
	const struct load_chunk *chunk; /* what it sends */
	size_t sent_at;			/* within the chunk */
	uint64_t sent, received;	/* messages */
	uint64_t given;			/* PACED */
	enum load_role role;
	bool is_blocked;
	struct load_pair *pair; /* NULL: the trunk */
};

enum { LOAD_NEAR, LOAD_FAR };

struct load_pair {
	struct load_end ends[2];
	uint32_t *sent_us; /* when each of the last LOAD_RING messages left; NULL: not asked for */
};

enum { LOAD_RING = 1024 };

struct load_flow {
	struct load_pair *pairs;
	unsigned count;
	struct load_end *trunk; /* NULL: each pair has a far end of its own */
	unsigned window;
	double rate; /* PACED: messages a second, all ends together */
	int epoll_fd;
	struct load_chunk near_chunk, far_chunk;
	size_t near_message, far_message; /* what arrives at such an end */
	uint64_t received; /* at ends that measure: the near one of an echo, else any */
	uint64_t given, skipped;
	uint64_t forgiven; /* lost on the way of UDP */
	unsigned next;	   /* whom the rate gives to */
	int64_t paced_from_us;
	uint64_t quiet_turns;

	uint32_t *samples_us; /* of echoes */
	size_t n_samples;
};

void load_flow_init(struct load_flow *flow, unsigned pairs, bool has_trunk);

/* All lines are connected and all roles set: from now on lines do not block. has_latency: echoes
 * are timed. */
void load_flow_start(struct load_flow *flow, bool has_latency);

/* Moves messages for so long; returns the seconds it took. */
double load_flow_run(struct load_flow *flow, double seconds);

/* Sends nothing more and takes what is still under way; the number of messages that never came. */
uint64_t load_flow_settle(struct load_flow *flow);

/* The sample below which `part` of all lie; sorts. */
double load_flow_percentile_us(struct load_flow *flow, double part);
