/*
 * relay_histogram: how a figure is spread, written by one thread without locks and read by another
 * at any time (as relay_counters.h does for counts). The buckets are those of metrics.h, so that
 * the control actor can fold one into the registry.
 */
#pragma once

#include "metrics/metrics.h"

#include <stdatomic.h>
#include <stdint.h>

enum { RELAY_HISTOGRAM_BUCKETS = METRIC_BUCKETS + 1 }; /* the last: above all bounds */

struct relay_histogram {
	_Atomic uint64_t buckets[RELAY_HISTOGRAM_BUCKETS];
	_Atomic uint64_t sum_us;
};

/* The writer's thread. */
void relay_histogram_add(struct relay_histogram *histogram, uint64_t us);

/* Adds what has come since `last` to the registry's histogram; last remembers. */
void relay_histogram_fold(const struct relay_histogram *histogram, struct relay_histogram *last,
			  struct metric *metric);
