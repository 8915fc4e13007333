/* What a registration's proof of possession costs by itself: X25519, hashes, the cookie's MAC. */
#include "fleet.h"

#include "identity/proof.h"
#include "loop/clock.h"

#include <stdio.h>
#include <string.h>

enum { ROUNDS = 3000 };

int
fleet_proof(void)
{
	static const uint8_t secret[32] = { 1 }, body[32] = { 2 };
	int64_t wall_ms = clock_wall_ms(), spent_us[3] = { 0 };
	uint8_t nonce[PROOF_NONCE_BYTES];
	struct key private_key, public_key;
	struct fleet_node node;

	fleet_node_init(&node, 1);
	if (key_generate(&private_key) != 0 || key_public(&private_key, &public_key) != 0)
		return 70;
	for (int i = 0; i < ROUNDS; i++) {
		char header[PROOF_HEADER_MAX_BYTES];
		struct proof_challenge challenge;
		int64_t t0 = clock_monotonic_us();
		int r = proof_challenge_make(secret, node.id, &public_key, "node", wall_ms,
					     &challenge);
		int64_t t1 = clock_monotonic_us();

		if (r == 0)
			r = proof_make(&challenge, &private_key, node.id, "node", body, header);
		int64_t t2 = clock_monotonic_us();
		if (r == 0)
			r = proof_verify(secret, header, node.id, &public_key, "node", body,
					 wall_ms, nonce);
		if (r != 0)
			return 70;
		spent_us[0] += t1 - t0;
		spent_us[1] += t2 - t1;
		spent_us[2] += clock_monotonic_us() - t2;
	}
	printf("{\"proof_challenge_us\": %.1f, \"proof_make_us\": %.1f, \"proof_verify_us\": "
	       "%.1f}\n",
	       (double)spent_us[0] / ROUNDS, (double)spent_us[1] / ROUNDS,
	       (double)spent_us[2] / ROUNDS);
	return 0;
}
