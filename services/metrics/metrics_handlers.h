/*
 * metrics' mailbox and what stands behind it. One thread: the actor's.
 *
 *	gateway   -> Submit Latest History Aggregated Exposition
 *	operators -> Usage
 *	discovery -> RelayChanged (event)	metrics -> discovery.Snapshot, for its relays,
 *						and to count the nodes
 *	relay     -> SessionUsage RelayLoad (events)
 *
 * What nodes and relays say is acknowledged from memory and written behind every few seconds, in
 * batches that bear to be repeated; rollups are brought up to date in the same transaction. So
 * several of us may share one database, and nobody needs to be the one who rolls up.
 */
#pragma once

#include "metrics.pb-c.h"
#include "metrics/metrics_census.h"
#include "metrics/metrics_samples.h"
#include "metrics/metrics_span.h"
#include "metrics/metrics_usage.h"
#include "service/service.h"
#include "store/store.h"

struct metrics_link;

struct metrics_service {
	Boson__Metrics__Metrics_Service service; /* first: handlers find us by it */
	const struct actor_context *context;
	struct store *store; /* NULL until the database could be opened */
	struct samples samples;
	struct usages usages;
	struct metrics_retention retention;
	int64_t usage_retention_ms;
	int64_t forgot_ms, opened_ms; /* tried last, monotonic */
	struct rollup *rollups;	      /* METRICS_DAY of them, for whoever needs some for a while */

	/* metrics_watch */
	struct bus_peer *discovery;
	struct bus_subscription *relays_changed;
	bool asking, ask_again;
	struct metrics_link *links;

	/* metrics_count */
	struct census counting, counted;
	bool is_counting, has_counted;
	int64_t count_began_ms, count_due_ms; /* monotonic */

	struct loop_timer *timer;
	struct metric *accepted, *limited, *reports, *written, *late, *dropped;
};

/* A copy of this is `service`. */
extern const Boson__Metrics__Metrics_Service metrics_mailbox;

/* metrics_answers.c: the rpcs that read the tables. */
void metrics_answer_latest(struct metrics_service *metrics,
			   const Boson__Metrics__LatestRequest *input,
			   Boson__Metrics__Sample_Closure closure, void *call);
void metrics_answer_history(struct metrics_service *metrics,
			    const Boson__Metrics__HistoryRequest *input,
			    Boson__Metrics__HistoryReply_Closure closure, void *call);
void metrics_answer_aggregated(struct metrics_service *metrics,
			       const Boson__Metrics__AggregatedRequest *input,
			       Boson__Metrics__AggregatedReply_Closure closure, void *call);

/* metrics_exposition.c: the fleet as Prometheus' text. 0, -EIO, -ENOMEM. *ret is malloc'd. */
int metrics_exposition_write(struct metrics_service *metrics, int64_t now_wall_ms, char **ret);

/* metrics_writer.c: writes the oldest pending ones, a batch at a time. 0, and *ret_more when there
 * are more; -EIO, and all are pending again. */
int metrics_writer_flush(struct metrics_service *metrics, bool *ret_more);
/* Deletes what is kept no longer, a bounded number of rows: true when there are more. */
bool metrics_writer_forget(struct metrics_service *metrics, int64_t now_wall_ms);

/* metrics_count.c: counts the nodes by country and status. */
void metrics_count_tick(struct metrics_service *metrics, int64_t now_ms);

/* metrics_watch.c: finds the relays and hears their SessionUsage. */
int metrics_watch_start(struct metrics_service *metrics);
void metrics_watch_tick(struct metrics_service *metrics);
void metrics_watch_stop(struct metrics_service *metrics);

/* Each relay that is heard, in no order. */
struct metrics_relay {
	const char *id, *region;
	double load;
	uint32_t legs, channels;
};
void metrics_watch_each(const struct metrics_service *metrics,
			void (*fn)(const struct metrics_relay *relay, void *arg), void *arg);
