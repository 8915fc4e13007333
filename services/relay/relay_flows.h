/*
 * relay_flows: what is known of each session: which node it belongs to, its node's newest
 * FlowReport, and what its legs carried. A model: no I/O, no clock. Bounded in sessions and in
 * flows; the one not heard of for longest is forgotten first.
 *
 * A session is bound to a node by OpenSession or by a ticket, and only that node's reports count.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"
#include "link.pb-c.h"
#include "relay/relay_carried.h"

#include <stdbool.h>
#include <sys/queue.h>

enum {
	RELAY_SESSIONS_MAX = 65536,
	RELAY_FLOWS_MAX = 262144,
	RELAY_SESSION_FLOWS_MAX = 256,
};

struct relay_session {
	struct idtable_link by_id;
	uint8_t id[UUID_BYTES], node_id[UUID_BYTES];
	TAILQ_ENTRY(relay_session) by_news;
	Boson__Link__FlowReport__Session *report; /* NULL: none yet */
	int64_t reported_at_ms;			  /* epoch, our clock */
	struct relay_carried carried;
};

struct relay_flows {
	struct idtable sessions;
	TAILQ_HEAD(, relay_session) by_news; /* the one not heard of for longest first */
	size_t flow_count;
};

int relay_flows_init(struct relay_flows *flows);
void relay_flows_fini(struct relay_flows *flows);

struct relay_session *relay_flows_find(const struct relay_flows *flows,
				       const uint8_t session_id[UUID_BYTES]);

/* The session is this node's from now on. NULL when out of memory. */
struct relay_session *relay_flows_bind(struct relay_flows *flows,
				       const uint8_t session_id[UUID_BYTES],
				       const uint8_t node_id[UUID_BYTES]);

/* Takes *report when the session is known and this node's: returns it; else NULL, and the report
 * is still the caller's. */
struct relay_session *relay_flows_report(struct relay_flows *flows,
					 const uint8_t node_id[UUID_BYTES],
					 Boson__Link__FlowReport__Session **report,
					 int64_t wall_now_ms);
