/* herd_report: what came of it, in figures. */
#pragma once

#include "herd_leg.h"

#include <sys/types.h>

struct herd_session {
	struct herd_leg leg; /* first: a leg of a session is its session */
	unsigned node;
	bool is_hit; /* the relay of the event was its own or its node's */
	int64_t next_us;
	uint64_t echoed; /* the last datagram's number */
	uint64_t lost;	 /* the most in a row, since the event */
	int64_t back_us; /* from the event to the first that was sent after it */
	uint64_t sent, received;
};

struct herd_outcome {
	const struct herd_owner *owner;
	const struct herd_session *sessions;
	unsigned session_n;
	const struct herd_leg *idle;
	unsigned idle_n, idle_hit, interval_ms; /* hit: at the relay of the event */
	int64_t event_us;
	const char *event, *json;
};

/* A round trip: in the quiet before the event; until all that it hit was back; later. */
enum herd_phase { HERD_BEFORE, HERD_MEANWHILE, HERD_AFTER, HERD_PHASES };
void herd_report_latency(int64_t us, enum herd_phase phase);

/* All is up: what was measured so far was no quiet. */
void herd_report_quiet(void);

/* Processor time is counted from here on. */
void herd_report_begin(const pid_t *pids, unsigned n);

/* Often: which second took most of a relay's processor time. */
void herd_report_turn(int64_t now_us);

/* Prints; 0 when each session and leg is back. */
int herd_report_end(const struct herd_outcome *outcome);
