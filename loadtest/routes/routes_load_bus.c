/*
 * routes_load: RequestRoute over the bus; this program is routing's clients. Each request is of
 * another client: two commits each, shared by those that come together.
 */
#include "routes_load.h"

#include "bus/bus.h"
#include "metrics/metrics.h"
#include "routing.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	REQUESTS = 5000, /* of a run */
	WINDOW = 64,
	READY_TRIES = 600,
	TRY_MS = 100,
};

struct clients {
	struct loop *loop;
	struct bus_peer *peer;
	struct load_dice dice;
	double *samples;
	size_t wanted, asked, answered, failed;
};

struct one {
	struct clients *clients;
	double start_us;
};

static void ask(struct clients *clients);

static void
on_route(const Boson__Routing__RouteReply *reply, void *arg)
{
	struct one *one = arg;
	struct clients *clients = one->clients;

	if (reply == NULL)
		clients->failed++;
	clients->samples[clients->answered++] = load_now_us() - one->start_us;
	free(one);
	if (clients->answered == clients->wanted)
		loop_stop(clients->loop);
	else if (clients->asked < clients->wanted)
		ask(clients);
}

static void
ask(struct clients *clients)
{
	Boson__Routing__RouteRequest request = BOSON__ROUTING__ROUTE_REQUEST__INIT;
	Boson__Common__Caller caller = BOSON__COMMON__CALLER__INIT;
	char client_id[UUID_TEXT_BYTES], public_key[KEY_TEXT_BYTES];
	struct one *one = malloc(sizeof(*one));
	struct key key;

	if (one == NULL || uuid_generate_text(client_id) != 0)
		load_fail("no client");
	for (size_t i = 0; i < KEY_BYTES; i++)
		key.bytes[i] = (uint8_t)load_random(&clients->dice);
	key_format(&key, public_key);
	caller.has_role = 1;
	caller.role = BOSON__COMMON__CALLER__ROLE__CLIENT;
	caller.subject = (char *)(uintptr_t) "key:load";
	request.client_id = client_id;
	request.public_key = public_key;
	request.caller = &caller;
	*one = (struct one){ clients, load_now_us() };
	clients->asked++;
	bus_peer_next(clients->peer, 20 * 1000, NULL);
	boson__routing__routing__request_route(bus_peer_service(clients->peer), &request, on_route,
					       one);
}

/* Seconds. */
static double
run(struct clients *clients, size_t wanted, size_t window)
{
	double start_us = load_now_us();

	clients->wanted = wanted;
	clients->asked = clients->answered = clients->failed = 0;
	for (size_t i = 0; i < window && i < wanted; i++)
		ask(clients);
	(void)loop_run(clients->loop);
	return (load_now_us() - start_us) / 1e6;
}

/* Until routing has its snapshot and knows the legs. */
static void
warm_up(struct clients *clients)
{
	const struct timespec pause = { 0, TRY_MS * 1000 * 1000 };

	for (int i = 0; i < READY_TRIES; i++) {
		(void)run(clients, 1, 1);
		if (clients->failed == 0) {
			(void)run(clients, REQUESTS / 10, WINDOW);
			if (clients->failed == 0)
				return;
		}
		(void)nanosleep(&pause, NULL);
	}
	load_fail("routing does not get ready");
}

static void
measure(struct clients *clients, size_t runs)
{
	double rates[LOAD_RUNS_MAX], p50s[LOAD_RUNS_MAX], p99s[LOAD_RUNS_MAX];

	for (size_t i = 0; i < runs; i++) {
		rates[i] = REQUESTS / run(clients, REQUESTS, WINDOW);
		if (clients->failed > 0)
			load_fail("a route was not given");
		p50s[i] = load_percentile(clients->samples, REQUESTS, 50) / 1000;
		p99s[i] = load_percentile(clients->samples, REQUESTS, 99) / 1000;
	}
	printf("\"in_flight\":%d,", WINDOW);
	load_print_runs("routes_per_sec", rates, runs);
	printf(",");
	load_print_runs("p50_ms", p50s, runs);
	printf(",");
	load_print_runs("p99_ms", p99s, runs);
	for (size_t i = 0; i < runs; i++) {
		rates[i] = REQUESTS / 10 / run(clients, REQUESTS / 10, 1);
		p50s[i] = load_percentile(clients->samples, REQUESTS / 10, 50) / 1000;
	}
	printf(",");
	load_print_runs("alone_p50_ms", p50s, runs);
}

static void
ask_all(size_t runs)
{
	struct clients clients = { .dice = { (uint64_t)getpid() } };
	char endpoint[LOAD_ENDPOINT_BYTES];
	struct metrics *metrics;
	struct bus *bus;

	clients.samples = malloc(REQUESTS * sizeof(*clients.samples));
	load_endpoint("routing", false, endpoint);
	if (clients.samples == NULL || loop_new(&clients.loop) != 0 ||
	    metrics_new("clients", &metrics) != 0 ||
	    bus_new(clients.loop, metrics, "clients", NULL, &bus) != 0 ||
	    bus_peer_new(bus, endpoint, NULL, &boson__routing__routing__descriptor,
			 &clients.peer) != 0)
		load_fail("no clients");
	warm_up(&clients);
	measure(&clients, runs);
	bus_free(&bus);
	metrics_free(&metrics);
	loop_free(&clients.loop);
	free(clients.samples);
}

void
load_bus(const struct load_setup *setup)
{
	load_world_start(setup->nodes);
	ask_all(setup->runs);
	load_world_stop();
}
