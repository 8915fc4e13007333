/* SipHash-2-4. See cache_hash.h. */
#include "cache/cache_hash.h"

#include <endian.h>
#include <string.h>

struct sip {
	uint64_t a, b, c, d;
};

static uint64_t
rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static uint64_t
load(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return le64toh(value);
}

static void
mix(struct sip *s)
{
	s->a += s->b;
	s->b = rotate(s->b, 13) ^ s->a;
	s->a = rotate(s->a, 32);
	s->c += s->d;
	s->d = rotate(s->d, 16) ^ s->c;
	s->a += s->d;
	s->d = rotate(s->d, 21) ^ s->a;
	s->c += s->b;
	s->b = rotate(s->b, 17) ^ s->c;
	s->c = rotate(s->c, 32);
}

static void
absorb(struct sip *s, uint64_t word)
{
	s->d ^= word;
	mix(s);
	mix(s);
	s->a ^= word;
}

/* What overflows on the way is meant to. */
uint64_t
cache_hash(const uint8_t secret[CACHE_HASH_SECRET_BYTES], const void *bytes, size_t n)
{
	uint64_t k0 = load(secret), k1 = load(secret + 8);
	struct sip s = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
			 k1 ^ 0x7465646279746573 };
	const uint8_t *next = bytes;
	uint8_t last[8] = { 0 };

	for (size_t left = n; left >= 8; left -= 8, next += 8)
		absorb(&s, load(next));
	memcpy(last, next, n % 8);
	last[7] = (uint8_t)n;
	absorb(&s, load(last));
	s.c ^= 0xff;
	for (int i = 0; i < 4; i++)
		mix(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}
