/*
 * relay_bucket: see the header.
 */
#include "relay/relay_bucket.h"

#include "idtable/idtable.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

bool
relay_tokens_take(struct relay_tokens *tokens, uint32_t rate, uint32_t burst, int64_t now_ms)
{
	uint64_t full = (uint64_t)burst * 1000, milli = full;

	if (tokens->updated_ms != 0) {
		milli = tokens->milli + (uint64_t)(now_ms - tokens->updated_ms) * rate;
		milli = milli < full ? milli : full;
	}
	bool is_taken = milli >= 1000;
	*tokens = (struct relay_tokens){ now_ms, (uint32_t)(is_taken ? milli - 1000 : milli) };
	return is_taken;
}

int
relay_buckets_init(struct relay_buckets *buckets, uint32_t n)
{
	buckets->n = n;
	buckets->table = calloc(n, sizeof(*buckets->table));
	if (buckets->table == NULL)
		return -ENOMEM;
	return getrandom(buckets->secret, sizeof(buckets->secret), 0) < 0 ? -errno : 0;
}

void
relay_buckets_fini(struct relay_buckets *buckets)
{
	free(buckets->table);
	buckets->table = NULL;
}

bool
relay_buckets_take(struct relay_buckets *buckets, const uint8_t source[RELAY_SOURCE_BYTES],
		   uint32_t rate, uint32_t burst, int64_t now_ms)
{
	uint64_t hash = idtable_siphash(buckets->secret, source, RELAY_SOURCE_BYTES);
	struct relay_bucket *bucket = &buckets->table[hash & (buckets->n - 1)];

	if (bucket->hash != hash)
		*bucket = (struct relay_bucket){ .hash = hash };
	return relay_tokens_take(&bucket->tokens, rate, burst, now_ms);
}
