/* metrics_rollup: sums, extremes and sketches of all figures of an interval. */
#include "metrics/metrics_rollup.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define P95 0.95

void
rollup_init(struct rollup *rollup)
{
	for (size_t i = 0; i < METRICS_FIGURES; i++) {
		struct rollup_figure *figure = &rollup->figures[i];

		figure->count = 0;
		figure->sum = figure->min = figure->max = 0;
		sketch_init(&figure->sketch);
	}
}

static void
join(struct rollup_figure *figure, uint64_t count, double sum, double min, double max)
{
	figure->min = figure->count == 0 ? min : fmin(figure->min, min);
	figure->max = figure->count == 0 ? max : fmax(figure->max, max);
	figure->sum += sum;
	figure->count += count;
}

static void
add_value(struct rollup_figure *figure, double value)
{
	join(figure, 1, value, value, value);
	sketch_add(&figure->sketch, value);
}

void
rollup_add(struct rollup *rollup, const struct metrics_values *values)
{
	for (size_t i = 0; i < METRICS_FIGURES; i++)
		if (values->has[i])
			add_value(&rollup->figures[i], values->value[i]);
}

void
rollup_merge(struct rollup *rollup, const struct rollup *other)
{
	for (size_t i = 0; i < METRICS_FIGURES; i++) {
		const struct rollup_figure *figure = &other->figures[i];

		if (figure->count == 0)
			continue;
		join(&rollup->figures[i], figure->count, figure->sum, figure->min, figure->max);
		sketch_merge(&rollup->figures[i].sketch, &figure->sketch);
	}
}

uint64_t
rollup_count(const struct rollup *rollup)
{
	uint64_t count = 0;

	for (size_t i = 0; i < METRICS_FIGURES; i++)
		if (rollup->figures[i].count > count)
			count = rollup->figures[i].count;
	return count;
}

double
rollup_quantile(const struct rollup_figure *figure, double quantile)
{
	return figure->count == 0
		       ? 0
		       : fmin(fmax(sketch_quantile(&figure->sketch, quantile), figure->min),
			      figure->max);
}

static double
view_figure(const struct rollup_figure *figure, enum rollup_view view, bool is_counter)
{
	double mean = figure->sum / (double)figure->count;

	switch (view) {
	case ROLLUP_POINT:
		return is_counter ? figure->sum : mean;
	case ROLLUP_MIN:
		return figure->min;
	case ROLLUP_MEAN:
		return mean;
	case ROLLUP_MAX:
		return figure->max;
	case ROLLUP_P95:
		return rollup_quantile(figure, P95);
	}
	return 0;
}

void
rollup_view(const struct rollup *rollup, enum rollup_view view, struct metrics_values *ret)
{
	for (size_t i = 0; i < METRICS_FIGURES; i++) {
		const struct rollup_figure *figure = &rollup->figures[i];

		ret->has[i] = figure->count > 0;
		ret->value[i] =
			ret->has[i] ? view_figure(figure, view, metrics_figure_info[i].is_counter)
				    : 0;
	}
}

/* bins: room for two numbers a bin. */
static void
write_figure(const struct rollup_figure *figure, uint32_t *bins,
	     Boson__Metrics__Rollup__Figure *ret)
{
	const struct sketch *sketch = &figure->sketch;

	ret->has_sum = 1;
	ret->sum = figure->sum;
	if (figure->count == 1) /* all the rest follows from it */
		return;
	ret->has_count = ret->has_min = ret->has_max = 1;
	ret->count = figure->count;
	ret->min = figure->min;
	ret->max = figure->max;
	ret->has_zeros = sketch->zeros > 0;
	ret->zeros = sketch->zeros;
	ret->has_first_bin = sketch->n > 0;
	ret->first_bin = sketch->n > 0 ? sketch->bins[0].index : 0;
	ret->bins = bins;
	for (size_t i = 0; i < sketch->n; i++) {
		int32_t before = sketch->bins[i == 0 ? 0 : i - 1].index;

		bins[ret->n_bins++] = (uint32_t)(sketch->bins[i].index - before);
		bins[ret->n_bins++] = sketch->bins[i].count;
	}
}

int
rollup_pack(const struct rollup *rollup, void **ret, size_t *ret_n)
{
	Boson__Metrics__Rollup__Figure figures[METRICS_FIGURES], *pointers[METRICS_FIGURES];
	uint32_t(*bins)[2 * SKETCH_BINS_MAX] = malloc(METRICS_FIGURES * sizeof(*bins));
	Boson__Metrics__Rollup message = BOSON__METRICS__ROLLUP__INIT;

	if (bins == NULL)
		return -ENOMEM;
	message.figures = pointers;
	for (uint32_t i = 0; i < METRICS_FIGURES; i++) {
		Boson__Metrics__Rollup__Figure *figure = &figures[message.n_figures];

		if (rollup->figures[i].count == 0)
			continue;
		boson__metrics__rollup__figure__init(figure);
		figure->has_figure = 1;
		figure->figure = i;
		write_figure(&rollup->figures[i], bins[i], figure);
		pointers[message.n_figures++] = figure;
	}
	*ret_n = boson__metrics__rollup__get_packed_size(&message);
	*ret = malloc(*ret_n == 0 ? 1 : *ret_n);
	if (*ret != NULL)
		(void)boson__metrics__rollup__pack(&message, *ret);
	free(bins);
	return *ret == NULL ? -ENOMEM : 0;
}

/* A figure that later code knows is passed over. */
static bool
is_sound(const Boson__Metrics__Rollup__Figure *figure)
{
	if (!figure->has_figure || !figure->has_sum || !isfinite(figure->sum))
		return false;
	return !figure->has_count ||
	       (figure->count > 0 && isfinite(figure->min) && isfinite(figure->max) &&
		figure->n_bins % 2 == 0 && figure->n_bins <= 2 * (size_t)SKETCH_BINS_MAX);
}

static void
add_figure(struct rollup *rollup, const Boson__Metrics__Rollup__Figure *stored)
{
	struct rollup_figure *figure;
	int64_t index = stored->first_bin;

	if (stored->figure >= METRICS_FIGURES)
		return;
	figure = &rollup->figures[stored->figure];
	if (!stored->has_count) {
		add_value(figure, stored->sum);
		return;
	}
	join(figure, stored->count, stored->sum, stored->min, stored->max);
	figure->sketch.zeros += stored->zeros;
	for (size_t i = 0; i + 1 < stored->n_bins; i += 2) {
		index += stored->bins[i];
		if (index > INT32_MAX)
			return;
		sketch_add_bin(&figure->sketch, (int32_t)index, stored->bins[i + 1]);
	}
}

int
rollup_unpack_add(struct rollup *rollup, const void *bytes, size_t n)
{
	Boson__Metrics__Rollup *message = boson__metrics__rollup__unpack(NULL, n, bytes);
	bool sound = message != NULL;

	for (size_t i = 0; sound && i < message->n_figures; i++)
		sound = is_sound(message->figures[i]);
	for (size_t i = 0; sound && i < message->n_figures; i++)
		add_figure(rollup, message->figures[i]);
	if (message != NULL)
		boson__metrics__rollup__free_unpacked(message, NULL);
	return sound ? 0 : -EBADMSG;
}
