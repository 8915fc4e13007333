/*
 * routing_proof: does who asks for a route have the private half of the client's WireGuard key
 * (docs/protocol.md, "Proof of a client")? Nothing is kept between challenge and proof, and none of
 * them is remembered: the same proof again asks for the same, by the same access key.
 */
#pragma once

#include "routing/routing_handlers.h"

enum routing_proof {
	ROUTING_PROOF_NONE,
	ROUTING_PROOF_GOOD,
	ROUTING_PROOF_BAD,
	ROUTING_PROOF_UNCHECKED, /* out of memory: that is no fault of the proof (F32) */
};

/* The signer is open. 0 or -EIO. */
int routing_proof_start(struct routing *routing);

void routing_proof_challenge(const struct routing *routing,
			     const Boson__Routing__ChallengeRequest *input,
			     Boson__Common__ChallengeReply_Closure closure, void *call);

/* clientId and publicKey have been checked. */
enum routing_proof routing_proof_check(const struct routing *routing,
				       const Boson__Routing__RouteRequest *input);
