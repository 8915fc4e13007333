/*
 * metrics: see metrics.h. Figures of one name stand side by side in the registry's list, as the
 * text format wants them.
 */
#include "metrics/metrics_figure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const uint64_t metric_bucket_us[METRIC_BUCKETS] = { 100,     200,     500,     1000,
						    2000,    5000,    10000,   20000,
						    50000,   100000,  200000,  500000,
						    1000000, 2000000, 5000000, 10000000 };

/* What callers get when memory is out: counts nothing that anybody reads. */
static struct metric dummy;

int
metrics_new(const char *prefix, struct metrics **ret)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return -ENOMEM;
	metrics->prefix = strdup(prefix);
	if (!metrics->prefix) {
		free(metrics);
		return -ENOMEM;
	}
	pthread_mutex_init(&metrics->mutex, NULL);
	*ret = metrics;
	return 0;
}

static void
metric_free(struct metric *metric)
{
	free(metric->name);
	free(metric->labels);
	free(metric->help);
	free(metric);
}

void
metrics_free(struct metrics **metrics)
{
	struct metric *next;

	if (!metrics || !*metrics)
		return;
	for (struct metric *m = (*metrics)->first; m; m = next) {
		next = m->next;
		metric_free(m);
	}
	pthread_mutex_destroy(&(*metrics)->mutex);
	free((*metrics)->prefix);
	free(*metrics);
	*metrics = NULL;
}

static int
same_labels(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static struct metric *
metric_new(enum metric_type type, const char *name, const char *labels, const char *help)
{
	struct metric *metric = calloc(1, sizeof(*metric));

	if (!metric)
		return NULL;
	metric->type = type;
	metric->name = strdup(name);
	metric->labels = labels ? strdup(labels) : NULL;
	metric->help = strdup(help ? help : name);
	if (!metric->name || (labels && !metric->labels) || !metric->help) {
		metric_free(metric);
		return NULL;
	}
	return metric;
}

/* The figure itself, or with NULL the place where it belongs. */
static struct metric *
find_locked(struct metrics *metrics, const char *name, const char *labels, struct metric ***ret_at)
{
	struct metric **at = &metrics->first;
	int seen = 0;

	for (; *at; at = &(*at)->next) {
		int same = strcmp((*at)->name, name) == 0;

		if (same && same_labels((*at)->labels, labels))
			return *at;
		if (seen && !same)
			break;
		seen |= same;
	}
	*ret_at = at;
	return NULL;
}

static struct metric *
get(struct metrics *metrics, enum metric_type type, const char *name, const char *labels,
    const char *help)
{
	struct metric **at = NULL;

	if (!metrics)
		return &dummy;
	pthread_mutex_lock(&metrics->mutex);
	struct metric *metric = find_locked(metrics, name, labels, &at);
	if (!metric && (metric = metric_new(type, name, labels, help))) {
		metric->next = *at;
		*at = metric;
	}
	pthread_mutex_unlock(&metrics->mutex);
	return metric ? metric : &dummy;
}

struct metric *
metrics_counter(struct metrics *metrics, const char *name, const char *labels, const char *help)
{
	return get(metrics, METRIC_COUNTER, name, labels, help);
}

struct metric *
metrics_gauge(struct metrics *metrics, const char *name, const char *labels, const char *help)
{
	return get(metrics, METRIC_GAUGE, name, labels, help);
}

struct metric *
metrics_histogram(struct metrics *metrics, const char *name, const char *labels, const char *help)
{
	return get(metrics, METRIC_HISTOGRAM, name, labels, help);
}

double
metric_gauge_value(const struct metric *gauge)
{
	uint64_t bits = atomic_load_explicit(&gauge->value, memory_order_relaxed);
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

void
metric_set(struct metric *metric, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	atomic_store_explicit(&metric->value, bits, memory_order_relaxed);
}

static void
gauge_add(struct metric *gauge, double n)
{
	uint64_t old = atomic_load_explicit(&gauge->value, memory_order_relaxed);
	uint64_t bits;
	double value;

	do {
		memcpy(&value, &old, sizeof(value));
		value += n;
		memcpy(&bits, &value, sizeof(bits));
	} while (!atomic_compare_exchange_weak_explicit(
		&gauge->value, &old, bits, memory_order_relaxed, memory_order_relaxed));
}

void
metric_add(struct metric *metric, uint64_t n)
{
	if (metric->type == METRIC_GAUGE)
		gauge_add(metric, (double)n);
	else
		atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
}

void
metric_observe_us(struct metric *histogram, uint64_t microseconds)
{
	for (size_t i = 0; i < METRIC_BUCKETS; i++) {
		if (microseconds <= metric_bucket_us[i]) {
			atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
			break;
		}
	}
	atomic_fetch_add_explicit(&histogram->sum_us, microseconds, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->value, 1, memory_order_relaxed);
}

void
metric_observe_counts(struct metric *histogram, const uint64_t counts[METRIC_BUCKETS + 1],
		      uint64_t sum_us)
{
	uint64_t all = counts[METRIC_BUCKETS];

	for (size_t i = 0; i < METRIC_BUCKETS; i++) {
		all += counts[i];
		if (counts[i] != 0)
			atomic_fetch_add_explicit(&histogram->buckets[i], counts[i],
						  memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&histogram->sum_us, sum_us, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->value, all, memory_order_relaxed);
}

uint64_t
metric_value(const struct metric *metric)
{
	if (metric->type == METRIC_GAUGE) {
		double value = metric_gauge_value(metric);
		return value > 0 ? (uint64_t)value : 0;
	}
	return atomic_load_explicit(&metric->value, memory_order_relaxed);
}
