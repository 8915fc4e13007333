/*
 * bus_bench: how fast the bus is, beside bare libzmq moving the same bytes. One server thread, one
 * client thread, the library's one I/O thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum bench_transport { BENCH_INPROC, BENCH_IPC, BENCH_TCP_CURVE, BENCH_TRANSPORTS };

enum { BENCH_ENDPOINT_BYTES = 160, BENCH_KEY_BYTES = 41 };

struct bench_setup {
	enum bench_transport transport;
	char endpoint[BENCH_ENDPOINT_BYTES]; /* bind here */
	char server_public[BENCH_KEY_BYTES], server_secret[BENCH_KEY_BYTES];
	char client_public[BENCH_KEY_BYTES], client_secret[BENCH_KEY_BYTES];
	uint32_t requests;    /* of the throughput run */
	uint32_t window;      /* in flight in it */
	uint32_t round_trips; /* one at a time */
	size_t text_bytes;    /* of the request's one text */
};

struct bench_run {
	double requests_per_sec;
	double p50_us, p99_us;
};

/* One run of each. They end the program when something does not work: then there is no figure. */
struct bench_run bench_bus(const struct bench_setup *setup);
struct bench_run bench_bare(const struct bench_setup *setup);

/* What both send: the request's head and body as the bus packs them. Returns the bytes written. */
enum { BENCH_FRAME_BYTES = 8192 };
size_t bench_head(uint8_t bytes[BENCH_FRAME_BYTES]);
size_t bench_body(const struct bench_setup *setup, uint8_t bytes[BENCH_FRAME_BYTES]);

/* Sorts samples. percent 0..100. */
double bench_percentile(double *samples, size_t n, double percent);

_Noreturn void bench_fail(const char *what);
