/*
 * udp_flood: what strangers send to a relay's UDP port, as fast as told: initiations from made-up
 * source addresses, half of them with a mac1 that is right for a node, half with none. Raw sockets,
 * so it needs CAP_NET_RAW. For labs: udp_flood RELAY:PORT NODE-KEY SOURCE-NETWORK/16 RATE SECONDS
 */
#include "identity/key.h"
#include "loop/clock.h"
#include "relay/relay_udp_mac1.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

enum { INITIATION_BYTES = 148, PACKET_BYTES = 20 + 8 + INITIATION_BYTES, TICK_MS = 10 };

struct flood {
	struct sockaddr_in to;
	struct mac1_key mac1;
	uint32_t network;
	uint64_t dice;
};

static uint32_t
roll(struct flood *flood)
{
	flood->dice = flood->dice * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(flood->dice >> 32);
}

/* The kernel fills in length, id and checksum of the IP header; UDP over IPv4 may go without one.
 */
static void
make_packet(struct flood *flood, uint8_t packet[PACKET_BYTES])
{
	uint8_t *message = packet + 28;
	struct iphdr ip = { .version = 4,
			    .ihl = 5,
			    .ttl = 64,
			    .protocol = IPPROTO_UDP,
			    .saddr = htonl(flood->network | (roll(flood) & 0xffff)),
			    .daddr = flood->to.sin_addr.s_addr };
	struct udphdr udp = { .source = htons((uint16_t)(1024 + roll(flood) % 60000)),
			      .dest = flood->to.sin_port,
			      .len = htons(8 + INITIATION_BYTES) };

	for (size_t i = 0; i < INITIATION_BYTES; i += 4) {
		uint32_t word = roll(flood);
		memcpy(message + i, &word, 4);
	}
	memcpy(message, (const uint8_t[]){ 1, 0, 0, 0 }, 4);
	if (roll(flood) & 1)
		mac1_compute(&flood->mac1, message, INITIATION_BYTES - MAC1_TAIL_BYTES,
			     message + INITIATION_BYTES - MAC1_TAIL_BYTES);
	memcpy(packet, &ip, 20);
	memcpy(packet + 20, &udp, 8);
}

static uint64_t
run(struct flood *flood, int fd, uint64_t rate, int64_t until_ms)
{
	uint8_t packet[PACKET_BYTES];
	uint64_t sent = 0;
	int64_t begin_ms = clock_monotonic_ms(), now_ms;

	while ((now_ms = clock_monotonic_ms()) < until_ms) {
		uint64_t due = (uint64_t)(now_ms - begin_ms) * rate / 1000;

		for (; sent < due; sent++) {
			make_packet(flood, packet);
			if (sendto(fd, packet, sizeof(packet), 0,
				   (const struct sockaddr *)&flood->to, sizeof(flood->to)) < 0 &&
			    errno != ENOBUFS)
				return sent;
		}
		nanosleep(&(struct timespec){ .tv_nsec = TICK_MS * 1000000L }, NULL);
	}
	return sent;
}

int
main(int argc, char **argv)
{
	struct flood flood = { .to = { .sin_family = AF_INET } };
	struct in_addr network;
	struct key key;
	char *colon;

	if (argc != 6 || (colon = strchr(argv[1], ':')) == NULL) {
		fprintf(stderr,
			"usage: udp_flood RELAY:PORT NODE-KEY SOURCE-NETWORK RATE SECONDS\n");
		return 64;
	}
	*colon = '\0';
	flood.to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (inet_pton(AF_INET, argv[1], &flood.to.sin_addr) != 1 || key_parse(argv[2], &key) < 0 ||
	    inet_pton(AF_INET, argv[3], &network) != 1 || fd < 0 ||
	    getrandom(&flood.dice, sizeof(flood.dice), 0) < 0) {
		fprintf(stderr, "udp_flood: %s\n", fd < 0 ? strerror(errno) : "bad argument");
		return 64;
	}
	flood.network = ntohl(network.s_addr) & 0xffff0000;
	mac1_key_init(&flood.mac1, key.bytes);
	printf("%llu\n",
	       (unsigned long long)run(&flood, fd, strtoull(argv[4], NULL, 10),
				       clock_monotonic_ms() + strtoll(argv[5], NULL, 10) * 1000));
	return 0;
}
