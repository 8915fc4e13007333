/*
 * T20: a relay that takes everything and answers nothing, as one that was stopped does, is left for
 * the next one. By itself, since half a minute has to pass: that is how long a leg waits for a
 * pong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg/leg_client.h"
#include "relay_stand_in.h"

#include <stdio.h>
#include <string.h>

enum { DEADLINE_MS = 60 * 1000 };

struct scene {
	struct loop *loop;
	struct leg_client *client;
	char stalled[64], good[64];
	bool was_up_at_stalled, is_late;
};

static void
on_state(enum leg_state state, int code, const char *reason, void *arg)
{
	struct scene *scene = arg;

	(void)code;
	(void)reason;
	if (state != LEG_UP)
		return;
	if (strcmp(leg_client_url(scene->client), scene->good) == 0)
		loop_stop(scene->loop);
	else
		scene->was_up_at_stalled = true;
}

static void
on_message(const uint8_t *message, size_t n, void *arg)
{
	(void)message;
	(void)n;
	(void)arg;
}

static void
on_batch_end(void *arg)
{
	(void)arg;
}

static void
on_deadline(struct loop *loop, void *arg)
{
	((struct scene *)arg)->is_late = true;
	loop_stop(loop);
}

static void
test_a_relay_that_answers_nothing_is_left_for_the_next_T20(void **state)
{
	static const struct leg_client_options options = { .ca_file = NULL };
	struct scene scene = { .is_late = false };
	const struct leg_client_events events = { .on_state = on_state,
						  .on_message = on_message,
						  .on_batch_end = on_batch_end,
						  .arg = &scene };
	const char *urls[] = { scene.stalled, scene.good, NULL };
	static struct stand_in relay;
	struct metrics *metrics;
	struct loop_timer *deadline;

	(void)state;
	assert_int_equal(loop_new(&scene.loop), 0);
	assert_int_equal(metrics_new("test", &metrics), 0);
	assert_int_equal(stand_in_start(&relay, 0, NULL, NULL), 0);
	snprintf(scene.stalled, sizeof scene.stalled, "ws://127.0.0.1:%u/stall", relay.port);
	snprintf(scene.good, sizeof scene.good, "ws://127.0.0.1:%u/echo", relay.port);
	assert_int_equal(leg_client_new(scene.loop, metrics, &options, &events, &scene.client), 0);
	assert_int_equal(leg_client_target(scene.client, urls, "the-ticket"), 0);
	assert_int_equal(
		loop_timer_start(scene.loop, DEADLINE_MS, 0, on_deadline, &scene, &deadline), 0);
	assert_int_equal(loop_run(scene.loop), 0);
	assert_false(scene.is_late);
	assert_true(scene.was_up_at_stalled);
	loop_timer_stop(&deadline);
	leg_client_free(&scene.client);
	stand_in_stop(&relay);
	metrics_free(&metrics);
	loop_free(&scene.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_relay_that_answers_nothing_is_left_for_the_next_T20),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
