/*
 * ws_utf8: is this text UTF-8 (RFC 3629, the table of section 4)? Only close reasons and text
 * messages, which legs do not use, come here: plain rather than fast.
 */
#include "ws/ws_frame.h"

/* Bytes that follow a lead byte, and the range of the first of them. 0: it leads nothing. */
static size_t
followers(uint8_t lead, uint8_t *ret_low, uint8_t *ret_high)
{
	*ret_low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	*ret_high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 1;
	if (lead >= 0xe0 && lead <= 0xef)
		return 2;
	if (lead >= 0xf0 && lead <= 0xf4)
		return 3;
	return 0;
}

bool
ws_utf8_is_valid(const uint8_t *text, size_t n)
{
	size_t i = 0;

	while (i < n) {
		uint8_t lead = text[i++], low, high;

		if (lead < 0x80)
			continue;
		size_t more = followers(lead, &low, &high);
		if (more == 0 || more > n - i)
			return false;
		for (; more > 0; more--, i++) {
			if (text[i] < low || text[i] > high)
				return false;
			low = 0x80;
			high = 0xbf;
		}
	}
	return true;
}
