/*
 * metrics_figure: how a figure and a registry look inside, for metrics.c and metrics_text.c alone.
 */
#pragma once

#include "metrics/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
	enum metric_type type;
	char *name;
	char *labels; /* without braces, or NULL */
	char *help;
	_Atomic(uint64_t) value; /* counter: count; gauge: a double's bits; histogram: count */
	_Atomic(uint64_t) sum_us;
	_Atomic(uint64_t) buckets[METRIC_BUCKETS]; /* each its own, not cumulative */
	struct metric *next;
};

struct metrics {
	char *prefix;
	pthread_mutex_t mutex; /* guards the list, not the figures */
	struct metric *first;
};

double metric_gauge_value(const struct metric *gauge);
