/* routing_choice: whether a node fits a wish, and whether any ever could. */
#include "routing/routing_choice_inside.h"

#include <math.h>
#include <string.h>

/* What no waiting will change; its pool sees to country and region. */
bool
choice_is_suitable(const struct table_node *node, const struct routing_wish *wish)
{
	return node->bandwidth_mbits >= wish->min_bandwidth_mbits;
}

bool
choice_is_near_enough(const struct table_node *node, const struct routing_wish *wish)
{
	const struct table_leg *home = table_home_leg(node);

	return wish->max_latency_ms <= 0 || home == NULL ||
	       home->rtt_ms + choice_client_latency_ms(wish, home->relay) <= wish->max_latency_ms;
}

/* The same for a node that no pool was asked for. */
bool
choice_is_in_place(const struct table_node *node, const struct routing_wish *wish)
{
	if (wish->has_target && memcmp(node->id, wish->target, UUID_BYTES) != 0)
		return false;
	if (wish->country[0] != '\0' && strcmp(node->country, wish->country) != 0)
		return false;
	return wish->region[0] == '\0' || strcmp(node->region, wish->region) == 0;
}

bool
choice_has_failed(const struct table_node *node, const struct routing_wish *wish)
{
	return wish->has_failed && memcmp(node->id, wish->failed, UUID_BYTES) == 0;
}

bool
choice_keeps(const struct table_node *node, const struct routing_wish *wish)
{
	return table_node_is_attached(node) && !choice_has_failed(node, wish) &&
	       choice_is_in_place(node, wish) && choice_is_suitable(node, wish) &&
	       choice_is_near_enough(node, wish);
}

/* ---- what cannot be ---- */

/* No node is nearer than its relay. */
static bool
is_latency_possible(const struct table *table, const struct routing_wish *wish)
{
	bool any = false;

	for (size_t i = 0; i < table->relay_count; i++) {
		const struct table_relay *relay = table->relays[i];

		if (!relay->alive || !isfinite(relay->rtt_min_ms))
			continue;
		any = true;
		if (relay->rtt_min_ms + choice_client_latency_ms(wish, relay) <=
		    wish->max_latency_ms)
			return true;
	}
	return !any;
}

static bool
is_target_possible(const struct table *table, const struct routing_wish *wish)
{
	const struct table_node *node = table_find(table, wish->target);

	return node != NULL && node->known && choice_is_in_place(node, wish) &&
	       choice_is_suitable(node, wish) && choice_is_near_enough(node, wish);
}

static bool
is_fit(struct table_node *node, void *arg)
{
	const struct routing_wish *wish = arg;

	return choice_is_suitable(node, wish) && choice_is_near_enough(node, wish);
}

bool
choice_is_possible(struct table *table, const struct routing_wish *wish)
{
	const struct pool *pool = table_pool_of(table, wish);
	struct pool_draw draw;

	if (wish->has_target)
		return is_target_possible(table, wish);
	if (pool == NULL)
		return wish->country[0] == '\0' && wish->region[0] == '\0' &&
		       wish->min_bandwidth_mbits <= 0;
	if (wish->min_bandwidth_mbits > 0 && !pool_knows(pool, wish->min_bandwidth_mbits))
		return false;
	if (wish->max_latency_ms <= 0)
		return true;
	if (!is_latency_possible(table, wish))
		return false;
	/* A small pool, all of which could take a session, can be looked through. */
	if (pool->count < pool->known || pool->count > CHOICE_LOOKED_AT_MAX)
		return true;
	pool_draw_init(&draw, pool, wish->min_bandwidth_mbits);
	return pool_look(&draw, 0, CHOICE_LOOKED_AT_MAX, is_fit, (void *)(uintptr_t)wish);
}
