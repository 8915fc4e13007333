/*
 * bus_fixture: see bus_fixture.h.
 */
#include "bus_fixture.h"

#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
fixture_keys_make(struct fixture_keys *keys)
{
	assert_int_equal(zmq_curve_keypair(keys->public_key, keys->secret_key), 0);
}

/* ---- actors ---- */

static void *
actor_main(void *arg)
{
	struct fixture_actor *actor = arg;

	assert_int_equal(loop_new(&actor->loop), 0);
	assert_int_equal(metrics_new("test", &actor->metrics), 0);
	assert_int_equal(bus_new(actor->loop, actor->metrics, "echo", actor->security, &actor->bus),
			 0);
	actor->start(actor);
	sem_post(&actor->ready);
	loop_run(actor->loop);
	if (actor->stop)
		actor->stop(actor);
	bus_free(&actor->bus);
	loop_free(&actor->loop);
	metrics_free(&actor->metrics);
	return NULL;
}

static void
wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) != 0)
		continue;
}

void
fixture_actor_start(struct fixture_actor *actor)
{
	sem_init(&actor->ready, 0, 0);
	assert_int_equal(pthread_create(&actor->thread, NULL, actor_main, actor), 0);
	wait_for(&actor->ready);
}

void
fixture_actor_stop(struct fixture_actor *actor)
{
	if (!actor->loop) /* a test failed after it had stopped it */
		return;
	loop_stop(actor->loop);
	pthread_join(actor->thread, NULL);
	sem_destroy(&actor->ready);
}

struct errand {
	loop_fn fn;
	void *arg;
	sem_t done;
};

static void
run_errand(struct loop *loop, void *arg)
{
	struct errand *errand = arg;

	errand->fn(loop, errand->arg);
	sem_post(&errand->done);
}

void
fixture_actor_do(struct fixture_actor *actor, loop_fn fn, void *arg)
{
	struct errand errand = { .fn = fn, .arg = arg };

	sem_init(&errand.done, 0, 0);
	assert_int_equal(loop_post(actor->loop, run_errand, &errand), 0);
	wait_for(&errand.done);
	sem_destroy(&errand.done);
}

/* ---- the client's side ---- */

static enum fixture_transport transport_in_use;

int
fixture_run_group(enum fixture_transport first, enum fixture_transport last,
		  const struct CMUnitTest *tests, size_t n)
{
	static const char *const names[] = { "inproc", "ipc", "tcp" };
	int failed = 0;

	log_init("test", LOG_LEVEL_ERROR);
	for (int i = (int)first; i <= (int)last; i++) {
		transport_in_use = (enum fixture_transport)i;
		failed += _cmocka_run_group_tests(names[i], tests, n, NULL, NULL);
	}
	return failed;
}

static void
name_endpoints(struct fixture *f)
{
	static unsigned number;

	number++;
	strcpy(f->folder, "/tmp/bus-test-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	switch (f->transport) {
	case FIXTURE_INPROC:
		snprintf(f->endpoint, sizeof(f->endpoint), "inproc://echo-%u", number);
		snprintf(f->events_endpoint, sizeof(f->endpoint), "inproc://echo-%u-events",
			 number);
		break;
	case FIXTURE_IPC:
		snprintf(f->endpoint, sizeof(f->endpoint), "ipc://%s/run/echo", f->folder);
		snprintf(f->events_endpoint, sizeof(f->endpoint), "ipc://%s/run/events", f->folder);
		break;
	case FIXTURE_TCP:
		strcpy(f->endpoint, "tcp://127.0.0.1:*");
		strcpy(f->events_endpoint, "tcp://127.0.0.1:*");
		break;
	}
}

static void
make_keys(struct fixture *f)
{
	fixture_keys_make(&f->server_keys);
	fixture_keys_make(&f->client_keys);
	f->allowed_keys[0] = f->client_keys.public_key;
	f->allowed_names[0] = "gateway";
	f->server_security =
		(struct bus_security){ f->server_keys.public_key, f->server_keys.secret_key,
				       f->allowed_keys, f->allowed_names };
	f->client_security = (struct bus_security){ f->client_keys.public_key,
						    f->client_keys.secret_key, NULL, NULL };
}

int
fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->transport = transport_in_use;
	make_keys(f);
	name_endpoints(f);
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(metrics_new("test", &f->metrics), 0);
	assert_int_equal(bus_new(f->loop, f->metrics, "client", &f->client_security, &f->bus), 0);
	*state = f;
	return 0;
}

int
fixture_teardown(void **state)
{
	struct fixture *f = *state;
	char path[128];

	bus_free(&f->bus);
	loop_free(&f->loop);
	metrics_free(&f->metrics);
	snprintf(path, sizeof(path), "%s/run/echo", f->folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/run/events", f->folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/run", f->folder);
	rmdir(path);
	rmdir(f->folder);
	free(f);
	return 0;
}

const char *
fixture_server_key(const struct fixture *f)
{
	return f->transport == FIXTURE_TCP ? f->server_keys.public_key : NULL;
}

static void
out_of_patience(struct loop *loop, void *arg)
{
	*(bool *)arg = true;
	loop_stop(loop);
}

void
fixture_run_until(struct fixture *f, bool (*is_there)(void *arg), void *arg)
{
	struct loop_timer *guard = NULL;
	bool expired = false;

	assert_int_equal(loop_timer_start(f->loop, FIXTURE_PATIENCE_MS, 0, out_of_patience,
					  &expired, &guard),
			 0);
	while (!is_there(arg) && !expired)
		assert_int_equal(loop_run(f->loop), 0);
	if (expired)
		fail_msg("waited %d ms for what did not come", FIXTURE_PATIENCE_MS);
	loop_timer_stop(&guard);
}

struct ping {
	struct loop *loop;
	bool ended, alive;
};

static void
on_ping(bool alive, uint32_t round_trip_us, void *arg)
{
	struct ping *ping = arg;

	(void)round_trip_us;
	ping->ended = true;
	ping->alive = alive;
	loop_stop(ping->loop);
}

static bool
ping_ended(void *arg)
{
	return ((struct ping *)arg)->ended;
}

bool
fixture_ping(struct fixture *f, struct bus_peer *peer, uint32_t timeout_ms)
{
	struct ping ping = { .loop = f->loop };

	bus_peer_ping(peer, timeout_ms, on_ping, &ping);
	assert_false(ping.ended);
	fixture_run_until(f, ping_ended, &ping);
	return ping.alive;
}

uint64_t
fixture_metric(struct metrics *metrics, const char *line)
{
	struct metrics *all[] = { metrics };
	unsigned long long value = 0;
	char start[256];
	char *text = NULL;
	size_t n = 0;

	assert_int_equal(metrics_write(all, 1, &text, &n), 0);
	snprintf(start, sizeof(start), "\ntest_%s ", line);
	const char *at = strstr(text, start);
	if (at)
		value = strtoull(at + strlen(start), NULL, 10);
	free(text);
	return value;
}
