/*
 * gateway_trace: a new request id: 32 hex digits, which the answer, the log and the bus call carry.
 */
#pragma once

#include "bus/bus.h"

void gateway_trace_make(char ret_trace[BUS_TRACE_BYTES]);
