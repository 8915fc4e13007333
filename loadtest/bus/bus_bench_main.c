/*
 * bus_bench_main: options, runs, table.
 */
#include "bus_bench.h"

#include "log/log.h"

#include <getopt.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

static const char USAGE[] =
	"Usage: bus_bench [--requests N] [--window N] [--round-trips N] [--bytes N] [--runs N] "
	"[--transport NAME] [--json]\n"
	"\n"
	"Measures the bus between two threads, over inproc, ipc, and tcp with CURVE (on "
	"loopback):\n"
	"  requests/s   with a window of requests in flight: stub, envelope, socket, pre-scan,\n"
	"               unpacking, handler, and the same way back; deadlines and metrics on\n"
	"  round trip   one request at a time, p50 and p99\n"
	"and beside it, in the same run and turn about, a DEALER and a ROUTER of libzmq that echo\n"
	"the same bytes and do nothing else. Each figure is the median of the runs. ipc is not\n"
	"measured with CURVE, because the bus guards ipc by its folder.\n"
	"\n"
	"  --requests N     of a throughput run (100000)\n"
	"  --window N       in flight (200)\n"
	"  --round-trips N  of a latency run (3000)\n"
	"  --bytes N        of text in a request, at most 4000 (100)\n"
	"  --runs N         (5)\n"
	"  --transport NAME inproc, ipc or tcp+CURVE alone\n"
	"  --json           figures for a program\n";

static const char *const NAMES[BENCH_TRANSPORTS] = { "inproc", "ipc", "tcp+CURVE" };

enum { RUNS_MAX = 99 };

struct options {
	struct bench_setup setup;
	uint32_t runs;
	int only; /* a transport, or -1 */
	bool json;
};

struct medians {
	struct bench_run bus, bare;
};

static uint32_t
parse_number(const char *text, uint32_t max)
{
	char *end = NULL;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || value == 0 || value > max) {
		fputs(USAGE, stderr);
		exit(64); /* EX_USAGE */
	}
	return (uint32_t)value;
}

static int
parse_transport(const char *name)
{
	for (int i = 0; i < BENCH_TRANSPORTS; i++) {
		if (strcmp(name, NAMES[i]) == 0)
			return i;
	}
	fputs(USAGE, stderr);
	exit(64);
}

static void
parse_options(int argc, char **argv, struct options *ret)
{
	static const struct option LONG[] = {
		{ "requests", required_argument, NULL, 'r' },
		{ "window", required_argument, NULL, 'w' },
		{ "round-trips", required_argument, NULL, 't' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "runs", required_argument, NULL, 'n' },
		{ "transport", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};

	for (int c; (c = getopt_long(argc, argv, "h", LONG, NULL)) != -1;) {
		if (c == 'r')
			ret->setup.requests = parse_number(optarg, 100000000);
		else if (c == 'w')
			ret->setup.window = parse_number(optarg, 900);
		else if (c == 't')
			ret->setup.round_trips = parse_number(optarg, 10000000);
		else if (c == 'b')
			ret->setup.text_bytes = parse_number(optarg, 4000);
		else if (c == 'n')
			ret->runs = parse_number(optarg, RUNS_MAX);
		else if (c == 'o')
			ret->only = parse_transport(optarg);
		else if (c == 'j')
			ret->json = true;
		else {
			fputs(USAGE, c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 64);
		}
	}
}

/* A place of its own for each run: a closed socket's name is not always free at once. */
static void
name_endpoint(struct bench_setup *setup, const char *folder)
{
	static unsigned number;

	number++;
	if (setup->transport == BENCH_INPROC)
		snprintf(setup->endpoint, sizeof(setup->endpoint), "inproc://bench-%u", number);
	else if (setup->transport == BENCH_IPC)
		snprintf(setup->endpoint, sizeof(setup->endpoint), "ipc://%s/%u", folder, number);
	else
		strcpy(setup->endpoint, "tcp://127.0.0.1:*");
}

static void
remove_socket(const struct bench_setup *setup)
{
	if (setup->transport == BENCH_IPC)
		unlink(setup->endpoint + strlen("ipc://"));
}

static struct bench_run
median(const struct bench_run *runs, uint32_t n)
{
	double rates[RUNS_MAX], p50[RUNS_MAX], p99[RUNS_MAX];

	for (uint32_t i = 0; i < n; i++) {
		rates[i] = runs[i].requests_per_sec;
		p50[i] = runs[i].p50_us;
		p99[i] = runs[i].p99_us;
	}
	return (struct bench_run){ bench_percentile(rates, n, 50), bench_percentile(p50, n, 50),
				   bench_percentile(p99, n, 50) };
}

static struct medians
measure(struct options *options, const char *folder)
{
	struct bench_run bus[RUNS_MAX], bare[RUNS_MAX];

	for (uint32_t i = 0; i < options->runs; i++) {
		name_endpoint(&options->setup, folder);
		bare[i] = bench_bare(&options->setup);
		remove_socket(&options->setup);
		name_endpoint(&options->setup, folder);
		bus[i] = bench_bus(&options->setup);
		remove_socket(&options->setup);
	}
	return (struct medians){ median(bus, options->runs), median(bare, options->runs) };
}

static int
cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;
}

static void
print_table(const struct options *options, const struct medians *all)
{
	const struct bench_setup *setup = &options->setup;
	uint8_t bytes[BENCH_FRAME_BYTES];

	printf("bus_bench: %s build, %s, %d cores, libzmq %d.%d.%d; median of %u runs\n",
	       BUS_BENCH_BUILD, BUS_BENCH_COMPILER, cores(), ZMQ_VERSION_MAJOR, ZMQ_VERSION_MINOR,
	       ZMQ_VERSION_PATCH, options->runs);
	printf("request: %zu B head, %zu B body; window %u, %u requests; %u round trips\n\n",
	       bench_head(bytes), bench_body(setup, bytes), setup->window, setup->requests,
	       setup->round_trips);
	printf("%-10s %12s %12s %6s   %15s %15s %6s\n", "", "bus req/s", "bare req/s", "ratio",
	       "bus p50/p99 us", "bare p50/p99 us", "p50 x");
	for (int i = 0; i < BENCH_TRANSPORTS; i++) {
		const struct medians *m = &all[i];
		if (options->only >= 0 && options->only != i)
			continue;
		printf("%-10s %12.0f %12.0f %6.2f   %8.0f/%6.0f %8.0f/%6.0f %6.2f\n", NAMES[i],
		       m->bus.requests_per_sec, m->bare.requests_per_sec,
		       m->bus.requests_per_sec / m->bare.requests_per_sec, m->bus.p50_us,
		       m->bus.p99_us, m->bare.p50_us, m->bare.p99_us,
		       m->bus.p50_us / m->bare.p50_us);
	}
}

static void
print_run(const char *name, const struct bench_run *run)
{
	printf("\"%s\":{\"requestsPerSec\":%.0f,\"p50Us\":%.1f,\"p99Us\":%.1f}", name,
	       run->requests_per_sec, run->p50_us, run->p99_us);
}

static void
print_json(const struct options *options, const struct medians *all)
{
	printf("{\"build\":\"%s\",\"compiler\":\"%s\",\"cores\":%d,\"runs\":%u,\"window\":%u,"
	       "\"requests\":%u,\"roundTrips\":%u,\"textBytes\":%zu,\"transports\":{",
	       BUS_BENCH_BUILD, BUS_BENCH_COMPILER, cores(), options->runs, options->setup.window,
	       options->setup.requests, options->setup.round_trips, options->setup.text_bytes);
	bool first = true;
	for (int i = 0; i < BENCH_TRANSPORTS; i++) {
		if (options->only >= 0 && options->only != i)
			continue;
		printf("%s\"%s\":{", first ? "" : ",", NAMES[i]);
		first = false;
		print_run("bus", &all[i].bus);
		printf(",");
		print_run("bare", &all[i].bare);
		printf(",\"ratio\":%.3f}",
		       all[i].bus.requests_per_sec / all[i].bare.requests_per_sec);
	}
	printf("}}\n");
}

int
main(int argc, char **argv)
{
	struct options options = {
		.setup = { .requests = 100000,
			   .window = 200,
			   .round_trips = 3000,
			   .text_bytes = 100 },
		.runs = 5,
		.only = -1,
	};
	struct medians all[BENCH_TRANSPORTS] = { 0 };
	char folder[] = "/tmp/bus-bench-XXXXXX";

	parse_options(argc, argv, &options);
	log_init("bus_bench", LOG_LEVEL_ERROR);
	if (zmq_curve_keypair(options.setup.server_public, options.setup.server_secret) != 0 ||
	    zmq_curve_keypair(options.setup.client_public, options.setup.client_secret) != 0)
		bench_fail("libzmq has no CURVE");
	if (!mkdtemp(folder))
		bench_fail("no temporary folder");
	for (int i = 0; i < BENCH_TRANSPORTS; i++) {
		options.setup.transport = (enum bench_transport)i;
		if (options.only < 0 || options.only == i)
			all[i] = measure(&options, folder);
	}
	rmdir(folder);
	if (options.json)
		print_json(&options, all);
	else
		print_table(&options, all);
	return 0;
}
