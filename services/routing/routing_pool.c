/* routing_pool: see the header. */
#include "routing/routing_pool.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE_BYTES = 2 * 1024 * 1024 };

static size_t
bandwidth_class(double mbits)
{
	int exponent;

	if (!(mbits >= 1))
		return 0;
	(void)frexp(mbits, &exponent); /* 1 is 0.5 * 2^1 */
	return exponent < POOL_BANDWIDTHS ? (size_t)exponent : POOL_BANDWIDTHS - 1;
}

struct pool_place
pool_place_of(double mbits, uint32_t weight)
{
	struct pool_place place = { .bandwidth = (uint8_t)bandwidth_class(mbits) };

	place.weight = weight == 0 ? 1 : weight > POOL_WEIGHT_MAX ? POOL_WEIGHT_MAX : weight;
	place.weight_class = (uint8_t)(31 - __builtin_clz(place.weight));
	return place;
}

void
pool_fini(struct pool *pool)
{
	for (size_t i = 0; i < POOL_BANDWIDTHS; i++) {
		if (pool->rows[i] == NULL)
			continue;
		for (size_t j = 0; j < POOL_WEIGHTS; j++)
			free(pool->rows[i]->buckets[j].entries);
		free(pool->rows[i]);
		pool->rows[i] = NULL;
	}
}

void
pool_know(struct pool *pool, double mbits)
{
	size_t at = bandwidth_class(mbits);

	pool->known++;
	if (pool->known_of[at]++ == 0 || mbits > pool->known_max_mbits[at])
		pool->known_max_mbits[at] = mbits;
}

void
pool_forget(struct pool *pool, double mbits)
{
	pool->known--;
	pool->known_of[bandwidth_class(mbits)]--;
}

bool
pool_knows(const struct pool *pool, double min_mbits)
{
	size_t first = bandwidth_class(min_mbits);

	for (size_t i = first; i < POOL_BANDWIDTHS; i++)
		if (pool->known_of[i] > 0 && pool->known_max_mbits[i] >= min_mbits)
			return true;
	return false;
}

/* What is large is looked at anywhere, at random: in small pages most of the time goes into finding
 * them. */
static void
ask_for_huge_pages(void *bytes, size_t n)
{
	uintptr_t from =
		((uintptr_t)bytes + HUGE_PAGE_BYTES - 1) & ~(uintptr_t)(HUGE_PAGE_BYTES - 1);
	uintptr_t to = ((uintptr_t)bytes + n) & ~(uintptr_t)(HUGE_PAGE_BYTES - 1);

	if (to > from)
		(void)madvise((void *)from, to - from, MADV_HUGEPAGE);
}

static int
reserve(struct pool_bucket *bucket)
{
	size_t capacity = bucket->capacity == 0 ? 4 : bucket->capacity * 2;
	struct pool_entry *entries;

	if (bucket->count < bucket->capacity)
		return 0;
	entries = reallocarray(bucket->entries, capacity, sizeof(*entries));
	if (entries == NULL)
		return -ENOMEM;
	ask_for_huge_pages(entries, capacity * sizeof(*entries));
	bucket->entries = entries;
	bucket->capacity = capacity;
	return 0;
}

int
pool_add(struct pool *pool, struct table_node *node, const struct pool_place *place, double mbits,
	 size_t *ret_position)
{
	struct pool_row *row = pool->rows[place->bandwidth];
	struct pool_bucket *bucket;

	if (row == NULL)
		row = pool->rows[place->bandwidth] = calloc(1, sizeof(*row));
	if (row == NULL)
		return -ENOMEM;
	bucket = &row->buckets[place->weight_class];
	if (reserve(bucket) != 0)
		return -ENOMEM;
	if (bucket->count == 0 || mbits > bucket->max_mbits)
		bucket->max_mbits = mbits;
	if (bucket->count == 0 || place->weight > bucket->max_weight)
		bucket->max_weight = place->weight;
	*ret_position = bucket->count;
	bucket->entries[bucket->count++] = (struct pool_entry){ node, place->weight };
	row->weights[place->weight_class] += place->weight;
	pool->count++;
	return 0;
}

struct table_node *
pool_remove(struct pool *pool, const struct pool_place *place, size_t position)
{
	struct pool_row *row = pool->rows[place->bandwidth];
	struct pool_bucket *bucket = &row->buckets[place->weight_class];

	row->weights[place->weight_class] -= bucket->entries[position].weight;
	bucket->entries[position] = bucket->entries[--bucket->count];
	pool->count--;
	return position < bucket->count ? bucket->entries[position].node : NULL;
}

/* ---- to draw ---- */

static bool
is_open(const struct pool_draw *draw, const struct pool_bucket *bucket)
{
	return bucket->count > 0 && bucket->max_mbits >= draw->min_mbits;
}

void
pool_draw_init(struct pool_draw *draw, const struct pool *pool, double min_mbits)
{
	draw->pool = pool;
	draw->first_row = bandwidth_class(min_mbits);
	draw->min_mbits = min_mbits;
	draw->weight = 0;
	draw->count = 0;
	for (size_t i = draw->first_row; i < POOL_BANDWIDTHS; i++) {
		const struct pool_row *row = pool->rows[i];

		for (size_t j = 0; row != NULL && j < POOL_WEIGHTS; j++) {
			if (row->weights[j] == 0 || !is_open(draw, &row->buckets[j]))
				continue;
			draw->weight += row->weights[j];
			draw->open[draw->count++] =
				(struct pool_open){ &row->buckets[j], draw->weight };
		}
	}
}

/* random of 2^64 as a share of n, rounded down. */
static uint64_t
share_of(uint64_t random, uint64_t n)
{
	return (uint64_t)((unsigned __int128)random * n >> 64);
}

/* The first whose weight, with all before it, is above this. */
static const struct pool_bucket *
bucket_at(const struct pool_draw *draw, uint64_t weight)
{
	size_t low = 0, high = draw->count - 1;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (weight < draw->open[middle].weight)
			high = middle;
		else
			low = middle + 1;
	}
	return draw->open[low].bucket;
}

struct pool_drawn
pool_draw(const struct pool_draw *draw, uint64_t random)
{
	const struct pool_bucket *bucket = bucket_at(draw, share_of(random, draw->weight));
	/* The low bits, which the share has hardly used, say where in the bucket. */
	struct pool_drawn drawn = { bucket, share_of(random * UINT64_C(0x9e3779b97f4a7c15),
						     bucket->count) };

	__builtin_prefetch(&bucket->entries[drawn.position]);
	return drawn;
}

/* Within a bucket the heaviest weighs less than twice the lightest: more than half stay. */
struct table_node *
pool_drawn_node(const struct pool_drawn *drawn, uint64_t random)
{
	const struct pool_bucket *bucket = drawn->bucket;
	const struct pool_entry *entry;

	if (drawn->position >= bucket->count)
		return NULL;
	entry = &bucket->entries[drawn->position];
	return share_of(random, bucket->max_weight) < entry->weight ? entry->node : NULL;
}

bool
pool_look(const struct pool_draw *draw, uint64_t random, size_t limit, pool_look_fn fn, void *arg)
{
	const size_t rows = POOL_BANDWIDTHS - draw->first_row, buckets = rows * POOL_WEIGHTS;
	size_t first = (size_t)share_of(random, buckets), looked = 0;

	for (size_t i = 0; i < buckets; i++) {
		size_t at = (first + i) % buckets;
		const struct pool_row *row = draw->pool->rows[draw->first_row + at / POOL_WEIGHTS];
		const struct pool_bucket *bucket;
		size_t start;

		if (row == NULL || !is_open(draw, &row->buckets[at % POOL_WEIGHTS]))
			continue;
		bucket = &row->buckets[at % POOL_WEIGHTS];
		start = (size_t)share_of(random * UINT64_C(0x9e3779b97f4a7c15), bucket->count);
		for (size_t j = 0; j < bucket->count; j++) {
			if (looked++ == limit)
				return false;
			if (fn(bucket->entries[(start + j) % bucket->count].node, arg))
				return true;
		}
	}
	return false;
}
