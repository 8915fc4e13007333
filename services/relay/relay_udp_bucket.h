/*
 * relay_udp_bucket: how many packets a source that is not known to be anybody may send, by its
 * prefix, of relay_bucket's buckets. A model: no clock. One thread.
 */
#pragma once

#include "relay/relay_bucket.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	RELAY_UDP_PREFIXES = 65536,
	RELAY_UDP_RATE = 20, /* a second */
	RELAY_UDP_BURST = 5,
	RELAY_UDP_PREFIX_BYTES = RELAY_SOURCE_BYTES,
};

/* What shares a bucket: a network (/24 of IPv4, /48 of IPv6), where anybody may have forged the
 * address; or one customer's line (/32, /56), for those who have shown that they are there. */
enum relay_udp_share { RELAY_UDP_NETWORK, RELAY_UDP_LINE };

/* Of RELAY_UDP_PREFIXES buckets. */
bool relay_udp_buckets_take(struct relay_buckets *buckets, enum relay_udp_share share,
			    const struct in6_addr *address, int64_t now_ms);

/* The prefix of an address: family and share, and the bytes of it. */
void relay_udp_prefix(enum relay_udp_share share, const struct in6_addr *address,
		      uint8_t ret[RELAY_UDP_PREFIX_BYTES]);
