/*
 * relay_histogram: plain loads and stores for the writer, which is alone.
 */
#include "relay/relay_histogram.h"

static void
bump(_Atomic uint64_t *value, uint64_t n)
{
	uint64_t now = atomic_load_explicit(value, memory_order_relaxed);

	atomic_store_explicit(value, now + n, memory_order_relaxed);
}

void
relay_histogram_add(struct relay_histogram *histogram, uint64_t us)
{
	unsigned i = 0;

	while (i + 1 < RELAY_HISTOGRAM_BUCKETS && us > metric_bucket_us[i])
		i++;
	bump(&histogram->buckets[i], 1);
	bump(&histogram->sum_us, us);
}

void
relay_histogram_fold(const struct relay_histogram *histogram, struct relay_histogram *last,
		     struct metric *metric)
{
	uint64_t news[RELAY_HISTOGRAM_BUCKETS];

	for (unsigned i = 0; i < RELAY_HISTOGRAM_BUCKETS; i++) {
		uint64_t now = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);

		news[i] = now - atomic_load_explicit(&last->buckets[i], memory_order_relaxed);
		atomic_store_explicit(&last->buckets[i], now, memory_order_relaxed);
	}
	uint64_t sum = atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
	metric_observe_counts(metric, news,
			      sum - atomic_load_explicit(&last->sum_us, memory_order_relaxed));
	atomic_store_explicit(&last->sum_us, sum, memory_order_relaxed);
}
