/*
 * bus_bench_bare: what the bus stands beside: DEALER and ROUTER of libzmq, blocking, without
 * envelope logic, checks, deadlines or metrics. The ROUTER sends back the frames it got, which have
 * the bytes of the bus's request.
 */
#include "bus_bench.h"

#include "loop/clock.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

struct server {
	const struct bench_setup *setup;
	void *context;
	sem_t ready;
	char endpoint[BENCH_ENDPOINT_BYTES];
};

static void
must(bool holds)
{
	if (!holds)
		bench_fail(zmq_strerror(zmq_errno()));
}

static void
set_text(void *socket, int option, const char *text)
{
	must(zmq_setsockopt(socket, option, text, strlen(text)) == 0);
}

static void *
open_server(struct server *server)
{
	void *socket = zmq_socket(server->context, ZMQ_ROUTER);
	size_t n = sizeof(server->endpoint);
	int one = 1;

	must(socket != NULL);
	if (server->setup->transport == BENCH_TCP_CURVE) {
		must(zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof(one)) == 0);
		set_text(socket, ZMQ_CURVE_SECRETKEY, server->setup->server_secret);
	}
	must(zmq_bind(socket, server->setup->endpoint) == 0);
	must(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, server->endpoint, &n) == 0);
	return socket;
}

/* Until a message with an empty body. */
static void *
server_main(void *arg)
{
	struct server *server = arg;
	void *socket = open_server(server);
	bool last = false;
	zmq_msg_t part;

	sem_post(&server->ready);
	while (!last) {
		int more = 1;
		while (more) {
			must(zmq_msg_init(&part) == 0);
			must(zmq_msg_recv(&part, socket, 0) >= 0);
			more = zmq_msg_more(&part);
			last = zmq_msg_size(&part) == 0;
			must(zmq_msg_send(&part, socket, more ? ZMQ_SNDMORE : 0) >= 0);
		}
	}
	zmq_close(socket);
	return NULL;
}

struct client {
	void *socket;
	uint8_t head[BENCH_FRAME_BYTES], body[BENCH_FRAME_BYTES];
	size_t head_bytes, body_bytes;
};

static void
ask(struct client *client)
{
	must(zmq_send(client->socket, client->head, client->head_bytes, ZMQ_SNDMORE) >= 0);
	must(zmq_send(client->socket, client->body, client->body_bytes, 0) >= 0);
}

static void
take_answer(struct client *client)
{
	zmq_msg_t part;
	int more = 1;

	while (more) {
		must(zmq_msg_init(&part) == 0);
		must(zmq_msg_recv(&part, client->socket, 0) >= 0);
		more = zmq_msg_more(&part);
		zmq_msg_close(&part);
	}
}

static double
throughput(struct client *client, uint32_t requests, uint32_t window)
{
	int64_t start_us = clock_monotonic_us();
	uint32_t asked = 0;

	for (; asked < window && asked < requests; asked++)
		ask(client);
	for (uint32_t answered = 0; answered < requests; answered++) {
		take_answer(client);
		if (asked < requests) {
			ask(client);
			asked++;
		}
	}
	return requests / ((double)(clock_monotonic_us() - start_us) / 1e6);
}

static void
open_client(struct client *client, const struct server *server)
{
	const struct bench_setup *setup = server->setup;

	client->socket = zmq_socket(server->context, ZMQ_DEALER);
	must(client->socket != NULL);
	if (setup->transport == BENCH_TCP_CURVE) {
		set_text(client->socket, ZMQ_CURVE_SERVERKEY, setup->server_public);
		set_text(client->socket, ZMQ_CURVE_PUBLICKEY, setup->client_public);
		set_text(client->socket, ZMQ_CURVE_SECRETKEY, setup->client_secret);
	}
	must(zmq_connect(client->socket, server->endpoint) == 0);
	client->head_bytes = bench_head(client->head);
	client->body_bytes = bench_body(setup, client->body);
}

static struct bench_run
measure(struct client *client, const struct bench_setup *setup)
{
	struct bench_run result = { 0 };
	double *samples = calloc(setup->round_trips, sizeof(*samples));

	if (!samples)
		bench_fail("out of memory");
	throughput(client, setup->window, 1); /* warm up */
	result.requests_per_sec = throughput(client, setup->requests, setup->window);
	for (uint32_t i = 0; i < setup->round_trips; i++) {
		int64_t start_us = clock_monotonic_us();
		ask(client);
		take_answer(client);
		samples[i] = (double)(clock_monotonic_us() - start_us);
	}
	result.p50_us = bench_percentile(samples, setup->round_trips, 50);
	result.p99_us = bench_percentile(samples, setup->round_trips, 99);
	free(samples);
	return result;
}

struct bench_run
bench_bare(const struct bench_setup *setup)
{
	static struct client client;
	struct server server = { .setup = setup, .context = zmq_ctx_new() };
	pthread_t thread;

	must(server.context != NULL);
	sem_init(&server.ready, 0, 0);
	if (pthread_create(&thread, NULL, server_main, &server) != 0)
		bench_fail("no thread");
	while (sem_wait(&server.ready) != 0)
		continue;
	open_client(&client, &server);
	struct bench_run result = measure(&client, setup);
	client.body_bytes = 0;
	ask(&client);
	take_answer(&client);
	pthread_join(thread, NULL);
	zmq_close(client.socket);
	zmq_ctx_term(server.context);
	sem_destroy(&server.ready);
	return result;
}
