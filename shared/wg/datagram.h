/*
 * datagram: the outer shape of a WireGuard message (WireGuard paper, section 5.4), all that a relay
 * may know of it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum datagram_type {
	DATAGRAM_INITIATION = 1, /* exactly 148 bytes */
	DATAGRAM_RESPONSE = 2,	 /* exactly 92 */
	DATAGRAM_COOKIE = 3,	 /* exactly 64 */
	DATAGRAM_TRANSPORT = 4,	 /* 32 + 16n */
};

enum { DATAGRAM_MIN_BYTES = 32 };

/* The type, or 0 - reason: why it is none. */
enum datagram_fault {
	DATAGRAM_SHORT = -1,
	DATAGRAM_TYPE = -2,
	DATAGRAM_RESERVED = -3,
	DATAGRAM_LENGTH = -4
};

static inline int
datagram_check(const uint8_t *bytes, size_t n)
{
	if (n < DATAGRAM_MIN_BYTES)
		return DATAGRAM_SHORT;
	if ((bytes[1] | bytes[2] | bytes[3]) != 0)
		return DATAGRAM_RESERVED;
	switch (bytes[0]) {
	case DATAGRAM_INITIATION:
		return n == 148 ? DATAGRAM_INITIATION : DATAGRAM_LENGTH;
	case DATAGRAM_RESPONSE:
		return n == 92 ? DATAGRAM_RESPONSE : DATAGRAM_LENGTH;
	case DATAGRAM_COOKIE:
		return n == 64 ? DATAGRAM_COOKIE : DATAGRAM_LENGTH;
	case DATAGRAM_TRANSPORT:
		return n % 16 == 0 ? DATAGRAM_TRANSPORT : DATAGRAM_LENGTH;
	default:
		return DATAGRAM_TYPE;
	}
}
