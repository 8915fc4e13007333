/*
 * gateway_parts: asks database and cache; see the header.
 */
#include "gateway/gateway_parts.h"

#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>

enum { PERIOD_MS = 2000 };

/* One question, asked on the part's own thread. */
struct asking {
	struct side_job job; /* first */
	struct gateway_parts *parts;
	struct side_thread *thread;
	int64_t asked_us;
	bool is_asked;
};

struct gateway_parts {
	struct asking database, cache;
	struct cache *shared;
	struct gateway_health *health;
	struct loop_timer *timer;
};

static int
pass_over(const struct store_value *row, size_t columns, void *arg)
{
	(void)row;
	(void)columns;
	(void)arg;
	return 0;
}

static int
database_ask(struct store *store, struct side_job *job)
{
	(void)job;
	return store_query(store, "SELECT 1", NULL, 0, pass_over, NULL) < 0 ? -EIO : 0;
}

static int
cache_ask(struct store *store, struct side_job *job)
{
	(void)store;
	const struct asking *asking = (struct asking *)job;
	return cache_probe(asking->parts->shared);
}

static void
heard(struct side_job *job)
{
	struct asking *asking = (struct asking *)job;
	struct gateway_parts *parts = asking->parts;
	asking->is_asked = false;
	gateway_health_heard(parts->health, asking == &parts->database ? PART_DATABASE : PART_CACHE,
			     job->result == 0, (uint32_t)(clock_monotonic_us() - asking->asked_us));
}

static void
ask(struct asking *asking, side_job_fn run)
{
	if (asking->thread == NULL || asking->is_asked)
		return;
	asking->job = (struct side_job){ .run = run, .done = heard };
	asking->asked_us = clock_monotonic_us();
	asking->is_asked = side_thread_run(asking->thread, &asking->job) == 0;
}

static void
on_timer(struct loop *loop, void *arg)
{
	(void)loop;
	struct gateway_parts *parts = arg;
	ask(&parts->database, database_ask);
	ask(&parts->cache, cache_ask);
}

int
gateway_parts_new(struct loop *loop, struct side_thread *store, const struct limits_shared *shared,
		  struct gateway_health *health, struct gateway_parts **ret)
{
	struct gateway_parts *parts = calloc(1, sizeof(*parts));
	if (parts == NULL)
		return -ENOMEM;
	parts->health = health;
	parts->database = (struct asking){ .parts = parts, .thread = store };
	parts->cache.parts = parts;
	if (shared != NULL) {
		parts->shared = limits_shared_cache(shared);
		parts->cache.thread = limits_shared_thread(shared);
	} else {
		gateway_health_heard(health, PART_CACHE, true, 0); /* our own memory */
	}
	int r = loop_timer_start(loop, 0, PERIOD_MS, on_timer, parts, &parts->timer);
	if (r < 0) {
		free(parts);
		return r;
	}
	*ret = parts;
	return 0;
}

void
gateway_parts_free(struct gateway_parts **parts)
{
	if (*parts == NULL)
		return;
	loop_timer_stop(&(*parts)->timer);
	free(*parts);
	*parts = NULL;
}
