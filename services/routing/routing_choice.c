/* routing_choice: filter, then two random choices. Estimates are in routing_estimate.c. */
#include "routing/routing_choice_inside.h"

#include <math.h>
#include <string.h>

/* A node with this many recent failures is asked only when there is no other. */
#define FAILURES_BAD 3.0
/* So is one that took so many sessions and answered none of them (T04). They fade, so that three in
 * a few minutes are too many. */
#define DEAF_BAD 2.5
/* So is one behind a relay with this much load. */
#define LOAD_BAD 0.95
/* Latency at which a node is half as good. */
#define LATENCY_HALF_MS 100.0

static double
faded(float count, int64_t age_ms, int64_t half_life_ms)
{
	return count <= 0 ? 0 : (double)count * exp2(-(double)age_ms / (double)half_life_ms);
}

double
choice_failures(const struct table_node *node, int64_t now_ms)
{
	return faded(node->failures, now_ms - node->failures_at_ms, CHOICE_FAILURE_HALF_LIFE_MS);
}

static double
deafness(const struct table_node *node, int64_t now_ms)
{
	return faded(node->deaf, now_ms - node->deaf_at_ms, CHOICE_DEAF_HALF_LIFE_MS);
}

bool
choice_note_deaf(struct table_node *node, int64_t now_ms)
{
	node->deaf = (float)(deafness(node, now_ms) + 1);
	node->deaf_at_ms = now_ms;
	return (double)node->deaf >= DEAF_BAD;
}

void
choice_note_heard(struct table_node *node)
{
	node->deaf /= 2;
}

void
choice_note_failure(struct table_node *node, int64_t now_ms)
{
	node->failures = (float)(choice_failures(node, now_ms) + 1);
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

/* What no waiting will change; its pool sees to country and region. */
static bool
is_suitable(const struct table_node *node, const struct routing_wish *wish)
{
	return node->bandwidth_mbits >= wish->min_bandwidth_mbits;
}

static bool
is_near_enough(const struct table_node *node, const struct routing_wish *wish)
{
	const struct table_leg *home = table_home_leg(node);

	return wish->max_latency_ms <= 0 || home == NULL ||
	       home->rtt_ms + choice_client_latency_ms(wish, home->relay) <= wish->max_latency_ms;
}

/* The same for a node that no pool was asked for. */
static bool
is_in_place(const struct table_node *node, const struct routing_wish *wish)
{
	if (wish->has_target && memcmp(node->id, wish->target, UUID_BYTES) != 0)
		return false;
	if (wish->country[0] != '\0' && strcmp(node->country, wish->country) != 0)
		return false;
	return wish->region[0] == '\0' || strcmp(node->region, wish->region) == 0;
}

static bool
has_failed(const struct table_node *node, const struct routing_wish *wish)
{
	return wish->has_failed && memcmp(node->id, wish->failed, UUID_BYTES) == 0;
}

bool
choice_keeps(const struct table_node *node, const struct routing_wish *wish)
{
	return table_node_is_attached(node) && !has_failed(node, wish) && is_in_place(node, wish) &&
	       is_suitable(node, wish) && is_near_enough(node, wish);
}

/* ---- the choice ---- */

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

	return relay->draining || relay->load >= LOAD_BAD ||
	       choice_failures(node, draw->now_ms) >= FAILURES_BAD ||
	       deafness(node, draw->now_ms) >= DEAF_BAD;
}

static bool
is_eligible(const struct table_node *node, const struct draw *draw)
{
	for (size_t i = 0; i < draw->excluded_count; i++)
		if (draw->excluded[i] == node)
			return false;
	return node->pooled && node->full_until_ms <= draw->now_ms &&
	       !has_failed(node, draw->wish) && is_suitable(node, draw->wish) &&
	       is_near_enough(node, draw->wish) &&
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
	       (1.0 + latency / LATENCY_HALF_MS) /
	       (1.0 + choice_failures(node, draw->now_ms) + deafness(node, draw->now_ms));
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
		return node != NULL && is_in_place(node, wish) && is_eligible(node, &draw) ? node
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

	return node != NULL && node->known && is_in_place(node, wish) && is_suitable(node, wish) &&
	       is_near_enough(node, wish);
}

static bool
is_fit(struct table_node *node, void *arg)
{
	const struct routing_wish *wish = arg;

	return is_suitable(node, wish) && is_near_enough(node, wish);
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
