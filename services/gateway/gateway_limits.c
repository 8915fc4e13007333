/*
 * gateway_limits: rate buckets and the addresses they are for; see the header.
 */
#include "gateway/gateway_limits.h"

#include "net/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { V4_MAPPED_BITS = 96 };

static const char *const class_names[RATE_CLASSES] = {
	[RATE_GENERAL] = "general",	[RATE_PROBE] = "probe",
	[RATE_CHALLENGE] = "challenge", [RATE_ENROLMENT] = "enrolment",
	[RATE_HEARTBEAT] = "heartbeat", [RATE_ADMIN] = "admin",
};

const char *gateway_rate_name(enum gateway_rate class)
{
	return class_names[class];
}

int
gateway_networks_add(struct gateway_networks *networks, const char *const *cidrs)
{
	for (; cidrs != NULL && *cidrs != NULL; cidrs++) {
		unsigned int bits;

		if (networks->n == GATEWAY_NETWORKS_MAX)
			return -E2BIG;
		if (address_parse_network(*cidrs, &networks->of[networks->n].address, &bits) < 0)
			return -EINVAL;
		if (strchr(*cidrs, ':') == NULL)
			bits += V4_MAPPED_BITS;
		networks->of[networks->n++].bits = bits;
	}
	return 0;
}

static bool
address_is_in(const struct in6_addr *address, const struct in6_addr *network, unsigned int bits)
{
	size_t whole = bits / 8;
	if (memcmp(address->s6_addr, network->s6_addr, whole) != 0)
		return false;
	if (bits % 8 == 0)
		return true;
	unsigned int mask = (0xff00u >> (bits % 8)) & 0xffu;
	return ((address->s6_addr[whole] ^ network->s6_addr[whole]) & mask) == 0;
}

bool
gateway_networks_have(const struct gateway_networks *networks, const struct in6_addr *address)
{
	for (size_t i = 0; i < networks->n; i++) {
		if (address_is_in(address, &networks->of[i].address, networks->of[i].bits))
			return true;
	}
	return false;
}

bool
gateway_limits_is_proxy(const struct gateway_limits *limits, const struct in6_addr *address)
{
	return gateway_networks_have(&limits->proxies, address);
}

/* One entry of the list: an address, perhaps with blanks around, brackets or a port. */
static int
entry_parse(const char *entry, size_t n, struct in6_addr *ret)
{
	char text[INET6_ADDRSTRLEN + 10];
	while (n > 0 && (*entry == ' ' || *entry == '\t')) {
		entry++;
		n--;
	}
	while (n > 0 && (entry[n - 1] == ' ' || entry[n - 1] == '\t'))
		n--;
	if (n == 0 || n >= sizeof(text))
		return -EINVAL;
	memcpy(text, entry, n);
	text[n] = '\0';
	char *start = text, *colon = strchr(text, ':');
	if (*text == '[') {
		start = text + 1;
		start[strcspn(start, "]")] = '\0';
	} else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
		*colon = '\0';
	}
	return address_parse(start, ret);
}

int
gateway_limits_origin(const struct gateway_limits *limits, const struct in6_addr *peer,
		      const char *forwarded_for, struct in6_addr *ret)
{
	*ret = *peer;
	if (forwarded_for == NULL)
		return 0;
	size_t end = strlen(forwarded_for);
	while (gateway_limits_is_proxy(limits, ret) && end > 0) {
		size_t start = end;
		while (start > 0 && forwarded_for[start - 1] != ',')
			start--;
		if (entry_parse(forwarded_for + start, end - start, ret) < 0)
			return -EINVAL;
		end = start > 0 ? start - 1 : 0;
	}
	return 0;
}

/* Probes are many, and ours alone to answer. */
static bool
is_shared(const struct gateway_limits *limits, enum gateway_rate class)
{
	return limits->shared != NULL && class != RATE_PROBE;
}

static uint32_t
take(const struct gateway_limits *limits, enum gateway_rate class, const char *key,
     uint32_t per_minute, int64_t now_ms)
{
	if (per_minute == 0)
		return 0;
	int64_t wait_ms = cache_take(limits->cache, key, per_minute, per_minute, now_ms);
	if (wait_ms == 0 && is_shared(limits, class))
		limits_shared_tell(limits->shared, key, per_minute);
	/* Out of memory limits nobody. */
	return wait_ms > 0 ? (uint32_t)((wait_ms + 999) / 1000) : 0;
}

struct in6_addr
gateway_limits_network(const struct in6_addr *address)
{
	struct in6_addr network = *address;
	if (!IN6_IS_ADDR_V4MAPPED(address))
		memset(network.s6_addr + 8, 0, 8);
	return network;
}

uint32_t
gateway_limits_take_address(const struct gateway_limits *limits, enum gateway_rate class,
			    const struct in6_addr *address, int64_t now_ms)
{
	char key[LIMITS_KEY_BYTES], text[INET6_ADDRSTRLEN];
	struct in6_addr network = gateway_limits_network(address);
	address_format(&network, text);
	snprintf(key, sizeof(key), "gateway:address:%s:%s", class_names[class], text);
	return take(limits, class, key, limits->per_address[class], now_ms);
}

uint32_t
gateway_limits_take_subject(const struct gateway_limits *limits, enum gateway_rate class,
			    const char *subject, int64_t now_ms)
{
	char key[LIMITS_KEY_BYTES];
	snprintf(key, sizeof(key), "gateway:subject:%s:%s", class_names[class], subject);
	return take(limits, class, key, limits->per_subject[class], now_ms);
}
