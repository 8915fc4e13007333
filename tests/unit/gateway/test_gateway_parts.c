/*
 * gateway_parts on a Redis of the program's own: what is said of the cache (F16). Who is told of it
 * is replaced by a link seam.
 */
#include "gateway/gateway_parts.h"
#include "loop/clock.h"

#include "../../servers/servers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { WAIT_MS = 20 * 1000, TICK_MS = 1 };

static struct servers servers;
static char url[SERVERS_URL_BYTES];
static struct loop *loop;
static struct cache *own;
static struct limits_shared *shared;
static struct gateway_parts *parts;

static struct {
	bool is_heard, is_alive, wanted;
	int64_t deadline_ms;
} said;

void __wrap_gateway_health_heard(struct gateway_health *health, enum gateway_part part, bool alive,
				 uint32_t round_trip_us);

void
__wrap_gateway_health_heard(struct gateway_health *health, enum gateway_part part, bool alive,
			    uint32_t round_trip_us)
{
	(void)health;
	(void)round_trip_us;
	assert_int_equal(part, PART_CACHE);
	said.is_heard = true;
	said.is_alive = alive;
}

static int
setup(void **state)
{
	(void)state;
	said.is_heard = false;
	return loop_new(&loop) < 0 || cache_open("memory:", 1, &own) < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	limits_shared_free(&shared);
	gateway_parts_free(&parts);
	cache_close(&own);
	loop_free(&loop);
	return 0;
}

static void
on_tick(struct loop *of, void *arg)
{
	(void)arg;
	if ((said.is_heard && said.is_alive == said.wanted) ||
	    clock_monotonic_ms() > said.deadline_ms)
		loop_stop(of);
}

/* Runs the loop until that is what is said of the cache. */
static void
await(bool wanted)
{
	struct loop_timer *timer = NULL;

	said.wanted = wanted;
	said.deadline_ms = clock_monotonic_ms() + WAIT_MS;
	assert_int_equal(loop_timer_start(loop, TICK_MS, TICK_MS, on_tick, NULL, &timer), 0);
	assert_int_equal(loop_run(loop), 0);
	loop_timer_stop(&timer);
	assert_true(said.is_heard);
	assert_int_equal(said.is_alive, wanted);
}

static void
test_own_memory_is_there_without_being_asked(void **state)
{
	(void)state;
	assert_int_equal(gateway_parts_new(loop, NULL, NULL, NULL, &parts), 0);
	assert_true(said.is_heard && said.is_alive);
}

static void
test_F16_redis_that_goes_and_comes_is_said_to(void **state)
{
	(void)state;
	assert_int_equal(limits_shared_new(loop, own, url, &shared), 0);
	assert_int_equal(gateway_parts_new(loop, NULL, shared, NULL, &parts), 0);
	assert_false(said.is_heard);
	await(true);
	servers_redis_kill(&servers);
	await(false);
	assert_int_equal(servers_redis_start(&servers), 0);
	await(true);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_own_memory_is_there_without_being_asked),
		TEST(test_F16_redis_that_goes_and_comes_is_said_to),
	};
	int result = servers_begin(&servers, SERVERS_REDIS);

	if (result != 0)
		return result;
	servers_redis_url(&servers, url);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	servers_fini(&servers);
	return result;
}
