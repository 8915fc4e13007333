/*
 * gateway_trace: request ids: 16 random bytes as 32 hex digits. Randomness is fetched for many at
 * once. One thread.
 */
#pragma once

#include "bus/bus.h"

enum { GATEWAY_TRACES_POOL_BYTES = 1024 };

/* Start with {0}. */
struct gateway_traces {
	uint8_t pool[GATEWAY_TRACES_POOL_BYTES];
	size_t left;
};

void gateway_trace_make(struct gateway_traces *traces, char ret_trace[BUS_TRACE_BYTES]);
