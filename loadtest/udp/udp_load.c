/*
 * udp_load: the generator of loadtest/udp: bursts of datagrams through a server, as many as it
 * takes, and the processor time that it used for them. Prints JSON.
 */
#include "udp_ends.h"

#include "identity/key.h"
#include "load_process.h"
#include "loop/clock.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 1024, LOST_AFTER_MS = 20 };

static void
print_bindings(unsigned count)
{
	char node[UUID_TEXT_BYTES], session[UUID_TEXT_BYTES], keys[2][KEY_TEXT_BYTES];
	uint8_t id[UUID_BYTES] = { 1 };
	struct key key;

	uuid_format(id, node);
	udp_ends_key(0, key.bytes);
	key_format(&key, keys[0]);
	for (unsigned i = 1; i <= count; i++) {
		memset(id, 0, sizeof(id));
		memcpy(id, &i, sizeof(i));
		uuid_format(id, session);
		udp_ends_key(i, key.bytes);
		key_format(&key, keys[1]);
		printf("{\"sessionId\":\"%s\",\"nodeId\":\"%s\",\"nodePublicKey\":\"%s\","
		       "\"clientPublicKey\":\"%s\",\"expiresAt\":%lld}\n",
		       session, node, keys[0], keys[1], (long long)clock_wall_ms() + 3600 * 1000);
	}
}

/* Bursts in turn, with at most WINDOW datagrams on their way; returns those that were lost. */
static uint64_t
run(struct udp_ends *ends, bool is_down, double seconds)
{
	uint64_t *received = is_down ? &ends->received_down : &ends->received_up;
	uint64_t sent = *received, lost = 0, last = *received;
	int64_t end_us = clock_monotonic_us() + (int64_t)(seconds * 1e6), moved_us = 0, now_us;
	unsigned turn = 0;

	while ((now_us = clock_monotonic_us()) < end_us) {
		while (sent - *received - lost + UDP_BURST_MAX <= WINDOW) {
			unsigned n = is_down ? udp_ends_send_down(ends, turn, UDP_BURST_MAX)
					     : udp_ends_send_up(ends, turn, UDP_BURST_MAX);
			turn = (turn + 1) % ends->count;
			sent += n;
			if (n == 0)
				break;
		}
		if (is_down)
			udp_ends_receive_down(ends);
		else
			udp_ends_receive_up(ends);
		if (*received + lost > sent)
			lost = sent - *received; /* they were only late */
		if (*received != last || moved_us == 0) {
			last = *received;
			moved_us = now_us;
		} else if (now_us - moved_us > LOST_AFTER_MS * 1000) {
			lost = sent - *received;
			moved_us = now_us;
		}
	}
	return lost;
}

int
main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "target", 1, NULL, 't' },  { "mode", 1, NULL, 'm' },
		{ "clients", 1, NULL, 'n' }, { "bytes", 1, NULL, 'b' },
		{ "down", 0, NULL, 'd' },    { "joined", 0, NULL, 'j' },
		{ "seconds", 1, NULL, 's' }, { "pid", 1, NULL, 'p' },
		{ "port", 1, NULL, 'P' },    { "udp-port", 1, NULL, 'u' },
		{ "state", 1, NULL, 'S' },   { 0 }
	};
	struct load_options options = { .target = "relay", .seconds = 1 };
	static struct udp_ends ends = { .count = 1, .bytes = 128, .node_fd = -1 };
	const char *mode = "run";
	uint16_t udp_port = 0;
	bool is_down = false;
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		switch (c) {
		case 't':
			options.target = optarg;
			break;
		case 'm':
			mode = optarg;
			break;
		case 'n':
			ends.count = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'b':
			ends.bytes = strtoul(optarg, NULL, 10);
			break;
		case 'd':
			is_down = true;
			break;
		case 'j':
			ends.is_joined = true;
			break;
		case 's':
			options.seconds = strtod(optarg, NULL);
			break;
		case 'p':
			options.pids = optarg;
			break;
		case 'P':
			options.port = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case 'u':
			udp_port = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case 'S':
			options.state = optarg;
			break;
		default:
			return 64;
		}
	if (ends.count < 1 || ends.count > UDP_CLIENTS_MAX || ends.bytes < 32 || ends.bytes > 1500)
		load_die("--clients 1 to %d, --bytes 32 to 1500", UDP_CLIENTS_MAX);
	if (strcmp(mode, "bindings") == 0) {
		print_bindings(ends.count);
		return 0;
	}
	if (strcmp(mode, "keys") == 0) {
		struct ticket_signer *node, *session;
		load_signers(options.state, &node, &session);
		return 0;
	}
	ends.is_turn = strcmp(options.target, "turn") == 0;
	udp_ends_connect(&ends, &options, udp_port);
	run(&ends, is_down, options.seconds / 4); /* warm */
	uint64_t before = is_down ? ends.received_down : ends.received_up;
	uint64_t ns = load_process_ns(options.pids);
	int64_t begin_us = clock_monotonic_us();
	uint64_t lost = run(&ends, is_down, options.seconds);
	double seconds = (double)(clock_monotonic_us() - begin_us) / 1e6;
	double core = (double)(load_process_ns(options.pids) - ns) / 1e9;
	double n = (double)((is_down ? ends.received_down : ends.received_up) - before);
	if (n == 0)
		load_die("nothing arrived in %.1f s", seconds);
	printf("{\"per_core_second\": %.0f, \"gbit_per_core\": %.3f, \"per_second\": %.0f, "
	       "\"ns_each\": %.0f, \"lost\": %llu, \"server_share\": %.2f}\n",
	       n / core, n * (double)ends.bytes * 8 / core / 1e9, n / seconds, core / n * 1e9,
	       (unsigned long long)lost, core / seconds);
	return 0;
}
