/*
 * proof: proof of possession of a WireGuard key (docs/protocol.md, "Proof"). The server keeps
 * nothing between challenge and proof: everything comes from the fleet secret, the time slot and
 * the cookie.
 */
#pragma once

#include "identity/key.h"

enum {
	PROOF_NONCE_BYTES = 32,
	PROOF_COOKIE_BYTES = 40,
	PROOF_COOKIE_TEXT_BYTES = (PROOF_COOKIE_BYTES + 2) / 3 * 4 + 1,
	PROOF_HEADER_MAX_BYTES = 512,
	PROOF_ROLE_MAX_BYTES = 32,
	PROOF_LIFETIME_MS = 60 * 1000,
	/* How far the wall clocks of two replicas may be apart. */
	PROOF_SKEW_MS = 10 * 1000,
	/* How long a used nonce must be remembered. */
	PROOF_REMEMBER_MS = PROOF_LIFETIME_MS + PROOF_SKEW_MS
};

struct proof_challenge {
	struct key ephemeral_public;
	uint8_t nonce[PROOF_NONCE_BYTES];
	uint8_t cookie[PROOF_COOKIE_BYTES]; /* expiry (u64, epoch ms) and MAC over all fields */
	int64_t expires_at_ms;		    /* epoch */
};

/* A challenge as REST and the bus carry it: base64. */
struct proof_challenge_text {
	char ephemeral_public[KEY_TEXT_BYTES], nonce[KEY_TEXT_BYTES];
	char cookie[PROOF_COOKIE_TEXT_BYTES];
};
void proof_challenge_format(const struct proof_challenge *challenge,
			    struct proof_challenge_text *ret);
/* -EINVAL: not canonical, of another size, or NULL. When it expires is not in it. */
int proof_challenge_parse(const char *ephemeral_public, const char *nonce, const char *cookie,
			  struct proof_challenge *ret);

/* Server. fleet_secret: 32 bytes, the same for all replicas. -EINVAL: role empty or too long. */
int proof_challenge_make(const uint8_t fleet_secret[32], const uint8_t node_id[UUID_BYTES],
			 const struct key *public_key, const char *role, int64_t wall_now_ms,
			 struct proof_challenge *ret);

/* Node: the value of the Higgs-Proof header for this body. -EINVAL also when the ephemeral key is
 * none (a zero shared secret). */
int proof_make(const struct proof_challenge *challenge, const struct key *private_key,
	       const uint8_t node_id[UUID_BYTES], const char *role, const uint8_t body_sha256[32],
	       char ret_header[PROOF_HEADER_MAX_BYTES]);

/* Server. 0, or -EACCES for anything wrong: malformed, stale, forged, another id, key, role or
 * body, all alike and in the same time; or -EIO when it cannot be told now. ret_nonce identifies the proof, to be refused when seen
 * again within PROOF_REMEMBER_MS. */
int proof_verify(const uint8_t fleet_secret[32], const char *header,
		 const uint8_t node_id[UUID_BYTES], const struct key *public_key, const char *role,
		 const uint8_t body_sha256[32], int64_t wall_now_ms,
		 uint8_t ret_nonce[PROOF_NONCE_BYTES]);
