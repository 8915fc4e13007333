/*
 * metrics_samples: the latest sample of each node that spoke to us, and a queue of those that are
 * not yet in the tables. Both have a cap; what was silent or waits longest goes. The model: no
 * I/O, no clock. One thread.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
	SAMPLES_NODES_MAX = 256 * 1024,
	SAMPLES_PENDING_MAX = 128 * 1024,
	SAMPLES_PERIOD_MIN_MS = 10 * 1000,
};

/* What a node said once; figures lie behind it, packed boson.metrics.Figures. */
struct sample {
	uint8_t node_id[UUID_BYTES];
	int64_t timestamp_ms; /* epoch, the node's own */
	STAILQ_ENTRY(sample) pending;
	size_t figures_bytes;
	uint8_t figures[];
};

struct samples_node {
	uint8_t node_id[UUID_BYTES];
	struct idtable_link by_node;
	int64_t accepted_ms;   /* monotonic */
	struct sample *latest; /* owned */
	TAILQ_ENTRY(samples_node) by_silence;
};

struct samples {
	struct idtable by_node;
	TAILQ_HEAD(, samples_node) by_silence; /* the longest silent first */
	STAILQ_HEAD(, sample) pending;
	size_t pending_n;
	uint64_t dropped; /* pending ones that had to make room */
};

int samples_init(struct samples *samples);
void samples_fini(struct samples *samples);

/* The latest that this process was told, or NULL. */
const struct sample *samples_find(const struct samples *samples, const uint8_t node_id[UUID_BYTES]);

/* May this node say something now? 0; -EBUSY and *ret_wait_ms when it spoke less than 10 s ago;
 * -ESTALE when the timestamp is not after its last one (T08). */
int samples_may_take(const struct samples *samples, const uint8_t node_id[UUID_BYTES],
		     int64_t timestamp_ms, int64_t now_ms, int64_t *ret_wait_ms);

/* It is the node's latest, and pending. The figures are copied. 0 or -ENOMEM. */
int samples_put(struct samples *samples, const uint8_t node_id[UUID_BYTES], int64_t timestamp_ms,
		const void *figures, size_t figures_bytes, int64_t now_ms);

/* Up to max pending ones, the first first; they are the caller's, to be freed, or put back in the
 * same order. */
size_t samples_take(struct samples *samples, struct sample **ret, size_t max);
void samples_put_back(struct samples *samples, struct sample **taken, size_t n);
