/* routing_choice: two random choices, drawn ahead. Who fits is in routing_fit.c, who fails in
 * routing_trouble.c, estimates in routing_estimate.c. */
#include "routing/routing_choice_inside.h"

/* A node behind a relay with this much load is asked only when there is no other. */
#define LOAD_BAD 0.95
/* Latency at which a node is half as good. */
#define LATENCY_HALF_MS 100.0

struct draw {
	const struct routing_wish *wish;
	struct table_node *const *excluded;
	size_t excluded_count;
	int64_t now_ms;
	bool takes_bad; /* there is no other */
	struct table_node *found, *second;
};

static bool
is_bad(const struct table_node *node, const struct draw *draw)
{
	const struct table_relay *relay = table_home_leg(node)->relay;

	return relay->draining || relay->load >= LOAD_BAD || choice_is_failing(node, draw->now_ms);
}

static bool
is_eligible(const struct table_node *node, const struct draw *draw)
{
	for (size_t i = 0; i < draw->excluded_count; i++)
		if (draw->excluded[i] == node)
			return false;
	return node->pooled && node->full_until_ms <= draw->now_ms &&
	       !choice_has_failed(node, draw->wish) && choice_is_suitable(node, draw->wish) &&
	       choice_is_near_enough(node, draw->wish) &&
	       (draw->wish->min_bandwidth_mbits <= 0 ||
		node->bandwidth_mbits - node->bandwidth_used_mbits >=
			draw->wish->min_bandwidth_mbits) &&
	       (draw->takes_bad || !is_bad(node, draw));
}

static double
score(const struct table_node *node, const struct draw *draw)
{
	const struct table_leg *home = table_home_leg(node);
	double latency = home->rtt_ms + choice_client_latency_ms(draw->wish, home->relay);

	if (latency <= 0)
		latency = CHOICE_LATENCY_UNKNOWN_MS;
	return choice_free_share(node) * (1.0 - 0.5 * home->relay->load) /
	       (1.0 + latency / LATENCY_HALF_MS) / (1.0 + choice_troubles(node, draw->now_ms));
}

/* Two different ones are enough. */
static bool
meet(struct table_node *node, void *arg)
{
	struct draw *draw = arg;

	if (node == draw->found || !is_eligible(node, draw))
		return false;
	if (draw->found == NULL) {
		draw->found = node;
		return false;
	}
	draw->second = node;
	return true;
}

static struct table_node *
better(const struct draw *draw)
{
	if (draw->second == NULL)
		return draw->found;
	return score(draw->second, draw) > score(draw->found, draw) ? draw->second : draw->found;
}

static void
draw_later(struct pool_ahead *ahead, const struct pool_draw *place,
	   const struct choice_random *random)
{
	for (size_t i = 0; i < POOL_HAND; i++)
		ahead->later.places[i] = pool_draw(place, random->next(random->arg));
}

static void
fetch_nodes(const struct pool_hand *hand)
{
	for (size_t i = 0; i < POOL_HAND; i++) {
		const struct table_node *node = pool_drawn_node(&hand->places[i], 0);

		if (node == NULL)
			continue;
		__builtin_prefetch(node);
		__builtin_prefetch((const char *)node + TABLE_LINE_BYTES);
	}
}

/* In a large fleet the time goes into waiting for memory: so what is going to be looked at is drawn
 * two hands ahead, and comes while others are looked at. */
static struct pool_hand
next_hand(struct pool_ahead *ahead, const struct pool_draw *place,
	  const struct choice_random *random)
{
	struct pool_hand hand;

	if (!ahead->is_drawn || ahead->min_mbits != place->min_mbits) {
		draw_later(ahead, place, random);
		ahead->next = ahead->later;
		draw_later(ahead, place, random);
		ahead->min_mbits = place->min_mbits;
		ahead->is_drawn = true;
	}
	hand = ahead->next;
	ahead->next = ahead->later;
	fetch_nodes(&ahead->next);
	draw_later(ahead, place, random);
	return hand;
}

static bool
meet_hand(struct pool *pool, const struct pool_draw *place, struct draw *draw,
	  const struct choice_random *random)
{
	struct pool_hand hand = next_hand(&pool->ahead, place, random);

	for (size_t i = 0; i < POOL_HAND; i++) {
		struct table_node *node =
			pool_drawn_node(&hand.places[i], random->next(random->arg));

		if (node != NULL && meet(node, draw))
			return true;
	}
	return false;
}

static struct table_node *
pick_from(struct pool *pool, struct draw *draw, const struct choice_random *random)
{
	struct pool_draw place;

	draw->found = draw->second = NULL;
	pool_draw_init(&place, pool, draw->wish->min_bandwidth_mbits);
	if (place.weight == 0)
		return NULL;
	for (int i = 0; i < CHOICE_DRAWS / POOL_HAND; i++)
		if (meet_hand(pool, &place, draw, random))
			return better(draw);
	/* Few fit, or there are few: one after the other. */
	(void)pool_look(&place, random->next(random->arg), CHOICE_LOOKED_AT_MAX, meet, draw);
	return better(draw);
}

struct table_node *
choice_pick(struct table *table, const struct routing_wish *wish,
	    struct table_node *const *excluded, size_t excluded_count, int64_t now_ms,
	    const struct choice_random *random)
{
	struct draw draw = { .wish = wish,
			     .excluded = excluded,
			     .excluded_count = excluded_count,
			     .now_ms = now_ms };
	struct pool *pool = table_pool_of(table, wish);
	struct table_node *node;

	if (wish->has_target) {
		node = table_find(table, wish->target);
		draw.takes_bad = true;
		return node != NULL && choice_is_in_place(node, wish) && is_eligible(node, &draw)
			       ? node
			       : NULL;
	}
	if (pool == NULL)
		return NULL;
	node = pick_from(pool, &draw, random);
	if (node != NULL)
		return node;
	draw.takes_bad = true;
	return pick_from(pool, &draw, random);
}
