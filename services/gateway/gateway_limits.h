/*
 * gateway_limits: how many requests an address and a subject may make. Buckets are our own, settled
 * with other gateways' if they share a cache (gateway_limits_shared). Before an address is counted
 * it is found out: forwarded-for headers count only from configured proxies (P10). One thread.
 */
#pragma once

#include "cache/cache.h"
#include "gateway/gateway_endpoints.h"
#include "gateway/gateway_limits_shared.h"

#include <netinet/in.h>

enum { GATEWAY_NETWORKS_MAX = 64 };

struct gateway_networks {
	struct {
		struct in6_addr address;
		unsigned int bits;
	} of[GATEWAY_NETWORKS_MAX];
	size_t n;
};

/* cidrs: "10.0.0.0/8", NULL-terminated; they are added. -EINVAL, -E2BIG. */
int gateway_networks_add(struct gateway_networks *networks, const char *const *cidrs);
bool gateway_networks_have(const struct gateway_networks *networks, const struct in6_addr *address);

struct gateway_limits {
	struct cache *cache;
	struct limits_shared *shared;	    /* or NULL */
	uint32_t per_address[RATE_CLASSES]; /* a minute */
	uint32_t per_subject[RATE_CLASSES];
	struct gateway_networks proxies; /* whose X-Forwarded-For counts */
};

bool gateway_limits_is_proxy(const struct gateway_limits *limits, const struct in6_addr *address);

/* Where a request comes from: peer itself, or, when peer is a trusted proxy, the last address of
 * X-Forwarded-For (all its lines joined by commas; NULL: none) that is not one. A list that cannot
 * be read up to there: -EINVAL. */
int gateway_limits_origin(const struct gateway_limits *limits, const struct in6_addr *peer,
			  const char *forwarded_for, struct in6_addr *ret);

/* What counts as one address: an IPv4 address, or an IPv6 /64, all of which one host may have. */
struct in6_addr gateway_limits_network(const struct in6_addr *address);

/* Takes one from a bucket: seconds to wait, 0: go on. Never blocks. */
uint32_t gateway_limits_take_address(const struct gateway_limits *limits, enum gateway_rate class,
				     const struct in6_addr *address, int64_t now_ms);
uint32_t gateway_limits_take_subject(const struct gateway_limits *limits, enum gateway_rate class,
				     const char *subject, int64_t now_ms);

const char *gateway_rate_name(enum gateway_rate class);
