/*
 * gateway_trace: a new request id; see the header.
 */
#include "gateway/gateway_trace.h"

#include "identity/mac.h"

#include <stdint.h>

enum { TRACE_RAW_BYTES = 16 };

void
gateway_trace_make(struct gateway_traces *traces, char ret_trace[BUS_TRACE_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	if (traces->left < TRACE_RAW_BYTES) {
		/* Without randomness old ids come again: they are labels, not secrets. */
		(void)!mac_random(traces->pool, sizeof(traces->pool));
		traces->left = sizeof(traces->pool);
	}
	traces->left -= TRACE_RAW_BYTES;
	const uint8_t *random = traces->pool + traces->left;
	for (size_t i = 0; i < TRACE_RAW_BYTES; i++) {
		ret_trace[2 * i] = digits[random[i] >> 4];
		ret_trace[2 * i + 1] = digits[random[i] & 15];
	}
	ret_trace[(size_t)2 * TRACE_RAW_BYTES] = '\0';
}
