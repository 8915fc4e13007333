/*
 * echo_stage: where most tests of the bus play: one echo actor, one peer of it on the test's
 * thread, and what is heard of its events.
 */
#pragma once

#include "echo_actor.h"

extern struct echo echo;
extern struct bus_peer *peer;

/* The fixture, and an echo that may still be told things before it starts with its peer. */
struct fixture *stage_open(void **state);
void stage_start(struct fixture *f);

/* Both of them. */
int stage_setup(void **state);
int stage_teardown(void **state);

void assert_still_served(void **state);

/* ---- events ---- */

struct heard {
	struct fixture *fixture; /* whose loop stops at each */
	struct bus_subscription *subscription;
	unsigned events, gaps, empty_gaps;
	bool last_had_gap;
	char last[64];	  /* Shout's text */
	bool unsubscribe; /* at the next one */
};

/* Subscribes on f's bus; on_heard is for those who do so themselves. */
void hear(struct heard *heard, struct fixture *f, const ProtobufCMessageDescriptor *type);
void on_heard(const ProtobufCMessage *event, bool gap, void *arg);

/* Of a struct heard, for fixture_run_until. */
bool has_heard_a_gap(void *heard);
bool has_heard_an_event(void *heard);
