/*
 * gateway_limits_shared: one exchange at a time; what is to be told meanwhile is gathered, by key.
 * See the header.
 */
#include "gateway/gateway_limits_shared.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHARGES_MAX = 1024, /* keys in an exchange; what is more is counted here only */
	PLACES = 2048,	    /* a power of two */
	CACHE_ENTRIES = 1,  /* a shared cache has its own bounds */
	EXCHANGE_MAX_MS = 500,
};

struct charge {
	char key[LIMITS_KEY_BYTES];
	uint32_t per_minute, count;
	int64_t left; /* the answer */
};

struct charges {
	size_t n, answered_n;
	struct charge of[CHARGES_MAX];
};

struct limits_shared {
	struct side_job job; /* first: the exchange */
	struct loop *loop;
	struct side_thread *thread;
	struct cache *own;
	struct cache *cache;		 /* the side thread's */
	struct charges *told, *asked;	 /* being gathered; under way */
	uint16_t places[PLACES];	 /* by a key's hash: its place in told, from 1 */
	bool is_asking, is_due, is_away; /* due: an exchange begins with the end of this turn */
};

/* FNV-1a. Keys that meet cost an entry each, and nothing else. */
static uint16_t *
place_of(struct limits_shared *shared, const char *key)
{
	uint32_t hash = 0x811c9dc5u;
	for (; *key != '\0'; key++)
		hash = (hash ^ (unsigned char)*key) * 0x01000193u;
	return &shared->places[(hash ^ hash >> 16) & (PLACES - 1)];
}

static struct charge *
find_told(struct limits_shared *shared, const char *key)
{
	size_t place = *place_of(shared, key);
	struct charge *charge = place > 0 ? &shared->told->of[place - 1] : NULL;
	return charge != NULL && strcmp(charge->key, key) == 0 ? charge : NULL;
}

static void
gather(struct limits_shared *shared, const char *key, uint32_t per_minute, uint32_t count)
{
	struct charge *charge = find_told(shared, key);
	if (charge == NULL && shared->told->n < CHARGES_MAX) {
		charge = &shared->told->of[shared->told->n++];
		snprintf(charge->key, sizeof(charge->key), "%s", key);
		charge->per_minute = per_minute;
		charge->count = 0;
		*place_of(shared, key) = (uint16_t)shared->told->n;
	}
	if (charge != NULL)
		charge->count += count;
}

/* On the side thread. */
static int
exchange_run(struct store *store, struct side_job *job)
{
	(void)store;
	struct limits_shared *shared = (struct limits_shared *)job;
	struct charges *asked = shared->asked;
	int64_t now_ms = clock_monotonic_ms(), until_ms = now_ms + EXCHANGE_MAX_MS;
	int r = 0;
	/* One that answers, and slowly, must not keep the gateway from its end. */
	for (size_t i = 0; r == 0 && i < asked->n && now_ms < until_ms; i++) {
		struct charge *charge = &asked->of[i];
		r = cache_charge(shared->cache, charge->key, charge->per_minute, charge->per_minute,
				 charge->count, now_ms, &charge->left);
		asked->answered_n += r == 0;
		now_ms = clock_monotonic_ms();
	}
	return r;
}

/* No more is left here than is left for all, less what the answer does not know of yet. */
static void
settle(struct limits_shared *shared, const struct charge *charge, int64_t now_ms)
{
	const struct charge *since = find_told(shared, charge->key);
	int64_t left = charge->left - (since != NULL ? since->count : 0), own_left;
	uint32_t burst = charge->per_minute;
	if (cache_charge(shared->own, charge->key, burst, burst, 0, now_ms, &own_left) == 0 &&
	    own_left > left)
		(void)cache_charge(shared->own, charge->key, burst, burst,
				   (uint32_t)(own_left - left), now_ms, &own_left);
}

static void
note_result(struct limits_shared *shared, int result)
{
	bool is_away = result < 0;
	if (is_away && !shared->is_away)
		log_warn("limits_not_shared", "reason=%s", "the cache does not answer");
	else if (!is_away && shared->is_away)
		log_info("limits_shared_again", "answered=%zu", shared->asked->answered_n);
	shared->is_away = is_away;
}

static void exchange_soon(struct limits_shared *shared);

static void
exchange_done(struct side_job *job)
{
	struct limits_shared *shared = (struct limits_shared *)job;
	const struct charges *asked = shared->asked;
	int64_t now_ms = clock_monotonic_ms();
	shared->is_asking = false;
	if (shared->thread == NULL)
		return; /* we end */
	note_result(shared, job->result);
	for (size_t i = 0; i < asked->answered_n; i++)
		settle(shared, &asked->of[i], now_ms);
	/* What there was no time for comes with the next; what failed is ours alone to count. */
	for (size_t i = asked->answered_n; job->result == 0 && i < asked->n; i++)
		gather(shared, asked->of[i].key, asked->of[i].per_minute, asked->of[i].count);
	if (shared->told->n > 0)
		exchange_soon(shared);
}

static void
exchange(struct loop *loop, void *arg)
{
	(void)loop;
	struct limits_shared *shared = arg;
	struct charges *empty = shared->asked;
	shared->is_due = false;
	shared->asked = shared->told;
	shared->asked->answered_n = 0;
	shared->told = empty;
	shared->told->n = 0;
	memset(shared->places, 0, sizeof(shared->places));
	shared->job = (struct side_job){ .run = exchange_run, .done = exchange_done };
	shared->is_asking = side_thread_run(shared->thread, &shared->job) == 0;
}

/* All of one turn of the loop is told at once. */
static void
exchange_soon(struct limits_shared *shared)
{
	if (!shared->is_asking && !shared->is_due)
		shared->is_due = loop_defer(shared->loop, exchange, shared) == 0;
}

void
limits_shared_tell(struct limits_shared *shared, const char *key, uint32_t per_minute)
{
	gather(shared, key, per_minute, 1);
	exchange_soon(shared);
}

bool
limits_shared_is_settled(const struct limits_shared *shared)
{
	return !shared->is_asking && shared->told->n == 0;
}

struct side_thread *
limits_shared_thread(const struct limits_shared *shared)
{
	return shared->thread;
}

struct cache *
limits_shared_cache(const struct limits_shared *shared)
{
	return shared->cache;
}

int
limits_shared_new(struct loop *loop, struct cache *own, const char *url, struct limits_shared **ret)
{
	struct limits_shared *shared = calloc(1, sizeof(*shared));
	struct store *no_store = NULL;
	if (shared == NULL)
		return -ENOMEM;
	shared->loop = loop;
	shared->own = own;
	shared->told = calloc(1, sizeof(*shared->told));
	shared->asked = calloc(1, sizeof(*shared->asked));
	int r = shared->told == NULL || shared->asked == NULL ? -ENOMEM : 0;
	if (r == 0)
		r = cache_open(url, CACHE_ENTRIES, &shared->cache);
	if (r == 0)
		r = side_thread_new(loop, &no_store, &shared->thread);
	if (r < 0)
		limits_shared_free(&shared);
	*ret = shared;
	return r;
}

void
limits_shared_free(struct limits_shared **pointer)
{
	struct limits_shared *shared = *pointer;
	if (shared == NULL)
		return;
	struct side_thread *thread = shared->thread;
	shared->thread = NULL;
	side_thread_free(&thread);
	cache_close(&shared->cache);
	free(shared->told);
	free(shared->asked);
	free(shared);
	*pointer = NULL;
}
