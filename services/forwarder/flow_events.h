/*
 * flow_events: conntrack's events (NEW, DESTROY) and, once a second while there are sessions, its
 * whole table, for the live flows' bytes. Feeds flow_table. Events lost to a full buffer (ENOBUFS)
 * cost a dump, not the truth. Never blocks. Needs CAP_NET_ADMIN. Loop thread.
 */
#pragma once

#include "forwarder/flow_table.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

struct flow_events;

/* on_dump: after each whole dump, when the table is as fresh as it gets. */
int flow_events_new(struct loop *loop, struct metrics *metrics, struct flow_table *table,
		    void (*on_dump)(void *arg), void *arg, struct flow_events **ret);
void flow_events_free(struct flow_events **events);

/* Ends the kernel's entries of a session's flows, so that no later session with its address gets
 * their answers. Before flow_table_session_remove. */
void flow_events_cut(struct flow_events *events, const char *session_id);
