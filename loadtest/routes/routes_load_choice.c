/* routes_load: choices per second and their p99, without a filter and with each. */
#include "routes_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICES = 200 * 1000, TIMED = 100 * 1000 };

struct wish_case {
	const char *name;
	struct routing_wish wish;
};

/* All that routing does between the request and the question to the node. */
static bool
choose(struct table *table, const struct routing_wish *wish, struct load_dice *dice)
{
	const struct choice_random random = { load_random, dice };
	const struct table_relay *entries[CHOICE_ENTRIES_MAX];
	struct session_record record;
	const struct table_node *node = choice_pick(table, wish, NULL, 0, 1, &random);

	if (node == NULL || choice_entries(table, node, wish, true, entries) == 0)
		return false;
	choice_estimate(node, entries[0], wish, &record);
	return true;
}

static double
rate_of(struct table *table, const struct routing_wish *wish, struct load_dice *dice)
{
	double start_us = load_now_us();

	for (size_t i = 0; i < CHOICES; i++)
		if (!choose(table, wish, dice))
			load_fail("nobody was chosen");
	return CHOICES / (load_now_us() - start_us) * 1e6;
}

static double
p99_of(struct table *table, const struct routing_wish *wish, struct load_dice *dice,
       double *samples)
{
	for (size_t i = 0; i < TIMED; i++) {
		double start_us = load_now_us();

		(void)choose(table, wish, dice);
		samples[i] = load_now_us() - start_us;
	}
	return load_percentile(samples, TIMED, 99);
}

static void
measure(struct table *table, const struct wish_case *wish_case, size_t runs, double *samples)
{
	double rates[LOAD_RUNS_MAX], p99s[LOAD_RUNS_MAX];
	struct load_dice dice = { 7 };

	(void)rate_of(table, &wish_case->wish, &dice);
	for (size_t i = 0; i < runs; i++) {
		rates[i] = rate_of(table, &wish_case->wish, &dice);
		p99s[i] = p99_of(table, &wish_case->wish, &dice, samples);
	}
	printf("\"%s\":{", wish_case->name);
	load_print_runs("choices_per_sec", rates, runs);
	printf(",");
	load_print_runs("p99_us", p99s, runs);
	printf("}");
}

static void
measure_latencies(struct routing_wish *wish)
{
	wish->latency_count = LOAD_RELAYS;
	for (size_t i = 0; i < LOAD_RELAYS; i++) {
		strcpy(wish->latencies[i].relay_id, load_relay_name(i));
		wish->latencies[i].latency_ms = 10.0 * (double)(i + 1);
	}
}

void
load_choice(const struct load_setup *setup)
{
	struct wish_case cases[] = {
		{ "any", { 0 } },
		{ "country", { .country = "CA" } },
		{ "country_and_region", { .country = "CA", .region = "region-1" } },
		{ "bandwidth_500", { .min_bandwidth_mbits = 500 } },
		{ "latency_60", { .max_latency_ms = 60 } },
		{ "measured_relays", { 0 } },
		{ "all_of_these",
		  { .country = "CA", .min_bandwidth_mbits = 100, .max_latency_ms = 150 } },
	};
	double *samples = malloc(TIMED * sizeof(*samples));
	struct table *table = malloc(sizeof(*table));

	if (samples == NULL || table == NULL)
		load_fail("out of memory");
	measure_latencies(&cases[5].wish);
	measure_latencies(&cases[6].wish);
	load_table_fill(table, setup->nodes);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		printf("%s", i == 0 ? "" : ",");
		measure(table, &cases[i], setup->runs, samples);
	}
	table_fini(table);
	free(table);
	free(samples);
}
