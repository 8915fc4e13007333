/*
 * leg_mask: masks eight bytes at a time and writes the header backwards from the payload.
 */
#include "leg/leg_mask.h"

#include <string.h>

enum { FIN_BINARY = 0x82, MASKED = 0x80, LENGTH_16 = 126, LENGTH_64 = 127 };

void
leg_mask(uint8_t *payload, size_t n, const uint8_t key[LEG_MASK_BYTES])
{
	uint64_t wide;
	size_t i;

	memcpy(&wide, key, LEG_MASK_BYTES);
	memcpy((uint8_t *)&wide + LEG_MASK_BYTES, key, LEG_MASK_BYTES);
	for (i = 0; i + sizeof wide <= n; i += sizeof wide) {
		uint64_t word;
		memcpy(&word, payload + i, sizeof word);
		word ^= wide;
		memcpy(payload + i, &word, sizeof word);
	}
	for (; i < n; i++)
		payload[i] ^= key[i % LEG_MASK_BYTES];
}

size_t
leg_mask_header(uint8_t *payload, size_t n, const uint8_t key[LEG_MASK_BYTES])
{
	size_t length_n = n < LENGTH_16 ? 0 : n <= UINT16_MAX ? 2 : 8;
	size_t header_n = 2 + length_n + LEG_MASK_BYTES;
	uint8_t *header = payload - header_n;

	header[0] = FIN_BINARY;
	header[1] = (uint8_t)(MASKED | (length_n == 0 ? n : length_n == 2 ? LENGTH_16 : LENGTH_64));
	for (size_t i = 0; i < length_n; i++)
		header[2 + i] = (uint8_t)((uint64_t)n >> (8 * (length_n - 1 - i)));
	memcpy(header + 2 + length_n, key, LEG_MASK_BYTES);
	return header_n;
}
