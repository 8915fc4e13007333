/*
 * discovery_vitals: how a node says it is, as it is held in memory: a NodeMetrics without its
 * weight, since a fleet is a million of these.
 */
#pragma once

#include "discovery.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

enum { DISCOVERY_VITALS = 7 };
struct discovery_vitals {
	double values[DISCOVERY_VITALS]; /* latency, jitter, loss, cpu, memory, up, down */
	uint32_t active_connections;
	uint16_t has; /* bit i: values[i]; the next: connections; the next: bandwidth at all */
	bool is_known;
};

/* Between vitals and the message; ret_bandwidth is what the message then points to. */
void discovery_vitals_take(struct discovery_vitals *vitals,
			   const Boson__Discovery__NodeMetrics *message);
void discovery_vitals_fill(const struct discovery_vitals *vitals,
			   Boson__Discovery__NodeMetrics *ret_message,
			   Boson__Common__Bandwidth *ret_bandwidth);

/* Has it changed enough to matter to whoever picks among nodes? */
bool discovery_vitals_moved(const struct discovery_vitals *old, const struct discovery_vitals *new);
