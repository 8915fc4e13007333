/*
 * ws_mask: 128 bytes a step with AVX2 where the processor has it, else 8 bytes a step. All loads of
 * a step come before its stores, which is what allows moving towards the front in place.
 */
#include "ws/ws_mask.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { WS_MASK_WIDE_BYTES = 128 };

uint32_t
ws_mask_load(const uint8_t mask[4])
{
	uint32_t word;

	memcpy(&word, mask, sizeof(word));
	return word;
}

uint32_t
ws_mask_rotate(uint32_t mask, size_t phase)
{
	uint8_t bytes[8];

	memcpy(bytes, &mask, 4);
	memcpy(bytes + 4, &mask, 4);
	return ws_mask_load(bytes + phase % 4);
}

static void
unmask_words(uint8_t *to, const uint8_t *from, size_t n, uint32_t mask)
{
	uint64_t wide = (uint64_t)mask << 32 | mask, word;
	uint8_t bytes[4];

	for (; n >= sizeof(word); n -= sizeof(word)) {
		memcpy(&word, from, sizeof(word));
		word ^= wide;
		memcpy(to, &word, sizeof(word));
		to += sizeof(word);
		from += sizeof(word);
	}
	memcpy(bytes, &mask, sizeof(bytes));
	for (size_t i = 0; i < n; i++)
		to[i] = from[i] ^ bytes[i % 4];
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static size_t
unmask_wide(uint8_t *to, const uint8_t *from, size_t n, uint32_t mask)
{
	const __m256i wide = _mm256_set1_epi32((int)mask);
	size_t done = 0;

	for (; n - done >= WS_MASK_WIDE_BYTES; done += WS_MASK_WIDE_BYTES) {
		const __m256i_u *in = (const __m256i_u *)(const void *)(from + done);
		__m256i_u *out = (__m256i_u *)(void *)(to + done);
		__m256i a = _mm256_loadu_si256(in), b = _mm256_loadu_si256(in + 1);
		__m256i c = _mm256_loadu_si256(in + 2), d = _mm256_loadu_si256(in + 3);

		_mm256_storeu_si256(out, _mm256_xor_si256(a, wide));
		_mm256_storeu_si256(out + 1, _mm256_xor_si256(b, wide));
		_mm256_storeu_si256(out + 2, _mm256_xor_si256(c, wide));
		_mm256_storeu_si256(out + 3, _mm256_xor_si256(d, wide));
	}
	return done;
}
#endif

void
ws_unmask(uint8_t *to, const uint8_t *from, size_t n, uint32_t mask)
{
	size_t done = 0;

	if (n == 0)
		return; /* and then the pointers may be NULL */
#if defined(__x86_64__)
	if (n >= WS_MASK_WIDE_BYTES && __builtin_cpu_supports("avx2"))
		done = unmask_wide(to, from, n, mask);
#endif
	unmask_words(to + done, from + done, n - done, mask);
}
