/*
 * relay_udp_bucket: see the header.
 */
#include "relay/relay_udp_bucket.h"

#include <string.h>

void
relay_udp_prefix(enum relay_udp_share share, const struct in6_addr *address,
		 uint8_t ret[RELAY_UDP_PREFIX_BYTES])
{
	bool is_line = share == RELAY_UDP_LINE;

	memset(ret, 0, RELAY_UDP_PREFIX_BYTES);
	if (IN6_IS_ADDR_V4MAPPED(address)) {
		ret[0] = is_line ? 32 : 24;
		memcpy(ret + 1, address->s6_addr + 12, is_line ? 4 : 3);
	} else {
		ret[0] = is_line ? 56 : 48;
		memcpy(ret + 1, address->s6_addr, is_line ? 7 : 6);
	}
}

bool
relay_udp_buckets_take(struct relay_buckets *buckets, enum relay_udp_share share,
		       const struct in6_addr *address, int64_t now_ms)
{
	uint8_t prefix[RELAY_UDP_PREFIX_BYTES];

	relay_udp_prefix(share, address, prefix);
	return relay_buckets_take(buckets, prefix, RELAY_UDP_RATE, RELAY_UDP_BURST, now_ms);
}
