/*
 * metric_spread: how a figure is spread, written by one thread without locks and read by another
 * at any time. The buckets are those of metrics.h, so that the reader can fold one into the
 * registry.
 */
#pragma once

#include "metrics/metrics.h"

#include <stdatomic.h>
#include <stdint.h>

enum { METRIC_SPREAD_BUCKETS = METRIC_BUCKETS + 1 }; /* the last: above all bounds */

struct metric_spread {
	_Atomic uint64_t buckets[METRIC_SPREAD_BUCKETS];
	_Atomic uint64_t sum_us;
};

/* The writer's thread. */
void metric_spread_add(struct metric_spread *histogram, uint64_t us);

/* Adds what has come since `last` to the registry's histogram; last remembers. */
void metric_spread_fold(const struct metric_spread *histogram, struct metric_spread *last,
			struct metric *metric);
