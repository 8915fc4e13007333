/*
 * fleet-load: options and modes. Started by `run`, which starts discovery beside it.
 */
#include "fleet.h"

#include "log/log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRY_EVERY_MS = 20, TRIES_MAX = 3000 };

static const char USAGE[] =
	"Usage: fleet-load MODE [options]\n"
	"\n"
	"  preload        writes rows of a fleet into a store, before discovery starts\n"
	"  registrations  registers nodes, with their proofs\n"
	"  heartbeats     beats for all of them, turn about\n"
	"  proof          what a proof costs by itself\n"
	"  about          how this was built\n"
	"\n"
	"  --endpoint E --events E  discovery's mailbox and events\n"
	"  --url URL                of the store to preload\n"
	"  --nodes N                how many (1000)\n"
	"  --first N                number of the first (0)\n"
	"  --window N               calls in flight (256)\n"
	"  --seconds N              of heartbeats (5)\n"
	"  --news N                 percent of heartbeats that tell something new (5)\n"
	"  --pid N                  of discovery, for its processor time and memory\n";

static const struct option LONG[] = {
	{ "endpoint", required_argument, NULL, 'e' }, { "events", required_argument, NULL, 'v' },
	{ "url", required_argument, NULL, 'u' },      { "nodes", required_argument, NULL, 'n' },
	{ "first", required_argument, NULL, 'f' },    { "window", required_argument, NULL, 'w' },
	{ "seconds", required_argument, NULL, 's' },  { "news", required_argument, NULL, 'c' },
	{ "pid", required_argument, NULL, 'p' },      { 0 },
};

static int
usage(void)
{
	fputs(USAGE, stderr);
	return 64;
}

static uint64_t
number(const char *text)
{
	char *end = NULL;
	unsigned long long value = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		exit(usage());
	return value;
}

static void
on_change(const ProtobufCMessage *event, bool gap, void *arg)
{
	struct fleet *fleet = arg;

	(void)gap;
	fleet->events_heard += event != NULL;
}

static void ask_whether_up(struct loop *loop, void *arg);

/* A large fleet takes a while to be loaded. */
static void
on_up(bool alive, uint32_t round_trip_us, void *arg)
{
	static struct loop_timer *timer;
	struct fleet *fleet = arg;

	(void)round_trip_us;
	fleet->is_up = alive;
	if (alive || fleet->tries++ == TRIES_MAX ||
	    loop_timer_start(fleet->loop, TRY_EVERY_MS, 0, ask_whether_up, fleet, &timer) != 0)
		loop_stop(fleet->loop);
}

static void
ask_whether_up(struct loop *loop, void *arg)
{
	struct fleet *fleet = arg;

	(void)loop;
	bus_peer_ping(fleet->peer, BUS_DEADLINE_MAX_MS, on_up, fleet);
}

/* Connects to discovery; 0 or an exit code. */
static int
connect_fleet(struct fleet *fleet)
{
	struct metrics *metrics = NULL;
	int r = fleet->endpoint != NULL ? loop_new(&fleet->loop) : -1;

	if (r == 0)
		r = metrics_new("fleet", &metrics);
	if (r == 0)
		r = bus_new(fleet->loop, metrics, "gateway", NULL, &fleet->bus);
	if (r == 0)
		r = bus_peer_new(fleet->bus, fleet->endpoint, NULL,
				 &boson__discovery__discovery__descriptor, &fleet->peer);
	if (r == 0 && fleet->events != NULL)
		r = bus_subscribe(fleet->bus, fleet->events, NULL,
				  &boson__discovery__node_changed__descriptor, on_change, fleet,
				  &fleet->changes);
	if (r != 0)
		return usage();
	ask_whether_up(fleet->loop, fleet);
	if (loop_run(fleet->loop) != 0 || !fleet->is_up) {
		fputs("fleet-load: discovery does not answer\n", stderr);
		return 69;
	}
	return 0;
}

static void
disconnect_fleet(struct fleet *fleet)
{
	bus_free(&fleet->bus);
	loop_free(&fleet->loop);
}

static void
parse(int argc, char **argv, struct fleet *fleet)
{
	int option;

	while ((option = getopt_long(argc, argv, "", LONG, NULL)) != -1) {
		switch (option) {
		case 'e':
			fleet->endpoint = optarg;
			break;
		case 'v':
			fleet->events = optarg;
			break;
		case 'u':
			fleet->url = optarg;
			break;
		case 'n':
			fleet->nodes = number(optarg);
			break;
		case 'f':
			fleet->first = number(optarg);
			break;
		case 'w':
			fleet->window = (uint32_t)number(optarg);
			break;
		case 's':
			fleet->seconds = (uint32_t)number(optarg);
			break;
		case 'c':
			fleet->news_percent = (uint32_t)number(optarg);
			break;
		case 'p':
			fleet->pid = (long)number(optarg);
			break;
		default:
			exit(usage());
		}
	}
}

static int
run(const char *mode, struct fleet *fleet)
{
	int code;

	if (strcmp(mode, "proof") == 0)
		return fleet_proof();
	if (strcmp(mode, "preload") == 0)
		return fleet->url != NULL ? fleet_preload(fleet) : usage();
	if (strcmp(mode, "about") == 0)
		return printf("{\"build\": \"%s\", \"compiler\": \"%s\"}\n", FLEET_BUILD,
			      FLEET_COMPILER) < 0;
	code = connect_fleet(fleet);
	if (code == 0)
		code = strcmp(mode, "registrations") == 0 ? fleet_registrations(fleet)
		       : strcmp(mode, "heartbeats") == 0  ? fleet_beats(fleet)
							  : usage();
	disconnect_fleet(fleet);
	return code;
}

int
main(int argc, char **argv)
{
	struct fleet fleet = { .nodes = 1000, .window = 256, .seconds = 5, .news_percent = 5 };

	log_init("fleet", LOG_LEVEL_ERROR);
	parse(argc, argv, &fleet);
	if (optind != argc - 1 || fleet.nodes == 0 || fleet.window == 0)
		return usage();
	return run(argv[optind], &fleet);
}
