/*
 * metrics' mailbox and what stands behind it. One thread: the actor's.
 *
 *	gateway   -> Submit Latest
 *	operators -> Usage
 *	discovery -> RelayChanged (event)	metrics -> discovery.Snapshot, for its relays
 *	relay     -> SessionUsage (event)
 *
 * Everything is kept in memory and written behind every few seconds: what is lost with the process
 * is said again by the nodes.
 */
#pragma once

#include "metrics.pb-c.h"
#include "metrics/metrics_samples.h"
#include "metrics/metrics_usage.h"
#include "service/service.h"
#include "store/store.h"

struct metrics_link;

struct metrics_service {
	Boson__Metrics__Metrics_Service service; /* first: handlers find us by it */
	const struct actor_context *context;
	struct store *store;
	struct samples samples;
	struct usages usages;
	int64_t usage_retention_ms, forgot_ms;

	/* metrics_watch */
	struct bus_peer *discovery;
	struct bus_subscription *relays_changed;
	bool asking, ask_again;
	struct metrics_link *links;

	struct loop_timer *timer;
	struct metric *accepted, *limited, *reports;
};

/* A copy of this is `service`. */
extern const Boson__Metrics__Metrics_Service metrics_mailbox;

/* metrics_watch.c: finds the relays and hears their SessionUsage. */
int metrics_watch_start(struct metrics_service *metrics);
void metrics_watch_tick(struct metrics_service *metrics);
void metrics_watch_stop(struct metrics_service *metrics);
