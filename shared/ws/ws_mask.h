/*
 * ws_mask: takes the mask off a WebSocket payload (RFC 6455, 5.3) while moving it. The relay's only
 * pass over a packet's bytes. Any thread.
 */
#pragma once

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The four mask bytes in the order of the wire, as one word of this machine's memory. */
static inline uint32_t
ws_mask_load(const uint8_t mask[4])
{
	uint32_t word;

	memcpy(&word, mask, sizeof(word));
	return word;
}

/* The mask as seen from `phase` bytes further on. */
static inline uint32_t
ws_mask_rotate(uint32_t mask, size_t phase)
{
	unsigned bits = 8 * (unsigned)(phase % 4);
	uint32_t word = le32toh(mask); /* the first byte lowest */

	return htole32(word >> bits | word << (-bits & 31));
}

/* to[i] = from[i] ^ mask[i % 4]. The two may overlap when `to` does not lie behind `from`. */
void ws_unmask(uint8_t *to, const uint8_t *from, size_t n, uint32_t mask);
