/*
 * relay-load: drives a relay, or another server for comparison, with the same bytes, and says what
 * one second of the server's processor time moved. One measurement a run, printed as one line of
 * JSON; loadtest/relay/run interleaves many and compares them.
 *
 *	flow	so many messages in flight, or so many a second; one way, back, or both
 *	echo	the same, sent back by the far end: round trips
 *	idle	resident memory of connections that do nothing
 *	slow	a reader that takes less than is sent: delays of what arrives, shares
 *	keys	only makes the keys that sign tickets
 */
#include "load_connect.h"
#include "load_process.h"
#include "load_slow.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void
set_roles(struct load_flow *flow, const struct load_options *options)
{
	bool is_echo = strcmp(options->mode, "echo") == 0;
	enum load_role role = options->rate > 0 ? LOAD_PACED : LOAD_WINDOW;
	bool is_both = strcmp(options->mode, "both") == 0;

	flow->window = options->window;
	flow->rate = options->rate;
	for (unsigned i = 0; i < flow->count; i++) {
		struct load_end *ends = flow->pairs[i].ends;

		ends[LOAD_NEAR].role = options->is_down ? LOAD_SILENT : role;
		if (is_echo)
			ends[LOAD_FAR].role = LOAD_ECHO;
		else if (flow->trunk == NULL && (is_both || options->is_down))
			ends[LOAD_FAR].role = LOAD_WINDOW;
	}
	if (flow->trunk != NULL && (is_both || options->is_down))
		flow->trunk->role = LOAD_WINDOW;
	if (is_echo && flow->trunk != NULL)
		load_die("no echo over a trunk");
}

static void
measure_flow(const struct load_options *options)
{
	bool is_echo = strcmp(options->mode, "echo") == 0;
	struct load_flow flow;

	load_flow_init(&flow, options->pairs, options->has_trunk);
	load_connect(&flow, options);
	load_connect_idle(options, options->idle);
	set_roles(&flow, options);
	load_flow_start(&flow, is_echo);
	load_flow_run(&flow, options->warm_up);
	uint64_t received = flow.received, ns = load_process_ns(options->pids);
	double own = load_process_own_seconds();
	double seconds = load_flow_run(&flow, options->seconds);
	own = load_process_own_seconds() - own;
	ns = load_process_ns(options->pids) - ns;
	received = flow.received - received;
	double p50 = load_flow_percentile_us(&flow, 0.5),
	       p99 = load_flow_percentile_us(&flow, 0.99),
	       p999 = load_flow_percentile_us(&flow, 0.999);
	uint64_t lost = load_flow_settle(&flow);
	double gbit = (double)received * options->batch * LOAD_DATAGRAM_BYTES * 8 / 1e9;
	printf("{\"gbit_per_core_second\":%.3f,\"us_per_message\":%.3f,\"gbit_per_second\":%.3f,"
	       "\"messages_per_second\":%.0f,\"server_busy\":%.3f,\"generator_busy\":%.3f,"
	       "\"p50_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f,\"messages\":%llu,\"lost\":%llu,"
	       "\"skipped\":%llu}\n",
	       ns > 0 ? gbit / ((double)ns / 1e9) : 0,
	       received > 0 ? (double)ns / 1e3 / (double)received : 0, gbit / seconds,
	       (double)received / seconds, (double)ns / 1e9 / seconds, own / seconds, p50, p99,
	       p999, (unsigned long long)received, (unsigned long long)lost,
	       (unsigned long long)flow.skipped);
}

static void
measure_idle(const struct load_options *options)
{
	struct load_flow flow;

	/* The first connections pay for what all share. */
	load_flow_init(&flow, 16, false);
	load_connect(&flow, options);
	usleep(500 * 1000);
	long before_kib = load_process_kib(options->pids);
	load_connect_idle(options, options->idle);
	usleep(500 * 1000);
	long kib = load_process_kib(options->pids) - before_kib;
	printf("{\"idle\":%u,\"rss_bytes_each\":%.0f}\n", options->idle,
	       (double)kib * 1024 / options->idle);
}

static void
read_option(int c, struct load_options *options, struct load_slow_options *slow)
{
	switch (c) {
	case 't':
		options->target = optarg;
		break;
	case 'm':
		options->mode = optarg;
		break;
	case 's':
		options->state = optarg;
		break;
	case 'c':
		options->certificate = optarg;
		break;
	case 'k':
		options->private_key = optarg;
		break;
	case 'p':
		options->port = (uint16_t)atoi(optarg);
		break;
	case 'b':
		options->back_port = (uint16_t)atoi(optarg);
		break;
	case 'n':
		options->pairs = (unsigned)atoi(optarg);
		break;
	case 'B':
		options->batch = (unsigned)atoi(optarg);
		break;
	case 'w':
		options->window = (unsigned)atoi(optarg);
		break;
	case 'i':
		options->idle = (unsigned)atoi(optarg);
		break;
	case 'T':
		options->has_trunk = true;
		break;
	case 'd':
		options->is_down = true;
		break;
	case 'r':
		options->rate = atof(optarg);
		break;
	case 'S':
		options->seconds = slow->seconds = atof(optarg);
		break;
	case 'W':
		options->warm_up = slow->warm_up = atof(optarg);
		break;
	case 'P':
		options->pids = optarg;
		break;
	case 'G':
		slow->greedy_mbit = atof(optarg);
		break;
	case 'M':
		slow->modest_mbit = atof(optarg);
		break;
	case 'K':
		options->ticket_rate_kbytes = (unsigned)atoi(optarg);
		break;
	case 'A':
		slow->is_random = strcmp(optarg, "random") == 0;
		if (!slow->is_random && strcmp(optarg, "even") != 0)
			load_die("--arrivals: even or random");
		break;
	case 'R':
		slow->read_mbit = atof(optarg);
		break;
	default:
		exit(64);
	}
}

static void
read_options(int argc, char **argv, struct load_options *options, struct load_slow_options *slow)
{
	static const struct option names[] = {
		{ "target", required_argument, NULL, 't' },
		{ "mode", required_argument, NULL, 'm' },
		{ "state", required_argument, NULL, 's' },
		{ "certificate", required_argument, NULL, 'c' },
		{ "private-key", required_argument, NULL, 'k' },
		{ "port", required_argument, NULL, 'p' },
		{ "back-port", required_argument, NULL, 'b' },
		{ "pairs", required_argument, NULL, 'n' },
		{ "batch", required_argument, NULL, 'B' },
		{ "window", required_argument, NULL, 'w' },
		{ "idle", required_argument, NULL, 'i' },
		{ "trunk", no_argument, NULL, 'T' },
		{ "down", no_argument, NULL, 'd' },
		{ "rate", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 'S' },
		{ "warm-up", required_argument, NULL, 'W' },
		{ "pid", required_argument, NULL, 'P' },
		{ "greedy", required_argument, NULL, 'G' },
		{ "modest", required_argument, NULL, 'M' },
		{ "read", required_argument, NULL, 'R' },
		{ "arrivals", required_argument, NULL, 'A' },
		{ "ticket-rate", required_argument, NULL, 'K' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		read_option(c, options, slow);
	slow->sessions = options->pairs;
	if (options->batch < 1 || options->batch > LOAD_BATCH_MAX || options->pairs < 1 ||
	    options->pairs > 65535 || options->window < 1)
		load_die("--pairs, --batch (1 to %d) and --window must be more", LOAD_BATCH_MAX);
}

int
main(int argc, char **argv)
{
	struct load_options options = { .target = "relay",
					.mode = "flow",
					.pairs = 8,
					.batch = 8,
					.window = 20,
					.seconds = 2,
					.warm_up = 0.5 };
	struct load_slow_options slow = { .seconds = 2, .warm_up = 0.5 };
	struct ticket_signer *node = NULL, *session = NULL;
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	read_options(argc, argv, &options, &slow);
	if (strcmp(options.mode, "keys") == 0) {
		load_signers(options.state, &node, &session);
		ticket_signer_free(&node);
		ticket_signer_free(&session);
	} else if (strcmp(options.mode, "idle") == 0) {
		measure_idle(&options);
	} else if (strcmp(options.mode, "slow") == 0) {
		if (slow.sessions > LOAD_SESSIONS_MAX)
			load_die("--pairs: at most %d", LOAD_SESSIONS_MAX);
		load_slow_measure(&options, &slow);
	} else {
		measure_flow(&options);
	}
	return 0;
}
