/*
 * bus_tally: counts and times every message, in this one place.
 *   bus_requests_total{method,result}, bus_request_seconds{method}   what we answered
 *   bus_calls_total{method,result}, bus_call_seconds{method}         what we asked
 *   bus_events_total{direction,type}, bus_drops_total{reason}
 */
#pragma once

#include "bus/bus.h"

enum bus_side { BUS_SIDE_SERVER, BUS_SIDE_CLIENT };

enum { BUS_STATUSES = BUS_INTERNAL + 1 };

/* "ok", "invalid", ... */
const char *bus_status_word(enum bus_status status);

struct bus_tally {
	struct metrics *metrics;
	const ProtobufCServiceDescriptor *service;
	enum bus_side side;
	struct bus_tally_method {
		struct metric *results[BUS_STATUSES];
		struct metric *seconds;
	} * methods; /* n_methods and one more for unknown ones */
};

int bus_tally_init(struct bus_tally *tally, struct metrics *metrics,
		   const ProtobufCServiceDescriptor *service, enum bus_side side);
void bus_tally_fini(struct bus_tally *tally);

/* method: its index; any other number counts as "unknown". */
void bus_tally_add(struct bus_tally *tally, unsigned method, enum bus_status status,
		   int64_t microseconds);

/* Why something was dropped. */
enum bus_drop {
	BUS_DROP_PARTS,		/* not the number of frames that belong there */
	BUS_DROP_ENVELOPE,	/* head that cannot be read */
	BUS_DROP_STRANGER,	/* a peer without a name over tcp */
	BUS_DROP_DUPLICATE,	/* a correlation id seen before */
	BUS_DROP_LATE_REPLY,	/* to a call that is over */
	BUS_DROP_LATE_ANSWER,	/* of a handler, after the deadline */
	BUS_DROP_SECOND_ANSWER, /* of a handler that had answered */
	BUS_DROP_PEER_GONE,	/* a reply to nobody */
	BUS_DROP_PEER_FULL,	/* a reply to one who does not read */
	BUS_DROP_EVENT,		/* an event that cannot be read */
	BUS_DROP_UNCOMMITTED,	/* an event of a batch whose commit failed */
	BUS_DROP_ACL,		/* a call or a subscription that a peer may not make */
	BUS_DROP_EVENT_FULL,	/* an event to one who does not read */
	BUS_DROP_STRUCK_OUT,	/* from a connection that sent too much that cannot be read */
	BUS_DROPS,
};

struct bus_drops {
	struct metric *figures[BUS_DROPS];
	int64_t logged_ms[BUS_DROPS]; /* last, so that one peer cannot fill the log */
};

void bus_drops_init(struct bus_drops *drops, struct metrics *metrics);

/* Counts, and says so in the log at most once a minute for each reason. */
void bus_drop(struct bus *bus, enum bus_drop reason, const char *who);
