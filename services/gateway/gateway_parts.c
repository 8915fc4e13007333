/*
 * gateway_parts: asks database and cache; see the header.
 */
#include "gateway/gateway_parts.h"

#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>

enum { PERIOD_MS = 2000 };

struct gateway_parts {
	struct access_job job; /* the first member */
	struct access_thread *store;
	struct cache *cache;
	struct gateway_health *health;
	struct loop_timer *timer;
	int64_t asked_us;
	bool is_asked;
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
database_ask(struct store *store, struct access_job *job)
{
	(void)job;
	return store_query(store, "SELECT 1", NULL, 0, pass_over, NULL) < 0 ? -EIO : 0;
}

static void
database_said(struct access_job *job)
{
	struct gateway_parts *parts = (struct gateway_parts *)job;
	parts->is_asked = false;
	gateway_health_heard(parts->health, PART_DATABASE, job->result == 0,
			     (uint32_t)(clock_monotonic_us() - parts->asked_us));
}

static void
cache_ask(struct gateway_parts *parts)
{
	int64_t start_us = clock_monotonic_us();
	void *value = NULL;
	size_t n = 0;
	int r = parts->cache == NULL ? 0
				     : cache_get(parts->cache, "gateway:health",
						 clock_monotonic_ms(), &value, &n);
	free(value);
	gateway_health_heard(parts->health, PART_CACHE, r == 0 || r == -ENOENT,
			     (uint32_t)(clock_monotonic_us() - start_us));
}

static void
on_timer(struct loop *loop, void *arg)
{
	(void)loop;
	struct gateway_parts *parts = arg;
	cache_ask(parts);
	if (parts->store == NULL || parts->is_asked)
		return;
	parts->job = (struct access_job){ .run = database_ask, .done = database_said };
	parts->asked_us = clock_monotonic_us();
	parts->is_asked = access_thread_run(parts->store, &parts->job) == 0;
}

int
gateway_parts_new(struct loop *loop, struct access_thread *store, struct cache *cache,
		  struct gateway_health *health, struct gateway_parts **ret)
{
	struct gateway_parts *parts = calloc(1, sizeof(*parts));
	if (parts == NULL)
		return -ENOMEM;
	parts->store = store;
	parts->cache = cache;
	parts->health = health;
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
