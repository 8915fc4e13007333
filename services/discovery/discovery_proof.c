/*
 * discovery: is a registration sent by who holds the key? The proof comes before anything that
 * depends on what we know, so that a stranger learns nothing from the answer: wrong key, unknown
 * node and stale cookie look alike, in body and in time (T01, T07, P01).
 *
 * A node that changes its key sends two proofs over the same body, `v1 ..., v1 ...`: by the new key
 * first, by the key that it has second. Both are computed whenever there are two, whatever is wrong
 * with either, and with the new key in the place of one that is not known.
 */
#include "discovery/discovery_replicas.h"

#include "identity/proof.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BODY_HASH_BYTES = 32, NONCE_KEY_BYTES = 2 * PROOF_NONCE_BYTES + 1 };

void
discovery_refuse(struct discovery *discovery, void *call, enum bus_status status, const char *code,
		 const char *field)
{
	metric_add(discovery->refused, 1);
	bus_call_fail(call, status, code, field);
}

/* In the transaction of the registration: what is refused after all has used its proof up as well.
 */
static int
nonce_first_in_store(struct discovery *discovery, const char *key)
{
	struct discovery_stamp stamp;

	if (discovery_stamp(discovery, &stamp) != 0)
		return -EIO;
	return discovery_store_first_proof(discovery->store, key, clock_wall_ms());
}

/* As cache_first. Our own memory counts too: what Redis forgets (FLUSHALL, a failover) is no second
 * chance here. Replicas have their tables in common, which decide; Redis then only spares them the
 * question, and may be away (F16). Without such tables a cache that cannot say lets nobody through.
 */
static int
nonce_first(struct discovery *discovery, const uint8_t nonce[PROOF_NONCE_BYTES])
{
	char key[NONCE_KEY_BYTES];
	int64_t now_ms = clock_monotonic_ms();
	int first = 1;

	for (size_t i = 0; i < PROOF_NONCE_BYTES; i++)
		(void)snprintf(key + 2 * i, 3, "%02x", nonce[i]);
	if (discovery->shared_nonces != NULL)
		first = cache_first(discovery->shared_nonces, key, PROOF_REMEMBER_MS, now_ms);
	if (first < 0 && discovery->is_shared)
		first = 1;
	if (first == 1)
		first = cache_first(discovery->nonces, key, PROOF_REMEMBER_MS, now_ms);
	if (first == 1 && discovery->is_shared)
		first = nonce_first_in_store(discovery, key);
	return first;
}

/* The header's first proof, cut off; and what follows it, or NULL. */
static const char *
split_header(const char *header, char ret_first[PROOF_HEADER_MAX_BYTES])
{
	const char *comma = strstr(header, ", ");
	size_t n = comma != NULL ? (size_t)(comma - header) : strlen(header);

	/* One that is too long is none, and verified as such. */
	(void)snprintf(ret_first, PROOF_HEADER_MAX_BYTES, "%.*s",
		       n < PROOF_HEADER_MAX_BYTES ? (int)n : 0, header);
	return comma != NULL ? comma + 2 : NULL;
}

/* 1: both were never seen; 0: one was; negative: the cache cannot say. */
static int
both_first(struct discovery *discovery, const uint8_t nonce[PROOF_NONCE_BYTES], bool by_old,
	   const uint8_t old_nonce[PROOF_NONCE_BYTES])
{
	int first = nonce_first(discovery, nonce);

	return first == 1 && by_old ? nonce_first(discovery, old_nonce) : first;
}

int
discovery_proof_check(struct discovery *discovery, const Boson__Discovery__RegisterRequest *request,
		      const uint8_t id[UUID_BYTES], const struct key *key, bool *ret_by_old,
		      void *call)
{
	const struct registry_node *node = registry_find(&discovery->registry, id);
	const struct key *old = node != NULL ? &node->public_key : key;
	uint8_t nonce[PROOF_NONCE_BYTES], old_nonce[PROOF_NONCE_BYTES];
	char header[PROOF_HEADER_MAX_BYTES];
	int64_t now_ms = clock_wall_ms();
	const char *second;
	bool good;
	int first, r;

	*ret_by_old = false;
	if (request->proof == NULL || !request->has_body_sha256 ||
	    request->body_sha256.len != BODY_HASH_BYTES) {
		discovery_refuse(discovery, call, BUS_UNAUTHENTICATED, "challenge", NULL);
		return -1;
	}
	second = split_header(request->proof, header);
	r = proof_verify(discovery->fleet_secret, header, id, key, "node",
			 request->body_sha256.data, now_ms, nonce);
	good = r == 0;
	if (second != NULL && r != -EIO) {
		r = proof_verify(discovery->fleet_secret, second, id, old, "node",
				 request->body_sha256.data, now_ms, old_nonce);
		*ret_by_old = r == 0;
	}
	if (r == -EIO) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
		return -1;
	}
	/* Of a second proof nothing but a good one will do, unless the new key is bound already:
	 * then an earlier answer was lost, and the old key is not known any more. */
	if (second != NULL && !*ret_by_old && (node == NULL || !key_is_equal(old, key)))
		good = false;
	first = good ? both_first(discovery, nonce, *ret_by_old, old_nonce) : 0;
	if (first < 0)
		bus_call_fail_retry(call, BUS_UNAVAILABLE,
				    discovery->is_shared ? "store_failed" : "cache_failed", 1);
	else if (first == 0)
		discovery_refuse(discovery, call, BUS_UNAUTHENTICATED, "challenge", NULL);
	return first > 0 ? 0 : -1;
}
