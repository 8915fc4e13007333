/*
 * ws_mask: 128 bytes a step with AVX2 where the processor has it, else 8 bytes a step. All loads of
 * a step come before its stores, which is what allows moving towards the front in place; what does
 * not fill a step at the end is the last whole word once more, loaded before all others.
 */
#include "ws/ws_mask.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { WORD_BYTES = 8, VECTOR_BYTES = 32, STEP_BYTES = 4 * VECTOR_BYTES };

static uint64_t
load(const uint8_t *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	return word;
}

static uint64_t
widen(uint32_t mask)
{
	return (uint64_t)mask << 32 | mask;
}

/* n: WORD_BYTES at least. */
static void
unmask_words(uint8_t *to, const uint8_t *from, size_t n, uint32_t mask)
{
	size_t rest = n - WORD_BYTES;
	uint64_t last = load(from + rest) ^ widen(ws_mask_rotate(mask, rest)), word;

	for (size_t done = 0; done < rest; done += WORD_BYTES) {
		word = load(from + done) ^ widen(mask);
		memcpy(to + done, &word, sizeof(word));
	}
	memcpy(to + rest, &last, sizeof(last));
}

#if defined(__x86_64__)
/* n: VECTOR_BYTES at least. */
__attribute__((target("avx2"))) static void
unmask_vectors(uint8_t *to, const uint8_t *from, size_t n, uint32_t mask)
{
	const __m256i wide = _mm256_set1_epi32((int)mask);
	size_t rest = n - VECTOR_BYTES, done = 0;
	__m256i last = _mm256_loadu_si256((const __m256i_u *)(const void *)(from + rest));

	for (; done + STEP_BYTES <= n; done += STEP_BYTES) {
		const __m256i_u *in = (const __m256i_u *)(const void *)(from + done);
		__m256i_u *out = (__m256i_u *)(void *)(to + done);
		__m256i a = _mm256_xor_si256(_mm256_loadu_si256(in), wide);
		__m256i b = _mm256_xor_si256(_mm256_loadu_si256(in + 1), wide);
		__m256i c = _mm256_xor_si256(_mm256_loadu_si256(in + 2), wide);
		__m256i d = _mm256_xor_si256(_mm256_loadu_si256(in + 3), wide);

		_mm256_storeu_si256(out, a);
		_mm256_storeu_si256(out + 1, b);
		_mm256_storeu_si256(out + 2, c);
		_mm256_storeu_si256(out + 3, d);
	}
	for (; done < rest; done += VECTOR_BYTES) {
		__m256i a = _mm256_loadu_si256((const __m256i_u *)(const void *)(from + done));

		_mm256_storeu_si256((__m256i_u *)(void *)(to + done), _mm256_xor_si256(a, wide));
	}
	last = _mm256_xor_si256(last, _mm256_set1_epi32((int)ws_mask_rotate(mask, rest)));
	_mm256_storeu_si256((__m256i_u *)(void *)(to + rest), last);
}
#endif

void
ws_unmask(uint8_t *to, const uint8_t *from, size_t n, uint32_t mask)
{
#if defined(__x86_64__)
	if (n >= VECTOR_BYTES && __builtin_cpu_supports("avx2")) {
		unmask_vectors(to, from, n, mask);
		return;
	}
#endif
	if (n >= WORD_BYTES) {
		unmask_words(to, from, n, mask);
		return;
	}
	for (size_t i = 0; i < n; i++)
		to[i] = from[i] ^ ((const uint8_t *)&mask)[i % 4];
}
