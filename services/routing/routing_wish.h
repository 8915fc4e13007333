/* routing_wish: what a client asked for, as plain values. */
#pragma once

#include "identity/key.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	ROUTING_REGION_BYTES = 65,
	ROUTING_COUNTRY_BYTES = 3,
	ROUTING_RELAY_ID_BYTES = 65,
	ROUTING_LATENCIES_MAX = 32,
};

struct routing_latency {
	char relay_id[ROUTING_RELAY_ID_BYTES];
	double latency_ms; /* the client's own round trip to this relay */
};

struct routing_wish {
	bool has_target;
	uint8_t target[UUID_BYTES];
	bool has_failed;
	uint8_t failed[UUID_BYTES];	     /* a node that does not answer this client */
	char country[ROUTING_COUNTRY_BYTES]; /* "" is any, as the next */
	char region[ROUTING_REGION_BYTES];   /* padded with NUL: a key of the index */
	double min_bandwidth_mbits;	     /* 0 is any, as the next */
	double max_latency_ms;
	struct routing_latency latencies[ROUTING_LATENCIES_MAX];
	size_t latency_count;
};
