/*
 * What the admin address says of actors that are stuck, unready or gone, without any thread.
 */
#include "service/service_health.h"

#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct actor relay = { .name = "relay", .product = "boson" };
static const struct actor turn = { .name = "turn", .product = "boson" };
static struct service_actor actors[2];
static struct service_health health;
static char *body;

static int
setup(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		actors[i].actor = i == 0 ? &relay : &turn;
		actors[i].has_thread = true;
		atomic_store(&actors[i].unready_reason, NULL);
		atomic_store(&actors[i].turned_at_ms, clock_monotonic_ms());
	}
	health = (struct service_health){ .actors = actors, .n = 2, .product = "boson" };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(body);
	body = NULL;
	return 0;
}

static void
assert_answer(int (*answer)(void *, char **, size_t *), int status, const char *expected)
{
	size_t n = 0;

	free(body);
	assert_int_equal(answer(&health, &body, &n), status);
	assert_string_equal(body, expected);
	assert_int_equal(n, strlen(expected));
}

static void
test_turning_and_ready_actors_are_ok(void **state)
{
	(void)state;
	assert_answer(service_health_live, 200, "{\"status\":\"ok\"}\n");
	assert_answer(service_health_ready, 200, "{\"status\":\"ok\"}\n");
}

static void
test_loop_that_has_not_turned_for_10_s_is_neither_live_nor_ready(void **state)
{
	(void)state;
	atomic_store(&actors[1].turned_at_ms, clock_monotonic_ms() - 10001);
	assert_answer(service_health_live, 503,
		      "{\"status\":\"unavailable\",\"reasons\":[\"turn: its loop does not "
		      "turn\"]}\n");
	assert_answer(service_health_ready, 503,
		      "{\"status\":\"unavailable\",\"reasons\":[\"turn: its loop does not "
		      "turn\"]}\n");
}

static void
test_actor_that_has_not_begun_or_has_ended_is_not_stuck(void **state)
{
	(void)state;
	atomic_store(&actors[0].turned_at_ms, 0);
	atomic_store(&actors[1].turned_at_ms, clock_monotonic_ms() - 60000);
	actors[1].has_thread = false;
	assert_answer(service_health_live, 200, "{\"status\":\"ok\"}\n");
}

static void
test_every_reason_is_told(void **state)
{
	(void)state;
	health.unready_all = "starting";
	atomic_store(&actors[0].unready_reason, "no \"ticket\" key");
	assert_answer(service_health_ready, 503,
		      "{\"status\":\"unavailable\",\"reasons\":[\"boson: starting\",\"relay: no "
		      "\\\"ticket\\\" key\"]}\n");
	assert_answer(service_health_live, 200, "{\"status\":\"ok\"}\n");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_turning_and_ready_actors_are_ok),
		TEST(test_loop_that_has_not_turned_for_10_s_is_neither_live_nor_ready),
		TEST(test_actor_that_has_not_begun_or_has_ended_is_not_stuck),
		TEST(test_every_reason_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
