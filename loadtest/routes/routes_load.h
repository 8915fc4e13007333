/*
 * routes_load: what a choice costs in fleets of different sizes, how evenly sessions are spread,
 * and what a route costs over the bus, with a relay and a discovery that answer at once.
 */
#pragma once

#include "routing/routing_choice.h"

#include <stddef.h>
#include <stdint.h>

enum {
	LOAD_RELAYS = 8,
	LOAD_COUNTRIES = 30,
	LOAD_REGIONS = 4,
	LOAD_RUNS_MAX = 32,
	LOAD_ENDPOINT_BYTES = 160
};

struct load_setup {
	size_t nodes;
	size_t runs;
};

/* Ends the program: then there is no figure. */
_Noreturn void load_fail(const char *what);

/* ---- figures ---- */

double load_now_us(void);
/* Sorts samples. percent 0..100. */
double load_percentile(double *samples, size_t n, double percent);
/* {"name":{"median":..,"min":..,"max":..}}, without braces around it. */
void load_print_runs(const char *name, double *runs, size_t n);

/* ---- a fleet ---- */

/* The same numbers in every run. */
struct load_dice {
	uint64_t state;
};
uint64_t load_random(void *dice);

/* Facts of node `number`, made up the same way everywhere. */
struct load_node {
	char id[UUID_TEXT_BYTES];
	char country[3], region[16];
	uint32_t max_connections;
	double mbits, rtt_ms;
	size_t relay;
};
void load_node_make(size_t number, struct load_node *ret);
const char *load_relay_name(size_t relay);

/* The same as discovery says it; the message points into the rest. */
struct load_view {
	struct load_node facts;
	Boson__Discovery__Node node;
	Boson__Discovery__Capabilities capabilities;
	Boson__Common__Bandwidth bandwidth;
	Boson__Common__Location location;
};
void load_view_make(size_t number, struct load_view *ret);

void load_table_fill(struct table *table, size_t nodes);

/* ---- a routing, and all that it asks ---- */

void load_world_start(size_t nodes);
void load_world_stop(void);
void load_endpoint(const char *service, bool events, char ret[LOAD_ENDPOINT_BYTES]);

/* ---- what is measured; each prints one JSON object ---- */

void load_choice(const struct load_setup *setup);
void load_even(const struct load_setup *setup);
void load_bus(const struct load_setup *setup);
