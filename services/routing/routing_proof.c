/* routing_proof: see the header. */
#include "routing/routing_proof.h"

#include "identity/mac.h"
#include "identity/proof.h"
#include "loop/clock.h"

#include <errno.h>
#include <string.h>

static const char role[] = "client";

int
routing_proof_start(struct routing *routing)
{
	return ticket_signer_derive(routing->signer, "higgs-pop-v1 client", routing->proof_secret);
}

/* A secret for each access key: what it was challenged with, no other can answer (T08). */
static int
secret_of(const struct routing *routing, const Boson__Common__Caller *caller,
	  uint8_t ret_secret[KEY_BYTES])
{
	char holder[SESSION_HOLDER_BYTES];
	struct routing_caller asking;
	int error;

	routing_caller_take(&asking, caller);
	error = routing_holder(asking.subject, holder);
	if (error != 0)
		return error;
	return mac_hkdf_sha256(routing->proof_secret, sizeof(routing->proof_secret), NULL, 0,
			       holder, strlen(holder), ret_secret, KEY_BYTES);
}

static int
make(const struct routing *routing, const Boson__Routing__ChallengeRequest *input,
     const uint8_t id[UUID_BYTES], const struct key *key, struct proof_challenge *ret)
{
	uint8_t secret[KEY_BYTES];
	int error = secret_of(routing, input->caller, secret);

	if (error == 0)
		error = proof_challenge_make(secret, id, key, role, clock_wall_ms(), ret);
	key_wipe(secret, sizeof(secret));
	return error;
}

static void
reply(const struct proof_challenge *challenge, Boson__Common__ChallengeReply_Closure closure,
      void *call)
{
	Boson__Common__ChallengeReply message = BOSON__COMMON__CHALLENGE_REPLY__INIT;
	char expires_at[CLOCK_ISO8601_BYTES];
	struct proof_challenge_text text;

	proof_challenge_format(challenge, &text);
	clock_format_iso8601(challenge->expires_at_ms, expires_at);
	message.ephemeral_public_key = text.ephemeral_public;
	message.nonce = text.nonce;
	message.cookie = text.cookie;
	message.expires_at = expires_at;
	closure(&message, call);
}

void
routing_proof_challenge(const struct routing *routing,
			const Boson__Routing__ChallengeRequest *input,
			Boson__Common__ChallengeReply_Closure closure, void *call)
{
	struct proof_challenge challenge;
	uint8_t id[UUID_BYTES];
	struct key key;

	if (input->client_id == NULL || uuid_parse(input->client_id, id) != 0)
		bus_call_fail(call, BUS_INVALID, "field", "clientId");
	else if (input->public_key == NULL || key_parse(input->public_key, &key) != 0)
		bus_call_fail(call, BUS_INVALID, "field", "publicKey");
	else if (!routing_may_speak_for(input->caller, input->client_id))
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
	else if (make(routing, input, id, &key, &challenge) != 0)
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
	else
		reply(&challenge, closure, call);
}

enum routing_proof
routing_proof_check(const struct routing *routing, const Boson__Routing__RouteRequest *input)
{
	uint8_t id[UUID_BYTES], secret[KEY_BYTES], nonce[PROOF_NONCE_BYTES];
	struct key key;
	int error;

	if (input->proof == NULL)
		return ROUTING_PROOF_NONE;
	if (!input->has_body_sha256 || input->body_sha256.len != MAC_BYTES ||
	    uuid_parse(input->client_id, id) != 0 || key_parse(input->public_key, &key) != 0)
		return ROUTING_PROOF_BAD;
	error = secret_of(routing, input->caller, secret);
	if (error == 0)
		error = proof_verify(secret, input->proof, id, &key, role, input->body_sha256.data,
				     clock_wall_ms(), nonce);
	key_wipe(secret, sizeof(secret));
	if (error == 0)
		return ROUTING_PROOF_GOOD;
	return error == -EACCES ? ROUTING_PROOF_BAD : ROUTING_PROOF_UNCHECKED;
}
