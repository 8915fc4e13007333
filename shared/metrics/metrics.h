/*
 * metrics: counters, gauges and histograms, written in Prometheus' text format. A registry belongs
 * to one actor; its figures are atomics, so that the admin thread may print them at any time.
 * Labels are fixed when a figure is made: no node, client or session id may ever be one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct metrics;
struct metric;

/* prefix, e.g. "boson_relay", is joined to each name by '_'. */
int metrics_new(const char *prefix, struct metrics **ret);
void metrics_free(struct metrics **metrics);

/* name "drops_total"; labels "reason=\"full\"" or NULL. The same name and labels give the same
 * figure back. Owned by the registry; never NULL after success: on out-of-memory a shared dummy is
 * returned, so callers need no check. */
struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *labels,
			       const char *help);
struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *labels,
			     const char *help);

/* Fixed buckets for seconds: 0.0001 to 10, three a decade. */
struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *labels,
				 const char *help);

enum { METRIC_BUCKETS = 16 };

/* Their upper bounds. */
extern const uint64_t metric_bucket_us[METRIC_BUCKETS];

/* Any thread. */
void metric_add(struct metric *metric, uint64_t n);
void metric_set(struct metric *metric, double value);
void metric_observe_us(struct metric *histogram, uint64_t microseconds);

/* Many observations at once: how many fell into each bucket, the last of them above all bounds, and
 * their sum. */
void metric_observe_counts(struct metric *histogram, const uint64_t counts[METRIC_BUCKETS + 1],
			   uint64_t sum_us);
uint64_t metric_value(const struct metric *metric);

/* Any thread. *ret_text is malloc'd; the registries are written one after the other. */
int metrics_write(struct metrics *const registries[], size_t n, char **ret_text, size_t *ret_bytes);
