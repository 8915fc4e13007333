/*
 * relay_udp_bucket: token buckets by source prefix in a table of fixed size under a secret hash, so
 * that nobody can aim at another's bucket. A prefix that lands where another one is takes its
 * place, with a full bucket: a flood of addresses gets a burst each, no more. A model: no clock.
 * One thread.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	RELAY_UDP_PREFIXES = 65536,
	RELAY_UDP_RATE = 20, /* a second */
	RELAY_UDP_BURST = 5,
	RELAY_UDP_PREFIX_BYTES = 8,
};

/* One bucket by itself, of RELAY_UDP_RATE and RELAY_UDP_BURST or others. */
struct relay_udp_tokens {
	int64_t updated_ms;
	uint32_t milli; /* thousandths of a token */
};

/* Takes one, if there is one. All zero: never used, hence full. */
bool relay_udp_tokens_take(struct relay_udp_tokens *tokens, uint32_t rate, uint32_t burst,
			   int64_t now_ms);

struct relay_udp_prefix_bucket {
	uint64_t hash;
	struct relay_udp_tokens tokens;
};

struct relay_udp_buckets {
	uint64_t secret[2];
	struct relay_udp_prefix_bucket *table;
};

int relay_udp_buckets_init(struct relay_udp_buckets *buckets);
void relay_udp_buckets_fini(struct relay_udp_buckets *buckets);

/* What shares a bucket: a network (/24 of IPv4, /48 of IPv6), where anybody may have forged the
 * address; or one customer's line (/32, /56), for those who have shown that they are there. */
enum relay_udp_share { RELAY_UDP_NETWORK, RELAY_UDP_LINE };

/* A packet from a source that is not known to be anybody. */
bool relay_udp_buckets_take(struct relay_udp_buckets *buckets, enum relay_udp_share share,
			    const struct in6_addr *address, int64_t now_ms);

/* The prefix of an address: family and share, and the bytes of it. */
void relay_udp_prefix(enum relay_udp_share share, const struct in6_addr *address,
		      uint8_t ret[RELAY_UDP_PREFIX_BYTES]);
