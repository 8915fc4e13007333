/*
 * base64: RFC 4648, canonical forms only, so that one value has one text. No tables and no branches
 * on the data: keys pass through here.
 */
#include "identity/key.h"

#include <errno.h>
#include <string.h>

/* The last two characters of an alphabet. */
struct alphabet {
	int32_t char62, char63;
};

static const struct alphabet standard = { '+', '/' };
static const struct alphabet url_safe = { '-', '_' };

/* All ones when lo <= c <= hi, else 0. */
static int32_t
mask_between(int32_t c, int32_t lo, int32_t hi)
{
	return ~(((c - lo) | (hi - c)) >> 31);
}

static char
to_char(uint32_t six_bits, const struct alphabet *alphabet)
{
	int32_t v = (int32_t)(six_bits & 63);
	int32_t c = 0;

	c |= mask_between(v, 0, 25) & ('A' + v);
	c |= mask_between(v, 26, 51) & ('a' + v - 26);
	c |= mask_between(v, 52, 61) & ('0' + v - 52);
	c |= mask_between(v, 62, 62) & alphabet->char62;
	c |= mask_between(v, 63, 63) & alphabet->char63;
	return (char)c;
}

/* 0..63, or -1. */
static int32_t
from_char(char text, const struct alphabet *alphabet)
{
	int32_t c = (unsigned char)text;
	int32_t v = -1;

	v += mask_between(c, 'A', 'Z') & (c - 'A' + 1);
	v += mask_between(c, 'a', 'z') & (c - 'a' + 27);
	v += mask_between(c, '0', '9') & (c - '0' + 53);
	v += mask_between(c, alphabet->char62, alphabet->char62) & 63;
	v += mask_between(c, alphabet->char63, alphabet->char63) & 64;
	return v;
}

static char *
encode(const uint8_t *bytes, size_t n, const struct alphabet *alphabet, char *out)
{
	for (; n >= 3; n -= 3, bytes += 3) {
		uint32_t group = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];

		for (int shift = 18; shift >= 0; shift -= 6)
			*out++ = to_char(group >> shift, alphabet);
	}
	if (n > 0) {
		uint32_t group = (uint32_t)bytes[0] << 16;

		if (n == 2)
			group |= (uint32_t)bytes[1] << 8;
		*out++ = to_char(group >> 18, alphabet);
		*out++ = to_char(group >> 12, alphabet);
		if (n == 2)
			*out++ = to_char(group >> 6, alphabet);
	}
	return out;
}

/* text: n characters, no padding. */
static int
decode(const char *text, size_t n, const struct alphabet *alphabet, uint8_t *out, size_t capacity)
{
	size_t bytes = n / 4 * 3 + (n % 4 ? n % 4 - 1 : 0);
	uint32_t bits = 0;
	unsigned have = 0;
	int32_t bad = 0;

	if (n % 4 == 1 || bytes > capacity || bytes > INT32_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		int32_t v = from_char(text[i], alphabet);

		bad |= v;
		bits = bits << 6 | ((uint32_t)v & 63);
		have += 6;
		if (have >= 8) {
			have -= 8;
			*out++ = (uint8_t)(bits >> have);
		}
	}
	/* Bits that no byte took must be zero: a second text for the same bytes otherwise. */
	if (bad < 0 || (bits & ((1u << have) - 1)) != 0)
		return -EINVAL;
	return (int)bytes;
}

void
base64_encode(const uint8_t *bytes, size_t n, char *ret_text)
{
	char *end = encode(bytes, n, &standard, ret_text);

	while ((end - ret_text) % 4 != 0)
		*end++ = '=';
	*end = '\0';
}

int
base64_decode(const char *text, uint8_t *ret_bytes, size_t capacity)
{
	size_t n = strlen(text);
	size_t padding = 0;

	if (n % 4 != 0)
		return -EINVAL;
	while (padding < 2 && padding < n && text[n - 1 - padding] == '=')
		padding++;
	return decode(text, n - padding, &standard, ret_bytes, capacity);
}

void
base64url_encode(const uint8_t *bytes, size_t n, char *ret_text)
{
	*encode(bytes, n, &url_safe, ret_text) = '\0';
}

int
base64url_decode(const char *text, size_t n, uint8_t *ret_bytes, size_t capacity)
{
	return decode(text, n, &url_safe, ret_bytes, capacity);
}
