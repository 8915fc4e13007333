/* stun_wire: what reading and writing of messages share. Only shared/stun includes this. */
#pragma once

#include "stun/stun_message.h"

enum { STUN_MAC_BYTES = 20 };

#define STUN_MAGIC UINT32_C(0x2112a442)

static inline uint16_t
stun_read16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t
stun_read32(const uint8_t *bytes)
{
	return (uint32_t)stun_read16(bytes) << 16 | stun_read16(bytes + 2);
}

static inline void
stun_write16(uint8_t *bytes, uint16_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

static inline void
stun_write32(uint8_t *bytes, uint32_t value)
{
	stun_write16(bytes, (uint16_t)(value >> 16));
	stun_write16(bytes + 2, (uint16_t)value);
}

/* Of the message up to the attribute that will hold it. */
uint32_t stun_fingerprint(const uint8_t *bytes, size_t n);
int stun_integrity(const uint8_t *bytes, size_t n, const uint8_t *key, size_t key_n,
		   uint8_t ret[STUN_MAC_BYTES]);

/* To the mapped form, or IPv6. */
void stun_from_native(const struct sockaddr_storage *address, struct sockaddr_in6 *ret);
