/*
 * metrics_text: writes registries in Prometheus' text exposition format 0.0.4.
 */
#include "log/text_file.h"
#include "metrics/metrics_figure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const TYPE_NAMES[] = { "counter", "gauge", "histogram" };

static void
write_help(FILE *out, const char *help)
{
	for (; *help; help++) {
		if (*help == '\n')
			fputs("\\n", out);
		else if (*help == '\\')
			fputs("\\\\", out);
		else
			fputc(*help, out);
	}
}

static void
write_head(FILE *out, const char *prefix, const struct metric *m)
{
	fprintf(out, "# HELP %s_%s ", prefix, m->name);
	write_help(out, m->help);
	fprintf(out, "\n# TYPE %s_%s %s\n", prefix, m->name, TYPE_NAMES[m->type]);
}

static void
write_histogram(FILE *out, const char *prefix, const struct metric *m)
{
	const char *labels = m->labels ? m->labels : "";
	const char *comma = m->labels ? "," : "";
	/* Read first: then no bucket can hold more than the count printed for all. */
	uint64_t count = metric_value(m);
	uint64_t below = 0;

	for (size_t i = 0; i < METRIC_BUCKETS; i++) {
		below += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
		fprintf(out, "%s_%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", prefix, m->name, labels,
			comma, (double)metric_bucket_us[i] / 1e6, below < count ? below : count);
	}
	fprintf(out, "%s_%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", prefix, m->name, labels, comma,
		count);
	const char *open = m->labels ? "{" : "";
	const char *close = m->labels ? "}" : "";
	uint64_t sum_us = atomic_load_explicit(&m->sum_us, memory_order_relaxed);
	fprintf(out, "%s_%s_sum%s%s%s %.6f\n", prefix, m->name, open, labels, close,
		(double)sum_us / 1e6);
	fprintf(out, "%s_%s_count%s%s%s %" PRIu64 "\n", prefix, m->name, open, labels, close,
		count);
}

static void
write_simple(FILE *out, const char *prefix, const struct metric *m)
{
	fprintf(out, "%s_%s", prefix, m->name);
	if (m->labels)
		fprintf(out, "{%s}", m->labels);
	if (m->type == METRIC_COUNTER)
		fprintf(out, " %" PRIu64 "\n", metric_value(m));
	else
		fprintf(out, " %.15g\n", metric_gauge_value(m));
}

static void
write_registry(FILE *out, struct metrics *metrics)
{
	const struct metric *before = NULL;

	pthread_mutex_lock(&metrics->mutex);
	for (const struct metric *m = metrics->first; m; before = m, m = m->next) {
		if (!before || strcmp(before->name, m->name) != 0)
			write_head(out, metrics->prefix, m);
		if (m->type == METRIC_HISTOGRAM)
			write_histogram(out, metrics->prefix, m);
		else
			write_simple(out, metrics->prefix, m);
	}
	pthread_mutex_unlock(&metrics->mutex);
}

int
metrics_write(struct metrics *const registries[], size_t n, char **ret_text, size_t *ret_bytes)
{
	struct text_file file;

	if (text_file_open(&file) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		write_registry(file.stream, registries[i]);
	return text_file_close(&file, ret_text, ret_bytes);
}
