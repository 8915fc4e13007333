/*
 * relay_lane: a channel's lane in one direction: a lane of queue/fair_queue.h, what its frames
 * hold, and what its sender has not been told yet. Shard thread only.
 */
#pragma once

#include "queue/fair_queue.h"

/* What its frames hold and whom they come from. */
enum relay_lane_form {
	RELAY_LANE_TO_NODE,
	RELAY_LANE_TO_CLIENT,
	RELAY_LANE_TO_RAW_CLIENT, /* a frame is a datagram */
};

struct relay_lane {
	struct fair_lane fair; /* first: a drop's lane is one of these */
	uint8_t form;	       /* enum relay_lane_form */
	/* See relay_drops: what was dropped since its sender was last told. */
	bool is_told;
	uint8_t reason;
	uint32_t dropped, retry_ms, told_at_ms;
};
