/*
 * metrics_sketch: the distribution of a figure in a few bytes, from which a quantile can be read
 * and which can be added to another (DDSketch: Masson, Rim, Lee, 2019). A value v >= 1e-9 falls
 * into the bin ceil(log(v) / log(SKETCH_GAMMA)); what is smaller counts as zero.
 *
 * A quantile read from it is within 2 % of the value that holds that rank. When it would need more
 * than SKETCH_BINS_MAX bins (values that span more than four decades) the lowest are joined: then
 * that holds for ranks above those alone. The model: no I/O, no clock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SKETCH_BINS_MAX = 256 };

#define SKETCH_ERROR 0.02
#define SKETCH_GAMMA ((1 + SKETCH_ERROR) / (1 - SKETCH_ERROR))

struct sketch_bin {
	int32_t index;
	uint32_t count;
};

struct sketch {
	uint64_t zeros;
	size_t n;
	struct sketch_bin bins[SKETCH_BINS_MAX]; /* in order of index */
};

void sketch_init(struct sketch *sketch);
void sketch_add(struct sketch *sketch, double value);

/* Counts stop at their top. */
void sketch_add_bin(struct sketch *sketch, int32_t index, uint32_t count);
void sketch_merge(struct sketch *sketch, const struct sketch *other);

/* The value of rank ceil(quantile * count); quantile 0 to 1. 0 when the sketch is empty. */
double sketch_quantile(const struct sketch *sketch, double quantile);
