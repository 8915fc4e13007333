/*
 * metrics_store: the tables of metrics, and their only SQL. Written behind by metrics_writer, read
 * by the handlers. Node and session ids are 16 raw bytes in the tables, times epoch ms.
 *
 *	samples		the latest sample of each node, and the one before
 *	raw		every sample
 *	rollups		boson.metrics.Rollup by node, level and interval
 *	fleet		the same for all nodes together
 *	session_usage	what sessions used, by run of the node
 */
#pragma once

#include "metrics/metrics_rollup.h"
#include "metrics/metrics_samples.h"
#include "metrics/metrics_span.h"
#include "metrics/metrics_usage.h"
#include "store/store.h"

extern const struct store_migration metrics_migrations[];
extern const size_t metrics_migrations_n;

int metrics_store_open(const char *url, struct store **ret, char *ret_error, size_t error_bytes);

/* All below: 0, or -EIO, unless they say more. */

/* The sample becomes its node's latest, when it is more than half a period newer than that: then 1,
 * and what the node said before in *ret_before (packed Figures, malloc'd; NULL when it said
 * nothing). Else 0: it was written already, or another replica has a newer one. Until the
 * transaction ends, nobody else writes about this node. */
int metrics_store_put_latest(struct store *store, const struct sample *sample, void **ret_before,
			     size_t *ret_before_n);
int metrics_store_put_raw(struct store *store, const struct sample *sample);

/* 1 and a copy, or 0 when there is none. */
int metrics_store_latest(struct store *store, const uint8_t node_id[UUID_BYTES],
			 struct sample **ret);

/* A node's rollups of the intervals that hold at_ms, in order minute, hour, day: added to
 * rollups. */
int metrics_store_load_rollups(struct store *store, const uint8_t node_id[UUID_BYTES],
			       int64_t at_ms, struct rollup rollups[3]);
int metrics_store_put_rollups(struct store *store, const uint8_t node_id[UUID_BYTES], int64_t at_ms,
			      const struct rollup rollups[3]);

/* Adds to the fleet's rollups of the intervals that hold at_ms, and to that of all time. Replicas
 * take turns. */
int metrics_store_add_fleet(struct store *store, int64_t at_ms, const struct rollup *more);
int metrics_store_fleet(struct store *store, enum metrics_level level, int64_t at_ms,
			struct rollup *ret);

/* fn for each row of a span in order of time, at most `limit`; non-zero from it ends the reading.
 * RAW gives packed Figures, the others a packed Rollup. Returns the number of rows, or what fn
 * said. */
typedef int (*metrics_row_fn)(int64_t at_ms, const void *bytes, size_t n, void *arg);
int metrics_store_read(struct store *store, const uint8_t node_id[UUID_BYTES],
		       const struct metrics_span *span, size_t limit, metrics_row_fn fn, void *arg);

int metrics_store_put_usage(struct store *store, const struct usage *usage);

/* 1 and the sum over all runs, the latest node and report; 0 when there is none. */
int metrics_store_usage(struct store *store, const uint8_t session_id[UUID_BYTES],
			struct usage *ret);

/* Each deletes at most `limit` rows and returns how many. A session's rows go when its last report
 * is as old. */
int metrics_store_forget(struct store *store, enum metrics_level level, int64_t before_ms,
			 int limit);
int metrics_store_forget_latest(struct store *store, int64_t before_ms, int limit);
int metrics_store_forget_usage(struct store *store, int64_t before_ms, int limit);
