/*
 * shards-load: clients and nodes in pairs, so many batches in flight in each; the node sends each
 * back. Says what went through the relays in a second, and what of their processors that took.
 *
 *	shards-load -r PORT:PID,... -N node.seed,node.pub -S session.seed,session.pub
 *		[-p pairs] [-w in flight] [-b datagrams a batch] [-x: clients at the next relay]
 *		[-d seconds] [-t]
 */
#include "herd/herd_leg.h"
#include "herd/herd_wire.h"

#include "leg/leg_frame.h"
#include "loop/clock.h"

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
	struct herd_owner owner;
	pid_t pids[HERD_RELAYS_MAX];
	struct ticket_signer *node_signer, *session_signer;
	struct pair *pairs;
	unsigned pair_n, window, batch, seconds;
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
make_id(uint8_t ret_id[UUID_BYTES])
{
	char text[UUID_TEXT_BYTES];

	if (uuid_generate_text(text) < 0 || uuid_parse(text, ret_id) < 0)
		exit(71);
}

static void
grant(struct herd_leg *leg, const uint8_t *node_id, const uint8_t *session_id)
{
	struct ticket ticket = { .role = session_id != NULL ? TICKET_ROLE_SESSION
							    : TICKET_ROLE_NODE,
				 .group = "default",
				 .not_before_ms = clock_wall_ms() - 60 * 1000,
				 .expires_at_ms = clock_wall_ms() + 3600 * 1000 };

	memcpy(ticket.node_id, node_id, UUID_BYTES);
	if (session_id != NULL)
		memcpy(ticket.session_id, session_id, UUID_BYTES);
	uuid_format(session_id != NULL ? session_id : node_id, leg->id);
	if (ticket_sign(session_id != NULL ? load.session_signer : load.node_signer, &ticket,
			leg->ticket) < 0)
		exit(1);
}

static void
make_pairs(void)
{
	load.pairs = calloc(load.pair_n, sizeof(*load.pairs));
	for (unsigned i = 0; i < load.pair_n; i++) {
		struct pair *pair = &load.pairs[i];
		uint8_t node_id[UUID_BYTES], session_id[UUID_BYTES];

		make_id(node_id);
		make_id(session_id);
		herd_leg_init(&pair->node, &load.owner, i % load.owner.relay_count);
		herd_leg_init(&pair->client, &load.owner,
			      (i + load.is_crossed) % load.owner.relay_count);
		grant(&pair->node, node_id, NULL);
		grant(&pair->client, node_id, session_id);
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
	int n = epoll_wait(load.owner.epoll_fd, events, 256, TICK_MS);

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

	for (unsigned i = 0; i < load.owner.relay_count; i++)
		sum += busy_sec(load.pids[i]);
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
	turn_for(load.seconds * INT64_C(1000));
	double passed = (double)(herd_now_us() - start_us) / 1e6;
	double gbit = (double)(load.received - before) * 8 / 1e9;
	busy = all_busy_sec() - busy;
	printf("{\"gbit_per_sec\": %.3f, \"relay_cores\": %.3f, \"gbit_per_core_sec\": %.3f}\n",
	       gbit / passed, busy / passed, busy > 0 ? gbit / busy : 0);
}

static struct ticket_signer *
open_signer(char *text, enum ticket_role role)
{
	char *comma = strchr(text, ',');
	struct ticket_signer *signer = NULL;

	if (comma != NULL)
		*comma = '\0';
	if (comma == NULL || ticket_signer_open(text, comma + 1, role, &signer) < 0)
		exit(66);
	return signer;
}

static void
parse_relays(char *text)
{
	for (char *part = strtok(text, ","); part != NULL; part = strtok(NULL, ",")) {
		unsigned port;

		if (load.owner.relay_count == HERD_RELAYS_MAX ||
		    sscanf(part, "%u:%d", &port, &load.pids[load.owner.relay_count]) != 2)
			exit(64);
		load.owner.ports[load.owner.relay_count++] = (uint16_t)port;
	}
}

static void
parse(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "r:N:S:p:w:b:xd:tj:")) != -1) {
		switch (option) {
		case 'r':
			parse_relays(optarg);
			break;
		case 'N':
			load.node_signer = open_signer(optarg, TICKET_ROLE_NODE);
			break;
		case 'S':
			load.session_signer = open_signer(optarg, TICKET_ROLE_SESSION);
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
			load.seconds = (unsigned)atoi(optarg);
			break;
		case 't':
			load.owner.ssl_context = herd_wire_context();
			break;
		default:
			exit(64);
		}
	}
	if (load.owner.relay_count == 0 || load.pair_n == 0 || load.node_signer == NULL ||
	    load.session_signer == NULL) {
		fprintf(stderr, "see the head of shards_main.c\n");
		exit(64);
	}
}

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	parse(argc, argv);
	load.owner.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	load.owner.on_data = on_data;
	make_message();
	make_pairs();
	measure();
	return 0;
}
