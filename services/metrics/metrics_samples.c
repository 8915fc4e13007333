/* metrics_samples: one sample a node, so that nothing grows with time (T42). */
#include "metrics/metrics_samples.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int
samples_init(struct samples *samples)
{
	samples->unsaved = NULL;
	return idtable_init(&samples->by_node, offsetof(struct sample, by_node),
			    offsetof(struct sample, node_id), UUID_BYTES);
}

void
samples_fini(struct samples *samples)
{
	struct sample *sample;

	if (samples->by_node.buckets == NULL)
		return;
	while ((sample = idtable_next(&samples->by_node, NULL)) != NULL) {
		idtable_remove(&samples->by_node, sample);
		free(sample->figures);
		free(sample);
	}
	idtable_fini(&samples->by_node);
	samples->unsaved = NULL;
}

const struct sample *
samples_find(const struct samples *samples, const uint8_t node_id[UUID_BYTES])
{
	return idtable_find(&samples->by_node, node_id);
}

int
samples_may_take(const struct samples *samples, const uint8_t node_id[UUID_BYTES],
		 int64_t timestamp_ms, int64_t now_ms, int64_t *ret_wait_ms)
{
	const struct sample *sample = samples_find(samples, node_id);

	if (sample == NULL)
		return 0;
	if (sample->accepted_ms != SAMPLES_NEVER &&
	    now_ms - sample->accepted_ms < SAMPLES_PERIOD_MIN_MS) {
		*ret_wait_ms = SAMPLES_PERIOD_MIN_MS - (now_ms - sample->accepted_ms);
		return -EBUSY;
	}
	return timestamp_ms > sample->timestamp_ms ? 0 : -ESTALE;
}

static struct sample *
get(struct samples *samples, const uint8_t node_id[UUID_BYTES])
{
	struct sample *sample = idtable_find(&samples->by_node, node_id);

	if (sample != NULL)
		return sample;
	sample = calloc(1, sizeof(*sample));
	if (sample == NULL)
		return NULL;
	memcpy(sample->node_id, node_id, UUID_BYTES);
	(void)idtable_add(&samples->by_node, sample);
	return sample;
}

int
samples_put(struct samples *samples, const uint8_t node_id[UUID_BYTES], int64_t timestamp_ms,
	    const void *figures, size_t figures_bytes, int64_t now_ms)
{
	struct sample *sample;
	uint8_t *copy;

	if (samples->by_node.count >= SAMPLES_MAX && samples_find(samples, node_id) == NULL)
		return -ENOSPC;
	copy = malloc(figures_bytes == 0 ? 1 : figures_bytes);
	if (copy == NULL)
		return -ENOMEM;
	sample = get(samples, node_id);
	if (sample == NULL) {
		free(copy);
		return -ENOMEM;
	}
	if (figures_bytes > 0)
		memcpy(copy, figures, figures_bytes);
	free(sample->figures);
	sample->figures = copy;
	sample->figures_bytes = figures_bytes;
	sample->timestamp_ms = timestamp_ms;
	sample->accepted_ms = now_ms;
	if (now_ms != SAMPLES_NEVER)
		samples_put_unsaved(samples, sample);
	return 0;
}

struct sample *
samples_take_unsaved(struct samples *samples)
{
	struct sample *sample = samples->unsaved;

	if (sample == NULL)
		return NULL;
	samples->unsaved = sample->unsaved_next;
	sample->unsaved_next = NULL;
	sample->unsaved = false;
	return sample;
}

void
samples_put_unsaved(struct samples *samples, struct sample *sample)
{
	if (sample->unsaved)
		return;
	sample->unsaved = true;
	sample->unsaved_next = samples->unsaved;
	samples->unsaved = sample;
}
