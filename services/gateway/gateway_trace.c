/*
 * gateway_trace: a new request id; see the header.
 */
#include "gateway/gateway_trace.h"

#include "identity/mac.h"

#include <stdint.h>
#include <stdio.h>

void
gateway_trace_make(char ret_trace[BUS_TRACE_BYTES])
{
	uint8_t random[16] = { 0 };
	/* Without randomness a request id of zeros: it is a label, not a secret. */
	(void)!mac_random(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(ret_trace + 2 * i, 3, "%02x", random[i]);
}
