/*
 * metrics_rollup: what was said of each figure within an interval: how often, the sum, the least,
 * the greatest, and a sketch of the distribution. Rollups add up: a day's is what its hours are.
 * The model: no I/O, no clock.
 */
#pragma once

#include "metrics/metrics_figures.h"
#include "metrics/metrics_sketch.h"

#include <stddef.h>
#include <stdint.h>

struct rollup_figure {
	uint64_t count;
	double sum, min, max;
	struct sketch sketch;
};

/* 35 KiB: not for the stack. */
struct rollup {
	struct rollup_figure figures[METRICS_FIGURES];
};

void rollup_init(struct rollup *rollup);
void rollup_add(struct rollup *rollup, const struct metrics_values *values);
void rollup_merge(struct rollup *rollup, const struct rollup *other);

/* Samples in it, as far as can be told: those of the figure that was said most often. */
uint64_t rollup_count(const struct rollup *rollup);

/* One value of each figure: what a point of the history shows (means, and increases of counters),
 * and what an aggregate shows. */
enum rollup_view { ROLLUP_POINT, ROLLUP_MIN, ROLLUP_MEAN, ROLLUP_MAX, ROLLUP_P95 };
void rollup_view(const struct rollup *rollup, enum rollup_view view, struct metrics_values *ret);

/* The value at that rank, kept between min and max; 0 when there is none. */
double rollup_quantile(const struct rollup_figure *figure, double quantile);

/* As the tables have it: boson.metrics.Rollup. *ret is malloc'd. 0 or -ENOMEM. */
int rollup_pack(const struct rollup *rollup, void **ret, size_t *ret_n);

/* Adds what a table has to rollup. 0, or -EBADMSG and nothing added. */
int rollup_unpack_add(struct rollup *rollup, const void *bytes, size_t n);
