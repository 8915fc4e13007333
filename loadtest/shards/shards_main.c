/*
 * shards-load: clients and nodes in pairs, so many batches in flight in each; the node sends each
 * back. Says what went through the relays in a second, and what of their processors that took.
 *
 *	shards-load -r PORT:PID,... -N node.seed,node.pub -S session.seed,session.pub
 *		[-p pairs] [-w in flight] [-b datagrams a batch] [-x: clients at the next relay]
 *		[-k shard/shards] [-d seconds] [-t]
 */
#include "herd/herd_fleet.h"
#include "herd/herd_wire.h"

#include "leg/leg_frame.h"

#include <dirent.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	DATAGRAM_BYTES = 1392, /* 32 + 16n, as WireGuard's of 1360 bytes within */
	BATCH_MAX = 44,
	WARM_MS = 1000,
	TICK_MS = 20,
	GIVE_UP_MS = 30 * 1000,
	US_PER_MS = 1000,
};

struct pair {
	struct herd_leg client, node;
	bool is_filled;
	int64_t heard_us;
};

static struct {
	struct herd_fleet fleet;
	struct pair *pairs;
	unsigned pair_n, window, batch;
	double seconds;
	bool is_crossed;
	uint64_t received;
	uint8_t message[1 + BATCH_MAX * (2 + DATAGRAM_BYTES)];
	size_t message_n;
} load = { .pair_n = 16, .window = 8, .batch = 8, .seconds = 3 };

static void
send_batch(struct pair *pair)
{
	herd_leg_send(&pair->client, load.message, load.message_n);
}

static void
on_data(struct herd_leg *leg, struct herd_line *line, uint8_t *message, size_t n)
{
	struct pair *pair =
		&load.pairs[(size_t)((char *)leg - (char *)load.pairs) / sizeof(struct pair)];

	load.received += (uint64_t)load.batch * DATAGRAM_BYTES;
	if (leg == &pair->node) {
		herd_line_send(line, message, n);
		return;
	}
	pair->heard_us = herd_now_us();
	send_batch(pair);
}

static void
make_message(void)
{
	struct leg_writer writer;
	uint8_t datagram[DATAGRAM_BYTES] = { 4 };

	leg_writer_init(&writer, false, 0, load.message, sizeof(load.message));
	for (unsigned i = 0; i < load.batch; i++)
		if (leg_writer_add(&writer, datagram, sizeof(datagram)) < 0)
			load.batch = i; /* a batch has its limit */
	load.message_n = writer.n;
}

static void
make_pairs(void)
{
	load.pairs = calloc(load.pair_n, sizeof(*load.pairs));
	for (unsigned i = 0; i < load.pair_n; i++) {
		struct pair *pair = &load.pairs[i];
		uint8_t node_id[UUID_BYTES], session_id[UUID_BYTES];

		herd_fleet_new_node(&load.fleet, node_id);
		herd_fleet_new_id(session_id);
		herd_leg_init(&pair->node, &load.fleet.owner, i % load.fleet.owner.relay_count);
		herd_leg_init(&pair->client, &load.fleet.owner,
			      (i + load.is_crossed) % load.fleet.owner.relay_count);
		herd_fleet_grant(&load.fleet, &pair->node, node_id, NULL);
		herd_fleet_grant(&load.fleet, &pair->client, node_id, session_id);
	}
}

static void
tick(int64_t now_us)
{
	for (unsigned i = 0; i < load.pair_n; i++) {
		struct pair *pair = &load.pairs[i];

		herd_leg_tick(&pair->node, now_us);
		herd_leg_tick(&pair->client, now_us);
		if (!herd_leg_is_up(&pair->client) || !herd_leg_is_up(&pair->node))
			continue;
		/* What was dropped is not in flight any more. */
		if (!pair->is_filled || now_us - pair->heard_us > 500 * US_PER_MS) {
			for (unsigned n = 0; n < load.window; n++)
				send_batch(pair);
			pair->is_filled = true;
			pair->heard_us = now_us;
		}
	}
}

static void
turn(void)
{
	struct epoll_event events[256];
	static int64_t tick_us;
	int n = epoll_wait(load.fleet.owner.epoll_fd, events, 256, TICK_MS);

	for (int i = 0; i < n; i++)
		herd_line_on_event(events[i].data.ptr, events[i].events);
	int64_t now_us = herd_now_us();
	if (now_us - tick_us >= TICK_MS * US_PER_MS) {
		tick_us = now_us;
		tick(now_us);
	}
}

static void
turn_for(int64_t ms)
{
	int64_t end_us = herd_now_us() + ms * US_PER_MS;

	while (herd_now_us() < end_us)
		turn();
}

/* All threads of the process, softirqs in its context included. */
static double
busy_sec(pid_t pid)
{
	char path[96];
	uint64_t sum = 0, ns;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	const struct dirent *entry;
	while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid, entry->d_name);
		FILE *file = entry->d_name[0] != '.' ? fopen(path, "re") : NULL;
		if (file == NULL)
			continue;
		if (fscanf(file, "%lu", &ns) == 1)
			sum += ns;
		fclose(file);
	}
	if (tasks != NULL)
		closedir(tasks);
	return (double)sum / 1e9;
}

static double
all_busy_sec(void)
{
	double sum = 0;

	for (unsigned i = 0; i < load.fleet.owner.relay_count; i++)
		sum += busy_sec(load.fleet.pids[i]);
	return sum;
}

static bool
is_all_heard(void)
{
	for (unsigned i = 0; i < load.pair_n; i++)
		if (!load.pairs[i].is_filled || load.received == 0)
			return false;
	return true;
}

static void
measure(void)
{
	int64_t end_us = herd_now_us() + GIVE_UP_MS * (int64_t)US_PER_MS;

	while (!is_all_heard()) {
		if (herd_now_us() > end_us) {
			fprintf(stderr, "the legs do not come up\n");
			exit(1);
		}
		turn();
	}
	turn_for(WARM_MS);
	uint64_t before = load.received;
	double busy = all_busy_sec();
	int64_t start_us = herd_now_us();
	turn_for((int64_t)(load.seconds * 1000));
	double passed = (double)(herd_now_us() - start_us) / 1e6;
	double gbit = (double)(load.received - before) * 8 / 1e9;
	busy = all_busy_sec() - busy;
	printf("{\"gbit_per_sec\": %.3f, \"relay_cores\": %.3f, \"gbit_per_core_sec\": %.3f}\n",
	       gbit / passed, busy / passed, busy > 0 ? gbit / busy : 0);
}

static void
parse(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "r:N:S:k:p:w:b:xd:t")) != -1) {
		switch (option) {
		case 'r':
			herd_fleet_relays(&load.fleet, optarg);
			break;
		case 'N':
			herd_fleet_signer(&load.fleet, TICKET_ROLE_NODE, optarg);
			break;
		case 'S':
			herd_fleet_signer(&load.fleet, TICKET_ROLE_SESSION, optarg);
			break;
		case 'k':
			herd_fleet_shard(&load.fleet, optarg);
			break;
		case 'p':
			load.pair_n = (unsigned)atoi(optarg);
			break;
		case 'w':
			load.window = (unsigned)atoi(optarg);
			break;
		case 'b':
			load.batch = (unsigned)atoi(optarg) < BATCH_MAX ? (unsigned)atoi(optarg)
									: BATCH_MAX;
			break;
		case 'x':
			load.is_crossed = true;
			break;
		case 'd':
			load.seconds = strtod(optarg, NULL);
			break;
		case 't':
			load.fleet.owner.ssl_context = herd_wire_context();
			break;
		default:
			exit(64);
		}
	}
	if (!herd_fleet_is_whole(&load.fleet) || load.pair_n == 0 || load.seconds <= 0) {
		fprintf(stderr, "see the head of shards_main.c\n");
		exit(64);
	}
}

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	parse(argc, argv);
	load.fleet.owner.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	load.fleet.owner.on_data = on_data;
	make_message();
	make_pairs();
	measure();
	return 0;
}
