/*
 * load_slow: a reader that takes less than is sent. Every message carries its session and when it
 * left, so that what arrives tells its delay and what does not is known by its session.
 */
#pragma once

#include "load_connect.h"

enum { LOAD_SESSIONS_MAX = 64 };

struct load_slow_options {
	unsigned sessions;  /* the first one is greedy */
	double greedy_mbit; /* offered by the first */
	double modest_mbit; /* by each of the others */
	double read_mbit;   /* taken by the reader, of everything */
	bool is_random;	    /* modest ones send when it occurs to them (Poisson), not evenly */
	double seconds, warm_up;
};

/* Connects, measures, prints a line of JSON. The reader is the far end: a node's leg, or what a
 * proxy connects to. */
void load_slow_measure(const struct load_options *options, const struct load_slow_options *slow);
