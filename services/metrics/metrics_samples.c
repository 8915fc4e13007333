/* metrics_samples: a table by node, a queue by silence, a queue to the tables (T42). */
#include "metrics/metrics_samples.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int
samples_init(struct samples *samples)
{
	memset(samples, 0, sizeof(*samples));
	TAILQ_INIT(&samples->by_silence);
	STAILQ_INIT(&samples->pending);
	return idtable_init(&samples->by_node, offsetof(struct samples_node, by_node),
			    offsetof(struct samples_node, node_id), UUID_BYTES);
}

static void
forget(struct samples *samples, struct samples_node *node)
{
	TAILQ_REMOVE(&samples->by_silence, node, by_silence);
	idtable_remove(&samples->by_node, node);
	free(node->latest);
	free(node);
}

void
samples_fini(struct samples *samples)
{
	struct sample *sample;

	while (!TAILQ_EMPTY(&samples->by_silence))
		forget(samples, TAILQ_FIRST(&samples->by_silence));
	while ((sample = STAILQ_FIRST(&samples->pending)) != NULL) {
		STAILQ_REMOVE_HEAD(&samples->pending, pending);
		free(sample);
	}
	idtable_fini(&samples->by_node);
}

const struct sample *
samples_find(const struct samples *samples, const uint8_t node_id[UUID_BYTES])
{
	const struct samples_node *node = idtable_find(&samples->by_node, node_id);

	return node == NULL ? NULL : node->latest;
}

int
samples_may_take(const struct samples *samples, const uint8_t node_id[UUID_BYTES],
		 int64_t timestamp_ms, int64_t now_ms, int64_t *ret_wait_ms)
{
	const struct samples_node *node = idtable_find(&samples->by_node, node_id);

	if (node == NULL)
		return 0;
	if (now_ms - node->accepted_ms < SAMPLES_PERIOD_MIN_MS) {
		*ret_wait_ms = SAMPLES_PERIOD_MIN_MS - (now_ms - node->accepted_ms);
		return -EBUSY;
	}
	return timestamp_ms > node->latest->timestamp_ms ? 0 : -ESTALE;
}

static struct sample *
make_sample(const uint8_t node_id[UUID_BYTES], int64_t timestamp_ms, const void *figures,
	    size_t figures_bytes)
{
	struct sample *sample = malloc(sizeof(*sample) + figures_bytes);

	if (sample == NULL)
		return NULL;
	memcpy(sample->node_id, node_id, UUID_BYTES);
	sample->timestamp_ms = timestamp_ms;
	sample->figures_bytes = figures_bytes;
	if (figures_bytes > 0)
		memcpy(sample->figures, figures, figures_bytes);
	return sample;
}

/* Takes the sample when it returns true. */
static bool
note_latest(struct samples *samples, struct sample *sample, int64_t now_ms)
{
	struct samples_node *node = idtable_find(&samples->by_node, sample->node_id);

	if (node != NULL) {
		TAILQ_REMOVE(&samples->by_silence, node, by_silence);
	} else {
		if (samples->by_node.count >= SAMPLES_NODES_MAX)
			forget(samples, TAILQ_FIRST(&samples->by_silence));
		node = calloc(1, sizeof(*node));
		if (node == NULL)
			return false;
		memcpy(node->node_id, sample->node_id, UUID_BYTES);
		(void)idtable_add(&samples->by_node, node);
	}
	free(node->latest);
	node->latest = sample;
	node->accepted_ms = now_ms;
	TAILQ_INSERT_TAIL(&samples->by_silence, node, by_silence);
	return true;
}

static void
drop_first(struct samples *samples)
{
	struct sample *first = STAILQ_FIRST(&samples->pending);

	STAILQ_REMOVE_HEAD(&samples->pending, pending);
	samples->pending_n--;
	samples->dropped++;
	free(first);
}

int
samples_put(struct samples *samples, const uint8_t node_id[UUID_BYTES], int64_t timestamp_ms,
	    const void *figures, size_t figures_bytes, int64_t now_ms)
{
	struct sample *latest = make_sample(node_id, timestamp_ms, figures, figures_bytes);
	struct sample *pending = make_sample(node_id, timestamp_ms, figures, figures_bytes);

	if (latest == NULL || pending == NULL || !note_latest(samples, latest, now_ms)) {
		free(latest);
		free(pending);
		return -ENOMEM;
	}
	if (samples->pending_n >= SAMPLES_PENDING_MAX)
		drop_first(samples);
	STAILQ_INSERT_TAIL(&samples->pending, pending, pending);
	samples->pending_n++;
	return 0;
}

size_t
samples_take(struct samples *samples, struct sample **ret, size_t max)
{
	size_t n = 0;

	while (n < max && !STAILQ_EMPTY(&samples->pending)) {
		ret[n++] = STAILQ_FIRST(&samples->pending);
		STAILQ_REMOVE_HEAD(&samples->pending, pending);
		samples->pending_n--;
	}
	return n;
}

void
samples_put_back(struct samples *samples, struct sample **taken, size_t n)
{
	while (n-- > 0) {
		STAILQ_INSERT_HEAD(&samples->pending, taken[n], pending);
		samples->pending_n++;
	}
	while (samples->pending_n > SAMPLES_PENDING_MAX)
		drop_first(samples);
}
