/*
 * bus_bench_bus: the bus under test: an echo actor on a thread of its own, asked by generated
 * stubs.
 */
#include "bus_bench.h"

#include "bus/bus.h"
#include "echo.pb-c.h"
#include "loop/clock.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct server {
	const struct bench_setup *setup;
	struct loop *loop;
	sem_t ready;
	char endpoint[BENCH_ENDPOINT_BYTES]; /* as bound */
};

struct client {
	struct loop *loop;
	struct bus_peer *peer;
	Boson__Test__Words words;
	uint32_t asked, answered, wanted;
	int64_t asked_us;
	double *samples; /* of round trips; NULL in the throughput run */
};

static void
on_say(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
       Boson__Test__Words_Closure closure, void *closure_data)
{
	(void)service;
	closure(input, closure_data);
}

static void *
server_main(void *arg)
{
	struct server *server = arg;
	const struct bench_setup *setup = server->setup;
	const char *keys[] = { setup->client_public, NULL }, *names[] = { "client", NULL };
	struct bus_security security = { setup->server_public, setup->server_secret, keys, names };
	Boson__Test__Echo_Service service;
	struct metrics *metrics = NULL;
	struct bus *bus = NULL;

	memset(&service, 0, sizeof(service));
	boson__test__echo__init(&service, NULL);
	service.say = on_say;
	if (loop_new(&server->loop) < 0 || metrics_new("bench_server", &metrics) < 0 ||
	    bus_new(server->loop, metrics, "server",
		    setup->transport == BENCH_TCP_CURVE ? &security : NULL, &bus) < 0 ||
	    bus_serve(bus, setup->endpoint, &service.base, NULL) < 0)
		bench_fail("the bus cannot bind");
	snprintf(server->endpoint, sizeof(server->endpoint), "%s", bus_bound_endpoint(bus));
	sem_post(&server->ready);
	loop_run(server->loop);
	bus_free(&bus);
	metrics_free(&metrics);
	loop_free(&server->loop);
	return NULL;
}

static void ask(struct client *client);

static void
on_answer(const Boson__Test__Words *reply, void *arg)
{
	struct client *client = arg;

	if (!reply)
		bench_fail(bus_peer_result(client->peer)->code);
	if (client->samples)
		client->samples[client->answered] =
			(double)(clock_monotonic_us() - client->asked_us);
	client->answered++;
	if (client->answered == client->wanted)
		loop_stop(client->loop);
	else if (client->asked < client->wanted)
		ask(client);
}

static void
ask(struct client *client)
{
	client->asked++;
	if (client->samples)
		client->asked_us = clock_monotonic_us();
	boson__test__echo__say(bus_peer_service(client->peer), &client->words, on_answer, client);
}

/* Seconds. */
static double
run(struct client *client, uint32_t wanted, uint32_t window, double *samples)
{
	int64_t start_us = clock_monotonic_us();

	client->asked = client->answered = 0;
	client->wanted = wanted;
	client->samples = samples;
	for (uint32_t i = 0; i < window && i < wanted; i++)
		ask(client);
	loop_run(client->loop);
	return (double)(clock_monotonic_us() - start_us) / 1e6;
}

static struct bench_run
measure(struct client *client, const struct bench_setup *setup)
{
	struct bench_run result = { 0 };
	double *samples = calloc(setup->round_trips, sizeof(*samples));

	if (!samples)
		bench_fail("out of memory");
	run(client, setup->window, 1, NULL); /* warm up */
	result.requests_per_sec =
		setup->requests / run(client, setup->requests, setup->window, NULL);
	run(client, setup->round_trips, 1, samples);
	result.p50_us = bench_percentile(samples, setup->round_trips, 50);
	result.p99_us = bench_percentile(samples, setup->round_trips, 99);
	free(samples);
	return result;
}

static struct bench_run
measure_at(const struct bench_setup *setup, const char *endpoint)
{
	struct bus_security security = { setup->client_public, setup->client_secret, NULL, NULL };
	bool curve = setup->transport == BENCH_TCP_CURVE;
	struct client client = { .words = BOSON__TEST__WORDS__INIT };
	struct metrics *metrics = NULL;
	char text[BENCH_FRAME_BYTES];
	struct bus *bus = NULL;

	memset(text, 'x', setup->text_bytes);
	text[setup->text_bytes] = '\0';
	client.words.text = text;
	if (loop_new(&client.loop) < 0 || metrics_new("bench_client", &metrics) < 0 ||
	    bus_new(client.loop, metrics, "client", curve ? &security : NULL, &bus) < 0 ||
	    bus_peer_new(bus, endpoint, curve ? setup->server_public : NULL,
			 &boson__test__echo__descriptor, &client.peer) < 0)
		bench_fail("the bus cannot connect");
	struct bench_run result = measure(&client, setup);
	bus_peer_free(&client.peer);
	bus_free(&bus);
	metrics_free(&metrics);
	loop_free(&client.loop);
	return result;
}

struct bench_run
bench_bus(const struct bench_setup *setup)
{
	struct server server = { .setup = setup };
	pthread_t thread;

	sem_init(&server.ready, 0, 0);
	if (pthread_create(&thread, NULL, server_main, &server) != 0)
		bench_fail("no thread");
	while (sem_wait(&server.ready) != 0)
		continue;
	struct bench_run result = measure_at(setup, server.endpoint);
	loop_stop(server.loop);
	pthread_join(thread, NULL);
	sem_destroy(&server.ready);
	return result;
}
