/* routing_choice: filter, then two random choices. */
#include "routing/routing_choice.h"

#include <math.h>
#include <string.h>

/* What a node that did not say is taken to bear. */
#define CAPACITY_DEFAULT 16
/* A node with this many recent failures is asked only when there is no other. */
#define FAILURES_BAD 3.0
/* Latency at which a node is half as good. */
#define LATENCY_HALF_MS 100.0
/* What an unmeasured way counts as. */
#define LATENCY_UNKNOWN_MS 100.0
#define COST_FULL	   100.0
/* A draining relay comes after every other. */
#define DRAINING_MS 1e6

static double
client_latency_ms(const struct routing_wish *wish, const struct table_relay *relay)
{
	for (size_t i = 0; i < wish->latency_count; i++)
		if (strcmp(wish->latencies[i].relay_id, relay->id) == 0)
			return wish->latencies[i].latency_ms;
	return 0;
}

double
choice_latency_ms(const struct table_leg *leg, const struct routing_wish *wish)
{
	return leg->rtt_ms + client_latency_ms(wish, leg->relay);
}

double
choice_bandwidth_mbits(const struct table_node *node)
{
	double left = node->bandwidth_mbits - node->bandwidth_used_mbits;

	return left > 0 ? left : 0;
}

static uint32_t
used(const struct table_node *node)
{
	return node->sessions > node->active_connections ? node->sessions
							 : node->active_connections;
}

static double
free_share(const struct table_node *node)
{
	uint32_t capacity = node->max_connections > 0 ? node->max_connections : CAPACITY_DEFAULT;

	return used(node) >= capacity ? 0 : 1.0 - (double)used(node) / (double)capacity;
}

double
choice_failures(const struct table_node *node, int64_t now_ms)
{
	if (node->failures <= 0)
		return 0;
	return node->failures *
	       exp2(-(double)(now_ms - node->failures_at_ms) / (double)CHOICE_FAILURE_HALF_LIFE_MS);
}

void
choice_note_failure(struct table_node *node, int64_t now_ms)
{
	node->failures = choice_failures(node, now_ms) + 1;
	node->failures_at_ms = now_ms;
}

void
choice_note_full(struct table_node *node, int64_t now_ms)
{
	node->full_until_ms = now_ms + CHOICE_FULL_MS;
}

void
choice_note_success(struct table_node *node)
{
	node->failures = 0;
	node->full_until_ms = 0;
}

static bool
can_take(const struct table_node *node, int64_t now_ms)
{
	return node->pooled && free_share(node) > 0 && node->full_until_ms <= now_ms;
}

/* Sorts before another: alive and not draining, then the shorter way, the less loaded relay. */
static double
leg_rank(const struct table_leg *leg, const struct routing_wish *wish)
{
	double latency = choice_latency_ms(leg, wish);

	if (latency <= 0)
		latency = LATENCY_UNKNOWN_MS;
	return latency + COST_FULL * leg->relay->load + (leg->relay->draining ? DRAINING_MS : 0);
}

size_t
choice_legs(const struct table_node *node, const struct routing_wish *wish,
	    const struct table_leg *ret_legs[TABLE_LEGS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < node->leg_count; i++) {
		const struct table_leg *leg = &node->legs[i];
		size_t at = n;

		if (!leg->relay->alive)
			continue;
		for (; at > 0 && leg_rank(ret_legs[at - 1], wish) > leg_rank(leg, wish); at--)
			ret_legs[at] = ret_legs[at - 1];
		ret_legs[at] = leg;
		n++;
	}
	return n;
}

double
choice_cost(const struct table_node *node, const struct table_leg *leg,
	    const struct routing_wish *wish)
{
	return choice_latency_ms(leg, wish) + COST_FULL * (1.0 - free_share(node)) +
	       COST_FULL * leg->relay->load;
}

/* What no waiting will change. */
static bool
is_suitable(const struct table_node *node, const struct routing_wish *wish)
{
	if (wish->has_target && memcmp(node->id, wish->target, UUID_BYTES) != 0)
		return false;
	if (wish->country[0] != '\0' && strcmp(node->country, wish->country) != 0)
		return false;
	if (wish->region[0] != '\0' && strcmp(node->region, wish->region) != 0)
		return false;
	return node->bandwidth_mbits >= wish->min_bandwidth_mbits;
}

static bool
is_near_enough(const struct table_node *node, const struct routing_wish *wish)
{
	const struct table_leg *legs[TABLE_LEGS_MAX];

	if (wish->max_latency_ms <= 0)
		return true;
	return choice_legs(node, wish, legs) == 0 ||
	       choice_latency_ms(legs[0], wish) <= wish->max_latency_ms;
}

bool
choice_is_possible(const struct table *table, const struct routing_wish *wish)
{
	const struct table_node *node = NULL;

	if (wish->has_target) {
		node = table_find(table, wish->target);
		return node != NULL && node->known && is_suitable(node, wish) &&
		       is_near_enough(node, wish);
	}
	if (wish->country[0] == '\0' && wish->region[0] == '\0' && wish->min_bandwidth_mbits <= 0 &&
	    wish->max_latency_ms <= 0)
		return true;
	while ((node = idtable_next(&table->nodes, node)) != NULL)
		if (node->known && is_suitable(node, wish) && is_near_enough(node, wish))
			return true;
	return false;
}

bool
choice_keeps(const struct table_node *node, const struct routing_wish *wish)
{
	return node->pooled && is_suitable(node, wish) && is_near_enough(node, wish);
}

void
choice_estimate(const struct table *table, const struct table_node *node,
		const struct routing_wish *wish, struct session_record *ret)
{
	const struct table_leg *legs[TABLE_LEGS_MAX];

	(void)table;
	ret->bandwidth_mbits = choice_bandwidth_mbits(node);
	if (choice_legs(node, wish, legs) == 0)
		return;
	ret->latency_ms = choice_latency_ms(legs[0], wish);
	ret->cost = choice_cost(node, legs[0], wish);
}

struct draw {
	const struct routing_wish *wish;
	struct table_node *const *excluded;
	size_t excluded_count;
	int64_t now_ms;
	bool takes_failing;
};

static bool
is_eligible(const struct table_node *node, const struct draw *draw)
{
	for (size_t i = 0; i < draw->excluded_count; i++)
		if (draw->excluded[i] == node)
			return false;
	return can_take(node, draw->now_ms) && is_suitable(node, draw->wish) &&
	       is_near_enough(node, draw->wish) &&
	       choice_bandwidth_mbits(node) >= draw->wish->min_bandwidth_mbits &&
	       (draw->takes_failing || choice_failures(node, draw->now_ms) < FAILURES_BAD);
}

static double
score(const struct table_node *node, const struct draw *draw)
{
	const struct table_leg *legs[TABLE_LEGS_MAX];
	double latency = LATENCY_UNKNOWN_MS;

	if (choice_legs(node, draw->wish, legs) > 0 && choice_latency_ms(legs[0], draw->wish) > 0)
		latency = choice_latency_ms(legs[0], draw->wish);
	return free_share(node) / (1.0 + latency / LATENCY_HALF_MS) /
	       (1.0 + choice_failures(node, draw->now_ms));
}

static struct table_node *
better(struct table_node *a, struct table_node *b, const struct draw *draw)
{
	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	return score(b, draw) > score(a, draw) ? b : a;
}

static size_t
below(const struct choice_random *random, size_t n)
{
	return (size_t)(random->next(random->arg) % n);
}

static struct table_node *
pick_from(const struct table_pool_list *pool, const struct draw *draw,
	  const struct choice_random *random)
{
	struct table_node *found = NULL;
	size_t start, met = 0;

	for (int i = 0; i < CHOICE_DRAWS; i++) {
		struct table_node *node = pool->nodes[below(random, pool->count)];

		if (node == found || !is_eligible(node, draw))
			continue;
		if (found != NULL)
			return better(found, node, draw);
		found = node;
	}
	/* Few fit, or the pool is small: look at all, from a random place, until two are met. */
	start = below(random, pool->count);
	for (size_t i = 0; i < pool->count && met < 2; i++) {
		struct table_node *node = pool->nodes[(start + i) % pool->count];

		if (!is_eligible(node, draw))
			continue;
		found = better(found, node, draw);
		met++;
	}
	return found;
}

struct table_node *
choice_pick(const struct table *table, const struct routing_wish *wish,
	    struct table_node *const *excluded, size_t excluded_count, int64_t now_ms,
	    const struct choice_random *random)
{
	struct draw draw = { wish, excluded, excluded_count, now_ms, false };
	const struct table_pool_list *pool = table_pool_of(table, wish);
	struct table_node *node;

	if (wish->has_target) {
		node = table_find(table, wish->target);
		draw.takes_failing = true;
		return node != NULL && is_eligible(node, &draw) ? node : NULL;
	}
	if (pool == NULL)
		return NULL;
	node = pick_from(pool, &draw, random);
	if (node != NULL)
		return node;
	draw.takes_failing = true;
	return pick_from(pool, &draw, random);
}
