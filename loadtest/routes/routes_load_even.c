/*
 * routes_load: how evenly sessions are spread. Nodes are filled until half of what the fleet can
 * bear is taken; the share of a node is sessions / capacity. All shares alike: Jain's index is 1,
 * and so is max / mean. Beside it what one weighted random choice would give.
 */
#include "routes_load.h"

#include <stdio.h>
#include <stdlib.h>

struct evenness {
	double jain, max_over_mean;
};

static struct evenness
evenness_of(const struct table *table)
{
	double sum = 0, squares = 0, max = 0;
	const struct table_node *node = NULL;
	size_t n = 0;

	while ((node = idtable_next(&table->nodes, node)) != NULL) {
		double share = (double)node->sessions / (double)table_node_capacity(node);

		sum += share;
		squares += share * share;
		if (share > max)
			max = share;
		n++;
	}
	return (struct evenness){ sum * sum / ((double)n * squares), max * (double)n / sum };
}

static size_t
capacity_of(const struct table *table)
{
	const struct table_node *node = NULL;
	size_t capacity = 0;

	while ((node = idtable_next(&table->nodes, node)) != NULL)
		capacity += table_node_capacity(node);
	return capacity;
}

static struct table_node *
pick_one(struct table *table, const struct choice_random *random)
{
	const struct routing_wish any = { 0 };
	struct table_node *node = NULL;
	struct pool_draw draw;

	pool_draw_init(&draw, table_pool_of(table, &any), 0);
	while (node == NULL) {
		struct pool_drawn drawn = pool_draw(&draw, random->next(random->arg));

		node = pool_drawn_node(&drawn, random->next(random->arg));
	}
	return node;
}

static struct evenness
fill(size_t nodes, bool two_choices)
{
	const struct routing_wish any = { 0 };
	struct load_dice dice = { 11 };
	const struct choice_random random = { load_random, &dice };
	struct table *table = malloc(sizeof(*table));
	struct evenness evenness;
	size_t sessions;

	if (table == NULL)
		load_fail("out of memory");
	load_table_fill(table, nodes);
	/* The same distance and relay for all: only the shares are looked at. */
	for (struct table_node *node = NULL; (node = idtable_next(&table->nodes, node)) != NULL;)
		node->legs[0].rtt_ms = 20;
	for (size_t i = 0; i < table->relay_count; i++)
		table->relays[i]->load = 0;
	sessions = capacity_of(table) / 2;
	for (size_t i = 0; i < sessions; i++) {
		struct table_node *node = two_choices
						  ? choice_pick(table, &any, NULL, 0, 1, &random)
						  : pick_one(table, &random);

		if (node == NULL || table_sessions_add(table, node->id, 1) != 0)
			load_fail("nobody was chosen");
	}
	evenness = evenness_of(table);
	table_fini(table);
	free(table);
	return evenness;
}

void
load_even(const struct load_setup *setup)
{
	struct evenness two = fill(setup->nodes, true), one = fill(setup->nodes, false);

	printf("\"jain\":%.4f,\"max_over_mean\":%.3f,\"one_choice\":{\"jain\":%.4f,"
	       "\"max_over_mean\":%.3f}",
	       two.jain, two.max_over_mean, one.jain, one.max_over_mean);
}
