/*
 * metrics_figures: the figures of a sample as an array, so that rollups treat all alike, and back.
 * The model: no I/O, no clock.
 */
#pragma once

#include "metrics.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

/* These numbers stand in the tables: add at the end, never renumber. */
enum metrics_figure {
	METRICS_LATENCY,
	METRICS_JITTER,
	METRICS_PACKET_LOSS,
	METRICS_BANDWIDTH_UP,
	METRICS_BANDWIDTH_DOWN,
	METRICS_CPU_USAGE,
	METRICS_MEMORY_USAGE,
	METRICS_DISK_USAGE,
	METRICS_LOAD_AVERAGE, /* of one minute */
	METRICS_PACKETS_SENT,
	METRICS_PACKETS_RECEIVED,
	METRICS_PACKET_ERRORS,
	METRICS_BYTES_SENT,
	METRICS_BYTES_RECEIVED,
	METRICS_CONNECTIONS_ACTIVE,
	METRICS_CONNECTIONS_TOTAL,
	METRICS_CONNECTIONS_FAILED,
	METRICS_FIGURES,
};

/* How Prometheus sees a figure. */
struct metrics_figure_info {
	const char *name; /* with its unit */
	const char *help;
	bool is_counter; /* only grows, until it starts anew */
};

extern const struct metrics_figure_info metrics_figure_info[METRICS_FIGURES];

struct metrics_values {
	double value[METRICS_FIGURES];
	bool has[METRICS_FIGURES];
};

void metrics_figures_read(const Boson__Metrics__Figures *figures, struct metrics_values *ret);

/* Each counter becomes its increase since the sample before: one that fell has started anew, and
 * counts from zero. before NULL, or without that counter: nothing is known, and it is taken out. */
void metrics_figures_increase(struct metrics_values *values, const struct metrics_values *before);

/* What a Figures made of values points into. */
struct metrics_shape {
	Boson__Metrics__Figures figures;
	Boson__Metrics__Network network;
	Boson__Common__Bandwidth bandwidth;
	Boson__Metrics__System system;
	double load_average;
	Boson__Metrics__Wireguard wireguard;
	Boson__Metrics__Packets packets;
	Boson__Metrics__Bytes bytes;
	Boson__Metrics__Connections connections;
};

/* ret->figures, without what is not there. */
void metrics_figures_write(const struct metrics_values *values, struct metrics_shape *ret);
