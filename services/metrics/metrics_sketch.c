/* metrics_sketch: bins of equal width on a logarithmic scale, those that hold anything. */
#include "metrics/metrics_sketch.h"

#include <math.h>
#include <string.h>

#define SMALLEST 1e-9

void
sketch_init(struct sketch *sketch)
{
	sketch->zeros = 0;
	sketch->n = 0;
}

/* The first bin that is not below index. */
static size_t
place(const struct sketch *sketch, int32_t index)
{
	size_t low = 0, high = sketch->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sketch->bins[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t
add(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* Makes room: the lowest bin goes into the next. */
static void
join_lowest(struct sketch *sketch)
{
	sketch->bins[1].count = add(sketch->bins[0].count, sketch->bins[1].count);
	sketch->n--;
	memmove(&sketch->bins[0], &sketch->bins[1], sketch->n * sizeof(sketch->bins[0]));
}

void
sketch_add_bin(struct sketch *sketch, int32_t index, uint32_t count)
{
	size_t at = place(sketch, index);

	if (at < sketch->n && sketch->bins[at].index == index) {
		sketch->bins[at].count = add(sketch->bins[at].count, count);
		return;
	}
	if (sketch->n == SKETCH_BINS_MAX) {
		if (at == 0) {
			sketch->bins[0].count = add(sketch->bins[0].count, count);
			return;
		}
		join_lowest(sketch);
		at--;
	}
	memmove(&sketch->bins[at + 1], &sketch->bins[at],
		(sketch->n - at) * sizeof(sketch->bins[0]));
	sketch->bins[at] = (struct sketch_bin){ index, count };
	sketch->n++;
}

void
sketch_add(struct sketch *sketch, double value)
{
	if (!(value >= SMALLEST))
		sketch->zeros++;
	else
		sketch_add_bin(sketch, (int32_t)ceil(log(value) / log(SKETCH_GAMMA)), 1);
}

void
sketch_merge(struct sketch *sketch, const struct sketch *other)
{
	sketch->zeros += other->zeros;
	for (size_t i = 0; i < other->n; i++)
		sketch_add_bin(sketch, other->bins[i].index, other->bins[i].count);
}

static double
middle_of(int32_t index)
{
	return 2 * pow(SKETCH_GAMMA, index) / (SKETCH_GAMMA + 1);
}

double
sketch_quantile(const struct sketch *sketch, double quantile)
{
	double count = (double)sketch->zeros, rank;

	for (size_t i = 0; i < sketch->n; i++)
		count += sketch->bins[i].count;
	rank = ceil(quantile * count);
	if (sketch->n == 0 || rank <= (double)sketch->zeros)
		return 0;
	count = (double)sketch->zeros;
	for (size_t i = 0; i < sketch->n; i++) {
		count += sketch->bins[i].count;
		if (count >= rank)
			return middle_of(sketch->bins[i].index);
	}
	return middle_of(sketch->bins[sketch->n - 1].index);
}
