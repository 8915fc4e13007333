/*
 * relay_udp_mac1: BLAKE2s by the text of RFC 7693, with the state after the key block kept.
 */
#include "relay/relay_udp_mac1.h"

#include <string.h>

enum { BLOCK_BYTES = 64, ROUNDS = 10, DIGEST_BYTES = 32 };

static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
				     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

static const uint8_t order[ROUNDS][16] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
	{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
	{ 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
	{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
	{ 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
	{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
	{ 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
	{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
	{ 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
};

static uint32_t
load(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

static void
store(uint8_t *bytes, uint32_t word)
{
	for (unsigned i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(word >> (8 * i));
}

static inline uint32_t
rotate(uint32_t word, unsigned n)
{
	return word >> n | word << (32 - n);
}

#define MIX(a, b, c, d, x, y)                   \
	do {                                    \
		v[a] = v[a] + v[b] + (x);       \
		v[d] = rotate(v[d] ^ v[a], 16); \
		v[c] = v[c] + v[d];             \
		v[b] = rotate(v[b] ^ v[c], 12); \
		v[a] = v[a] + v[b] + (y);       \
		v[d] = rotate(v[d] ^ v[a], 8);  \
		v[c] = v[c] + v[d];             \
		v[b] = rotate(v[b] ^ v[c], 7);  \
	} while (0)

/* One block; counted: the bytes hashed with it, less than 4 GiB here. */
static void
compress(uint32_t state[8], const uint8_t block[BLOCK_BYTES], uint32_t counted, bool is_last)
{
	uint32_t v[16], m[16];

	for (unsigned i = 0; i < 16; i++)
		m[i] = load(block + 4 * i);
	memcpy(v, state, 8 * sizeof(*v));
	memcpy(v + 8, initial, sizeof(initial));
	v[12] ^= counted;
	if (is_last)
		v[14] = ~v[14];
#pragma GCC unroll 10
	for (unsigned r = 0; r < ROUNDS; r++) {
		const uint8_t *s = order[r];

		MIX(0, 4, 8, 12, m[s[0]], m[s[1]]);
		MIX(1, 5, 9, 13, m[s[2]], m[s[3]]);
		MIX(2, 6, 10, 14, m[s[4]], m[s[5]]);
		MIX(3, 7, 11, 15, m[s[6]], m[s[7]]);
		MIX(0, 5, 10, 15, m[s[8]], m[s[9]]);
		MIX(1, 6, 11, 12, m[s[10]], m[s[11]]);
		MIX(2, 7, 8, 13, m[s[12]], m[s[13]]);
		MIX(3, 4, 9, 14, m[s[14]], m[s[15]]);
	}
	for (unsigned i = 0; i < 8; i++)
		state[i] ^= v[i] ^ v[i + 8];
}

static void
begin(uint32_t state[8], size_t digest_bytes, size_t key_bytes)
{
	memcpy(state, initial, sizeof(initial));
	state[0] ^= 0x01010000 ^ (uint32_t)key_bytes << 8 ^ (uint32_t)digest_bytes;
}

/* What follows; `before` bytes have been hashed. There is at least one. */
static void
finish(uint32_t state[8], uint32_t before, const uint8_t *bytes, size_t n)
{
	uint8_t last[BLOCK_BYTES] = { 0 };

	for (; n > BLOCK_BYTES; n -= BLOCK_BYTES, bytes += BLOCK_BYTES)
		compress(state, bytes, before += BLOCK_BYTES, false);
	memcpy(last, bytes, n);
	compress(state, last, before + (uint32_t)n, true);
}

void
blake2s(const uint8_t *bytes, size_t n, uint8_t *ret, size_t digest_bytes)
{
	uint8_t digest[DIGEST_BYTES];
	uint32_t state[8];

	begin(state, digest_bytes, 0);
	finish(state, 0, bytes, n);
	for (unsigned i = 0; i < 8; i++)
		store(digest + 4 * i, state[i]);
	memcpy(ret, digest, digest_bytes);
}

void
mac1_key_init_raw(struct mac1_key *ret, const uint8_t *key, size_t n)
{
	uint8_t block[BLOCK_BYTES] = { 0 };

	memcpy(block, key, n);
	begin(ret->state, MAC1_BYTES, n);
	compress(ret->state, block, BLOCK_BYTES, false);
}

void
mac1_key_init(struct mac1_key *ret, const uint8_t public_key[MAC1_PUBLIC_KEY_BYTES])
{
	static const char label[8] = "mac1----"; /* no NUL */
	uint8_t input[sizeof(label) + MAC1_PUBLIC_KEY_BYTES], key[DIGEST_BYTES];

	memcpy(input, label, sizeof(label));
	memcpy(input + sizeof(label), public_key, MAC1_PUBLIC_KEY_BYTES);
	blake2s(input, sizeof(input), key, sizeof(key));
	mac1_key_init_raw(ret, key, sizeof(key));
}

void
mac1_compute(const struct mac1_key *key, const uint8_t *bytes, size_t n, uint8_t ret[MAC1_BYTES])
{
	uint32_t state[8];

	memcpy(state, key->state, sizeof(state));
	finish(state, BLOCK_BYTES, bytes, n);
	for (unsigned i = 0; i < MAC1_BYTES / 4; i++)
		store(ret + 4 * i, state[i]);
}

bool
mac1_is_for(const struct mac1_key *key, const uint8_t *message, size_t n)
{
	uint8_t mac1[MAC1_BYTES];

	mac1_compute(key, message, n - MAC1_TAIL_BYTES, mac1);
	return memcmp(mac1, message + n - MAC1_TAIL_BYTES, MAC1_BYTES) == 0;
}
