/*
 * metrics_exposition: the fleet in Prometheus' text format. What is counted comes from the fleet's
 * rollup of all time, what is distributed from that of the last whole minute, so that every replica
 * says the same; relays come from their own reports. Labels are countries and relays, of which
 * there are few, and quantiles: never a node, a client or a session (T42, P26).
 */
#include "metrics/metrics_handlers.h"

#include "log/text_file.h"
#include "metrics/metrics_rollup.h"
#include "metrics/metrics_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RELAYS_MAX = 128, LABEL_BYTES = 64, MINUTE_MS = 60 * 1000 };

static const double quantiles[] = { 0.5, 0.95, 0.99 };

struct relays {
	struct metrics_relay shown[RELAYS_MAX];
	size_t n, all;
};

static void
note_relay(const struct metrics_relay *relay, void *arg)
{
	struct relays *relays = arg;

	relays->all++;
	if (relays->n < RELAYS_MAX)
		relays->shown[relays->n++] = *relay;
}

/* What could end a label's value, or a line, becomes an underscore. */
static void
write_label(const char *text, char ret[LABEL_BYTES])
{
	size_t n = strnlen(text, LABEL_BYTES - 1);

	for (size_t i = 0; i < n; i++)
		ret[i] = text[i] == '"' || text[i] == '\\' || (unsigned char)text[i] < 0x20
				 ? '_'
				 : text[i];
	ret[n] = '\0';
}

static void
write_relay_figure(FILE *out, const struct relays *relays, const char *name, const char *help,
		   double (*value)(const struct metrics_relay *relay))
{
	char id[LABEL_BYTES], region[LABEL_BYTES];

	(void)fprintf(out, "# HELP boson_fleet_relay_%s %s\n# TYPE boson_fleet_relay_%s gauge\n",
		      name, help, name);
	for (size_t i = 0; i < relays->n; i++) {
		write_label(relays->shown[i].id, id);
		write_label(relays->shown[i].region, region);
		(void)fprintf(out, "boson_fleet_relay_%s{relay=\"%s\",region=\"%s\"} %.10g\n", name,
			      id, region, value(&relays->shown[i]));
	}
}

static double
load_of(const struct metrics_relay *relay)
{
	return relay->load;
}

static double
legs_of(const struct metrics_relay *relay)
{
	return relay->legs;
}

static double
channels_of(const struct metrics_relay *relay)
{
	return relay->channels;
}

static void
write_relays(const struct metrics_service *metrics, FILE *out)
{
	struct relays relays = { .n = 0 };

	metrics_watch_each(metrics, note_relay, &relays);
	(void)fprintf(out,
		      "# HELP boson_fleet_relays Relays that are heard\n"
		      "# TYPE boson_fleet_relays gauge\nboson_fleet_relays %zu\n",
		      relays.all);
	write_relay_figure(out, &relays, "load", "How busy, 0 to 1", load_of);
	write_relay_figure(out, &relays, "legs", "Legs of nodes", legs_of);
	write_relay_figure(out, &relays, "channels", "Channels of clients", channels_of);
}

/* Absent until they were counted once. */
static void
write_nodes(const struct metrics_service *metrics, FILE *out)
{
	if (!metrics->has_counted)
		return;
	(void)fputs("# HELP boson_fleet_nodes Nodes that are registered\n"
		    "# TYPE boson_fleet_nodes gauge\n",
		    out);
	for (size_t i = 0; i < metrics->counted.n; i++)
		for (size_t k = 0; k < CENSUS_STATUSES; k++) {
			const struct census_country *country = &metrics->counted.countries[i];

			(void)fprintf(out, "boson_fleet_nodes{country=\"%s\",status=\"%s\"} %llu\n",
				      country->code, census_status_names[k],
				      (unsigned long long)country->nodes[k]);
		}
}

static void
write_samples(FILE *out, const struct rollup *ever, const struct rollup *minute)
{
	(void)fprintf(out,
		      "# HELP boson_fleet_samples_total Samples of nodes\n"
		      "# TYPE boson_fleet_samples_total counter\nboson_fleet_samples_total %llu\n"
		      "# HELP boson_fleet_samples_last_minute Samples in the last whole minute\n"
		      "# TYPE boson_fleet_samples_last_minute gauge\n"
		      "boson_fleet_samples_last_minute %llu\n",
		      (unsigned long long)rollup_count(ever),
		      (unsigned long long)rollup_count(minute));
}

static void
write_counter(FILE *out, const struct metrics_figure_info *info, const struct rollup_figure *figure)
{
	(void)fprintf(out,
		      "# HELP boson_fleet_%s %s\n# TYPE boson_fleet_%s counter\n"
		      "boson_fleet_%s %.17g\n",
		      info->name, info->help, info->name, info->name, figure->sum);
}

static void
write_distribution(FILE *out, const struct metrics_figure_info *info,
		   const struct rollup_figure *figure)
{
	(void)fprintf(out, "# HELP boson_fleet_%s %s\n# TYPE boson_fleet_%s gauge\n", info->name,
		      info->help, info->name);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		(void)fprintf(out, "boson_fleet_%s{quantile=\"%g\"} %.10g\n", info->name,
			      quantiles[i], rollup_quantile(figure, quantiles[i]));
	(void)fprintf(out, "boson_fleet_%s{quantile=\"mean\"} %.10g\n", info->name,
		      figure->sum / (double)figure->count);
}

/* A figure that nobody said is absent. */
static void
write_figures(FILE *out, const struct rollup *ever, const struct rollup *minute)
{
	for (size_t i = 0; i < METRICS_FIGURES; i++) {
		const struct metrics_figure_info *info = &metrics_figure_info[i];

		if (info->is_counter && ever->figures[i].count > 0)
			write_counter(out, info, &ever->figures[i]);
		else if (!info->is_counter && minute->figures[i].count > 0)
			write_distribution(out, info, &minute->figures[i]);
	}
}

int
metrics_exposition_write(struct metrics_service *metrics, int64_t now_wall_ms, char **ret)
{
	struct rollup *ever = &metrics->rollups[0], *minute = &metrics->rollups[1];
	int error = metrics->store == NULL ? -EIO : 0;
	struct text_file file;

	if (error == 0)
		error = metrics_store_fleet(metrics->store, METRICS_EVER, 0, ever);
	if (error == 0)
		error = metrics_store_fleet(metrics->store, METRICS_MINUTE, now_wall_ms - MINUTE_MS,
					    minute);
	if (error != 0)
		return error;
	if (text_file_open(&file) < 0)
		return -ENOMEM;
	write_nodes(metrics, file.stream);
	write_relays(metrics, file.stream);
	write_samples(file.stream, ever, minute);
	write_figures(file.stream, ever, minute);
	return text_file_close(&file, ret, NULL);
}
