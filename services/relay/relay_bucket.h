/*
 * relay_bucket: token buckets, by themselves or by source in a table of fixed size under a secret
 * hash, so that nobody can aim at another's bucket. A source that lands where another one is takes
 * its place, with a full bucket: a flood of addresses gets a burst each, no more. The limit is for
 * those that cannot choose theirs. A model: no clock. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { RELAY_SOURCE_BYTES = 8 };

struct relay_tokens {
	int64_t updated_ms;
	uint32_t milli; /* thousandths of a token */
};

/* Takes one, if there is one, of a bucket that gets `rate` a second and holds `burst`. All zero:
 * never used, hence full. */
bool relay_tokens_take(struct relay_tokens *tokens, uint32_t rate, uint32_t burst, int64_t now_ms);

struct relay_bucket {
	uint64_t hash;
	struct relay_tokens tokens;
};

struct relay_buckets {
	uint64_t secret[2];
	uint32_t n;
	struct relay_bucket *table;
};

/* n: power of two. 0 or -errno. */
int relay_buckets_init(struct relay_buckets *buckets, uint32_t n);
void relay_buckets_fini(struct relay_buckets *buckets);

/* Takes one of the bucket of this source: what all who share it have in common of their addresses.
 */
bool relay_buckets_take(struct relay_buckets *buckets, const uint8_t source[RELAY_SOURCE_BYTES],
			uint32_t rate, uint32_t burst, int64_t now_ms);
