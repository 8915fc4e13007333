/*
 * fleet: simulated nodes that talk to a real discovery over the bus, as the gateway would for them.
 * One thread, one loop; figures go to stdout as JSON, one object a line.
 */
#pragma once

#include "bus/bus.h"
#include "discovery.pb-c.h"
#include "identity/key.h"

#include <stdbool.h>
#include <stdint.h>

struct fleet {
	const char *endpoint, *events; /* of discovery */
	const char *url;	       /* of a store to preload */
	uint64_t first, nodes;	       /* those from first on, so many */
	uint32_t window;	       /* calls in flight */
	uint32_t seconds;	       /* of heartbeats */
	uint32_t news_percent;	       /* heartbeats that tell something new */
	long pid;		       /* of discovery: its processor time and memory are read */
	struct loop *loop;
	struct bus *bus;
	struct bus_peer *peer;
	struct bus_subscription *changes;
	uint64_t events_heard;
	unsigned tries;
	bool is_up;
};

/* fleet_node.c: identities are computed from the number, so that preloading and beating agree. */
struct fleet_node {
	uint8_t id[UUID_BYTES];
	char id_text[UUID_TEXT_BYTES];
	struct key key; /* preloaded ones: of no use but to be unlike others */
};
void fleet_node_init(struct fleet_node *node, uint64_t number);

/* Processor time of discovery so far, in us; its resident memory in bytes. */
int64_t fleet_cpu_us(const struct fleet *fleet);
int64_t fleet_rss_bytes(const struct fleet *fleet);

/* The modes; each an exit code. */
int fleet_preload(struct fleet *fleet);
int fleet_registrations(struct fleet *fleet);
int fleet_beats(struct fleet *fleet);
int fleet_proof(void);
