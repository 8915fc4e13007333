/*
 * load_delays: see the header.
 */
#include "load_delays.h"

#include "load_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES_MAX = 64 * 1024 };

void
load_delays_begin(struct load_delays *delays)
{
	if (delays->us == NULL)
		delays->us = malloc(SAMPLES_MAX * sizeof(*delays->us));
	if (delays->us == NULL)
		load_die("out of memory");
	delays->n = 0;
	delays->slices = 0;
}

void
load_delays_add(struct load_delays *delays, uint32_t us)
{
	if (delays->n < SAMPLES_MAX)
		delays->us[delays->n++] = us;
}

void
load_delays_passed(struct load_delays *delays, int64_t us)
{
	while (delays->slices < LOAD_SLICES_MAX &&
	       us >= (int64_t)(delays->slices + 1) * LOAD_SLICE_US)
		delays->slice_ends[delays->slices++] = delays->n;
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t
percentile(uint32_t *of, size_t n, double part)
{
	qsort(of, n, sizeof(*of), compare);
	return n > 0 ? of[(size_t)((double)(n - 1) * part)] : 0;
}

/* Those of the slice, to where there is room for all. Returns how many. */
static size_t
gather(const struct load_delays *of, unsigned count, unsigned slice, uint32_t *to)
{
	size_t n = 0;

	for (; count > 0; count--, of++) {
		size_t begin = slice > 0 ? of->slice_ends[slice - 1] : 0;
		size_t part = of->slice_ends[slice] - begin;

		memcpy(to + n, of->us + begin, part * sizeof(*to));
		n += part;
	}
	return n;
}

void
load_delays_print(const char *name, const struct load_delays *of, unsigned count)
{
	uint32_t slices[LOAD_SLICES_MAX], *all = malloc(count * SAMPLES_MAX * sizeof(*all));
	size_t n = 0, used = 0;

	if (all == NULL)
		load_die("out of memory");
	for (unsigned i = 0; i < of->slices; i++)
		if ((n = gather(of, count, i, all)) > 0)
			slices[used++] = percentile(all, n, 0.99);
	n = 0;
	for (unsigned i = 0; i < count; i++) {
		memcpy(all + n, of[i].us, of[i].n * sizeof(*all));
		n += of[i].n;
	}
	printf("\"%s_p50_us\":%u,\"%s_p99_us\":%u,\"%s_slice_p99_us\":%u,", name,
	       percentile(all, n, 0.5), name, percentile(all, n, 0.99), name,
	       percentile(slices, used, 0.5));
	free(all);
}
