/*
 * metrics_samples: the latest sample of each node. The model: no I/O, no clock. One thread.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"

#include <stdbool.h>
#include <stdint.h>

enum { SAMPLES_MAX = 256 * 1024, SAMPLES_PERIOD_MIN_MS = 10 * 1000 };

#define SAMPLES_NEVER INT64_MIN

struct sample {
	uint8_t node_id[UUID_BYTES];
	struct idtable_link by_node;
	int64_t timestamp_ms; /* epoch, the node's own */
	int64_t accepted_ms;  /* monotonic, or SAMPLES_NEVER */
	uint8_t *figures;     /* packed boson.metrics.Figures; owned */
	size_t figures_bytes;
	bool unsaved;
	struct sample *unsaved_next;
};

struct samples {
	struct idtable by_node;
	struct sample *unsaved;
};

int samples_init(struct samples *samples);
void samples_fini(struct samples *samples);
const struct sample *samples_find(const struct samples *samples, const uint8_t node_id[UUID_BYTES]);

/* May this node say something now? 0; -EBUSY and *ret_wait_ms when it spoke less than 10 s ago;
 * -ESTALE when the timestamp is not after its last one (T08). */
int samples_may_take(const struct samples *samples, const uint8_t node_id[UUID_BYTES],
		     int64_t timestamp_ms, int64_t now_ms, int64_t *ret_wait_ms);

/* Replaces the node's sample. now_ms SAMPLES_NEVER: read from the store, and not to be saved. The
 * figures are copied. 0, -ENOMEM, -ENOSPC. */
int samples_put(struct samples *samples, const uint8_t node_id[UUID_BYTES], int64_t timestamp_ms,
		const void *figures, size_t figures_bytes, int64_t now_ms);

/* The next to be saved, off the list by this call, or NULL. */
struct sample *samples_take_unsaved(struct samples *samples);
void samples_put_unsaved(struct samples *samples, struct sample *sample);
