/*
 * relay_load: how full this relay is, as routing and clients are told: 0 idle, 1 full. The
 * largest of
 *
 *	processor	time that the busiest shard used, of a core
 *	legs		of [relay] max_legs
 *	bytes		in and out a second, of [relay] bandwidth, where that is set
 *	waiting		bytes in queues, of [relay] queue_budget
 *	lag		the longest turn of a shard's loop in the last second, of 50 ms
 *
 * smoothed over a few seconds, except that a relay that drains is full at once. Control actor.
 */
#pragma once

#include "relay/relay_settings.h"

#include <stdint.h>

struct relay_control;

struct relay_load {
	double value;
	int64_t at_us;
	uint64_t busy_us[RELAY_SHARDS_MAX], bytes;
};

/* Once a second; now_us: clock_monotonic_us(). */
void relay_load_measure(struct relay_control *control, int64_t now_us);
