/*
 * bus_fixture: what the contract tests of the bus stand on. The server is an actor on a thread of
 * its own; the client is the test's thread, which runs its loop until what it waits for is there.
 * Every test of a group runs over the transport of the group.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/bus.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

enum { FIXTURE_PATIENCE_MS = 20 * 1000, FIXTURE_KEY_BYTES = 41 };

enum fixture_transport { FIXTURE_INPROC, FIXTURE_IPC, FIXTURE_TCP };

/* Key pairs, Z85. */
struct fixture_keys {
	char public_key[FIXTURE_KEY_BYTES], secret_key[FIXTURE_KEY_BYTES];
};

void fixture_keys_make(struct fixture_keys *keys);

/* An actor on its own thread. */
struct fixture_actor {
	pthread_t thread;
	sem_t ready;
	struct loop *loop;
	struct metrics *metrics;
	struct bus *bus;
	const struct bus_security *security;
	void (*start)(struct fixture_actor *actor); /* on the thread; binds */
	void (*stop)(struct fixture_actor *actor);  /* on the thread, before bus_free; or NULL */
	void *arg;
};

void fixture_actor_start(struct fixture_actor *actor);
void fixture_actor_stop(struct fixture_actor *actor);

/* Runs fn(loop, arg) on the actor's thread and waits until it has. */
void fixture_actor_do(struct fixture_actor *actor, loop_fn fn, void *arg);

/* The client's side, on the test's thread. */
struct fixture {
	enum fixture_transport transport;
	char folder[64];
	char endpoint[128], events_endpoint[128]; /* for the server: tcp has its port once bound */
	struct fixture_keys server_keys, client_keys;
	const char *allowed_keys[3], *allowed_names[3];
	struct bus_security server_security, client_security;
	struct loop *loop;
	struct metrics *metrics;
	struct bus *bus;
};

/* Runs a group of tests, an array, over each transport from first to last; how many failed. */
#define fixture_run(first, last, tests) \
	fixture_run_group(first, last, tests, sizeof(tests) / sizeof((tests)[0]))
int fixture_run_group(enum fixture_transport first, enum fixture_transport last,
		      const struct CMUnitTest *tests, size_t n);
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Only over tcp is there a key. */
const char *fixture_server_key(const struct fixture *f);

/* Runs the loop until the condition holds; fails the test when it does not within the patience.
 * Whatever may change the condition calls loop_stop. */
void fixture_run_until(struct fixture *f, bool (*is_there)(void *arg), void *arg);

/* Lets both sides have their turns: returns after a ping that peer answered, or not. */
bool fixture_ping(struct fixture *f, struct bus_peer *peer, uint32_t timeout_ms);

/* A counter's value, read from the text that the admin thread would print; 0 when absent. line
 * without the prefix: `bus_drops_total{reason="parts"}`. */
uint64_t fixture_metric(struct metrics *metrics, const char *line);
