/*
 * uuid: ids of nodes, clients and sessions (RFC 4122), lower case only, so that one id has one
 * text.
 */
#include "identity/hex.h"
#include "identity/key.h"
#include "identity/mac.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool
is_hyphen_place(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

int
uuid_parse(const char *text, uint8_t ret_id[UUID_BYTES])
{
	uint8_t id[UUID_BYTES];
	size_t digits = 0;

	if (strnlen(text, UUID_TEXT_BYTES) != UUID_TEXT_BYTES - 1)
		return -EINVAL;
	for (size_t i = 0; i < UUID_TEXT_BYTES - 1; i++) {
		bool is_upper = text[i] >= 'A' && text[i] <= 'F';
		int v = is_upper ? -1 : hex_digit(text[i]);

		if (is_hyphen_place(i)) {
			if (text[i] != '-')
				return -EINVAL;
			continue;
		}
		if (v < 0)
			return -EINVAL;
		id[digits / 2] = (uint8_t)(digits % 2 ? id[digits / 2] | v : v << 4);
		digits++;
	}
	memcpy(ret_id, id, UUID_BYTES);
	return 0;
}

void
uuid_format(const uint8_t id[UUID_BYTES], char ret_text[UUID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < UUID_BYTES; i++) {
		if (is_hyphen_place(n))
			ret_text[n++] = '-';
		ret_text[n++] = digits[id[i] >> 4];
		ret_text[n++] = digits[id[i] & 15];
	}
	ret_text[n] = '\0';
}

int
uuid_generate_text(char ret_text[UUID_TEXT_BYTES])
{
	uint8_t id[UUID_BYTES];
	int r = mac_random(id, sizeof(id));

	if (r < 0)
		return r;
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	uuid_format(id, ret_text);
	return 0;
}
