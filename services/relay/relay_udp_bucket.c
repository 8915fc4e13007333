/*
 * relay_udp_bucket: see the header.
 */
#include "relay/relay_udp_bucket.h"

#include "idtable/idtable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool
relay_udp_tokens_take(struct relay_udp_tokens *tokens, uint32_t rate, uint32_t burst,
		      int64_t now_ms)
{
	uint64_t full = (uint64_t)burst * 1000, milli = full;

	if (tokens->updated_ms != 0) {
		milli = tokens->milli + (uint64_t)(now_ms - tokens->updated_ms) * rate;
		milli = milli < full ? milli : full;
	}
	bool is_taken = milli >= 1000;
	*tokens = (struct relay_udp_tokens){ now_ms, (uint32_t)(is_taken ? milli - 1000 : milli) };
	return is_taken;
}

int
relay_udp_buckets_init(struct relay_udp_buckets *buckets)
{
	buckets->table = calloc(RELAY_UDP_PREFIXES, sizeof(*buckets->table));
	if (buckets->table == NULL)
		return -ENOMEM;
	return getrandom(buckets->secret, sizeof(buckets->secret), 0) < 0 ? -errno : 0;
}

void
relay_udp_buckets_fini(struct relay_udp_buckets *buckets)
{
	free(buckets->table);
	buckets->table = NULL;
}

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
relay_udp_buckets_take(struct relay_udp_buckets *buckets, enum relay_udp_share share,
		       const struct in6_addr *address, int64_t now_ms)
{
	uint8_t prefix[RELAY_UDP_PREFIX_BYTES];

	relay_udp_prefix(share, address, prefix);
	uint64_t hash = idtable_siphash(buckets->secret, prefix, sizeof(prefix));
	struct relay_udp_prefix_bucket *bucket = &buckets->table[hash & (RELAY_UDP_PREFIXES - 1)];
	if (bucket->hash != hash)
		*bucket = (struct relay_udp_prefix_bucket){ .hash = hash };
	return relay_udp_tokens_take(&bucket->tokens, RELAY_UDP_RATE, RELAY_UDP_BURST, now_ms);
}
