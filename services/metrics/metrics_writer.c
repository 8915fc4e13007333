/*
 * metrics_writer: from what is pending in memory to the tables, and out of them again when it is
 * old. One batch is one transaction: a sample becomes its node's latest, a raw row, and part of the
 * node's minute, hour and day; all together become part of the fleet's. A batch that failed is
 * written again; of what was in the tables after all, nothing is counted twice, since a sample that
 * is not newer than its node's latest is passed over.
 */
#include "metrics/metrics_handlers.h"

#include "log/log.h"
#include "loop/clock.h"
#include "metrics/metrics_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 200, FORGET_BATCH = 2000, FORGET_ROUNDS = 3 };

struct batch {
	struct sample *samples[BATCH];
	struct usage *usages[BATCH];
	size_t samples_n, usages_n;
	uint64_t late;	     /* samples that were passed over */
	struct rollup fleet; /* of all samples */
	uint64_t fleet_n;
};

/* In the same order by every replica: they wait for each other's nodes, and must not do so in a
 * ring. */
static int
compare(const void *a, const void *b)
{
	const struct sample *const *one = a, *const *two = b;
	int order = memcmp((*one)->node_id, (*two)->node_id, UUID_BYTES);

	if (order != 0)
		return order;
	return ((*one)->timestamp_ms > (*two)->timestamp_ms) -
	       ((*one)->timestamp_ms < (*two)->timestamp_ms);
}

static int
compare_usages(const void *a, const void *b)
{
	const struct usage *const *one = a, *const *two = b;

	return memcmp(&(*one)->key, &(*two)->key, sizeof((*one)->key));
}

static bool
read_figures(const void *bytes, size_t n, struct metrics_values *ret)
{
	Boson__Metrics__Figures *figures = boson__metrics__figures__unpack(NULL, n, bytes);

	if (figures == NULL)
		return false;
	metrics_figures_read(figures, ret);
	boson__metrics__figures__free_unpacked(figures, NULL);
	return true;
}

/* What is to be added for the sample, when its node had said `before`. */
static bool
read_increase(const struct sample *sample, const void *before, size_t before_n,
	      struct metrics_values *ret)
{
	struct metrics_values earlier;
	bool has_earlier = before != NULL && read_figures(before, before_n, &earlier);

	if (!read_figures(sample->figures, sample->figures_bytes, ret))
		return false;
	metrics_figures_increase(ret, has_earlier ? &earlier : NULL);
	return true;
}

static int
add_to_rollups(struct metrics_service *metrics, const struct sample *sample,
	       const struct metrics_values *values)
{
	int error;

	for (size_t i = 0; i < METRICS_DAY; i++)
		rollup_init(&metrics->rollups[i]);
	error = metrics_store_load_rollups(metrics->store, sample->node_id, sample->timestamp_ms,
					   metrics->rollups);
	if (error != 0)
		return error;
	for (size_t i = 0; i < METRICS_DAY; i++)
		rollup_add(&metrics->rollups[i], values);
	return metrics_store_put_rollups(metrics->store, sample->node_id, sample->timestamp_ms,
					 metrics->rollups);
}

static int
write_sample(struct metrics_service *metrics, struct batch *batch, const struct sample *sample)
{
	struct metrics_values values;
	void *before = NULL;
	size_t before_n = 0;
	int error = metrics_store_put_latest(metrics->store, sample, &before, &before_n);

	if (error == 0)
		batch->late++;
	if (error == 1) {
		bool is_readable = read_increase(sample, before, before_n, &values);

		error = metrics_store_put_raw(metrics->store, sample);
		if (error == 0 && is_readable) {
			rollup_add(&batch->fleet, &values);
			batch->fleet_n++;
			error = add_to_rollups(metrics, sample, &values);
		}
	}
	free(before);
	return error;
}

static int
write_batch(struct metrics_service *metrics, struct batch *batch)
{
	int error = store_begin(metrics->store);

	for (size_t i = 0; error == 0 && i < batch->usages_n; i++)
		error = metrics_store_put_usage(metrics->store, batch->usages[i]);
	for (size_t i = 0; error == 0 && i < batch->samples_n; i++)
		error = write_sample(metrics, batch, batch->samples[i]);
	if (error == 0 && batch->fleet_n > 0)
		error = metrics_store_add_fleet(metrics->store, clock_wall_ms(), &batch->fleet);
	if (error == 0)
		return store_commit(metrics->store);
	store_rollback(metrics->store);
	return error;
}

static void
take_batch(struct metrics_service *metrics, struct batch *batch)
{
	batch->samples_n = samples_take(&metrics->samples, batch->samples, BATCH);
	batch->usages_n = usages_take(&metrics->usages, batch->usages, BATCH);
	batch->late = batch->fleet_n = 0;
	rollup_init(&batch->fleet);
	qsort(batch->samples, batch->samples_n, sizeof(batch->samples[0]), compare);
	qsort(batch->usages, batch->usages_n, sizeof(batch->usages[0]), compare_usages);
}

static void
finish_batch(struct metrics_service *metrics, struct batch *batch, bool is_written)
{
	if (!is_written) {
		samples_put_back(&metrics->samples, batch->samples, batch->samples_n);
		usages_put_back(&metrics->usages, batch->usages, batch->usages_n);
		return;
	}
	metric_add(metrics->written, batch->samples_n - batch->late);
	metric_add(metrics->late, batch->late);
	for (size_t i = 0; i < batch->samples_n; i++)
		free(batch->samples[i]);
	for (size_t i = 0; i < batch->usages_n; i++)
		free(batch->usages[i]);
}

int
metrics_writer_flush(struct metrics_service *metrics, bool *ret_more)
{
	struct batch *batch;
	int error;

	*ret_more = false;
	if (metrics->store == NULL)
		return -EIO;
	if (metrics->samples.pending_n == 0 && metrics->usages.by_key.count == 0)
		return 0;
	batch = malloc(sizeof(*batch));
	if (batch == NULL)
		return -ENOMEM;
	take_batch(metrics, batch);
	error = write_batch(metrics, batch);
	finish_batch(metrics, batch, error == 0);
	free(batch);
	*ret_more =
		error == 0 && (metrics->samples.pending_n > 0 || metrics->usages.by_key.count > 0);
	return error;
}

bool
metrics_writer_forget(struct metrics_service *metrics, int64_t now_wall_ms)
{
	struct store *store = metrics->store;
	bool has_more = false;
	int n = FORGET_BATCH;

	for (int i = METRICS_RAW; i < METRICS_LEVELS && n >= 0; i++) {
		n = FORGET_BATCH;
		for (int round = 0; round < FORGET_ROUNDS && n == FORGET_BATCH; round++)
			n = metrics_store_forget(store, (enum metrics_level)i,
						 now_wall_ms - metrics->retention.keep_ms[i],
						 FORGET_BATCH);
		has_more = has_more || n == FORGET_BATCH;
	}
	if (n >= 0)
		n = metrics_store_forget_latest(
			store, now_wall_ms - metrics->retention.keep_ms[METRICS_DAY], FORGET_BATCH);
	if (n >= 0)
		n = metrics_store_forget_usage(store, now_wall_ms - metrics->usage_retention_ms,
					       FORGET_BATCH);
	if (n < 0)
		log_warn("old_figures_not_deleted", "error=%d", n);
	return n >= 0 && has_more;
}
