/*
 * metric_spread: plain loads and stores for the writer, which is alone.
 */
#include "metrics/metric_spread.h"

static void
bump(_Atomic uint64_t *value, uint64_t n)
{
	uint64_t now = atomic_load_explicit(value, memory_order_relaxed);

	atomic_store_explicit(value, now + n, memory_order_relaxed);
}

void
metric_spread_add(struct metric_spread *histogram, uint64_t us)
{
	unsigned i = 0;

	while (i + 1 < METRIC_SPREAD_BUCKETS && us > metric_bucket_us[i])
		i++;
	bump(&histogram->buckets[i], 1);
	bump(&histogram->sum_us, us);
}

void
metric_spread_fold(const struct metric_spread *histogram, struct metric_spread *last,
		   struct metric *metric)
{
	uint64_t news[METRIC_SPREAD_BUCKETS];

	for (unsigned i = 0; i < METRIC_SPREAD_BUCKETS; i++) {
		uint64_t now = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);

		news[i] = now - atomic_load_explicit(&last->buckets[i], memory_order_relaxed);
		atomic_store_explicit(&last->buckets[i], now, memory_order_relaxed);
	}
	uint64_t sum = atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
	metric_observe_counts(metric, news,
			      sum - atomic_load_explicit(&last->sum_us, memory_order_relaxed));
	atomic_store_explicit(&last->sum_us, sum, memory_order_relaxed);
}
