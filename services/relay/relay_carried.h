/*
 * relay_carried: what went over one session's legs, as far as it can be seen from outside: bytes of
 * datagrams, and how many of them are packets that WireGuard carries. Handshakes and keepalives are
 * bytes and no packets: a node that answers handshakes and drops the rest shows in the difference.
 */
#pragma once

#include <stdint.h>

struct relay_carried {
	uint64_t bytes_up, bytes_down; /* up: from the client */
	uint64_t data_up, data_down;
};

/* Of datagrams of so many bytes in all, as many of each type: WireGuard's own messages have their
 * sizes, and a transport message without a packet is a keepalive (WireGuard paper, section 5.4). */
static inline uint64_t
relay_carried_data(uint64_t bytes, uint32_t initiations, uint32_t responses, uint32_t cookies,
		   uint32_t transports)
{
	return bytes - UINT64_C(148) * initiations - UINT64_C(92) * responses -
	       UINT64_C(64) * cookies - UINT64_C(32) * transports;
}

static inline void
relay_carried_add(struct relay_carried *to, const struct relay_carried *more)
{
	to->bytes_up += more->bytes_up;
	to->bytes_down += more->bytes_down;
	to->data_up += more->data_up;
	to->data_down += more->data_down;
}
