/* enrolment: see the header. */
#include "enrolment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

RIG_CLOSURE(on_challenge, Boson__Common__ChallengeReply)
RIG_CLOSURE(on_registered, Boson__Discovery__RegisterReply)

void
enrolment_node_init(struct enrolment_node *node)
{
	assert_int_equal(uuid_generate_text(node->id_text), 0);
	assert_int_equal(uuid_parse(node->id_text, node->id), 0);
	assert_int_equal(key_generate(&node->private_key), 0);
	assert_int_equal(key_public(&node->private_key, &node->public_key), 0);
	key_format(&node->public_key, node->public_text);
}

void
enrolment_prove(struct rig *rig, struct bus_peer *discovery, const struct enrolment_node *node,
		const uint8_t body_sha256[32], char ret_header[PROOF_HEADER_MAX_BYTES])
{
	Boson__Discovery__ChallengeRequest request = BOSON__DISCOVERY__CHALLENGE_REQUEST__INIT;
	const Boson__Common__ChallengeReply *reply;
	struct proof_challenge challenge;
	struct rig_call call;

	request.node_id = (char *)(uintptr_t)node->id_text;
	request.public_key = (char *)(uintptr_t)node->public_text;
	request.role = "node";
	rig_call_init(&call, rig, discovery);
	boson__discovery__discovery__challenge(bus_peer_service(discovery), &request, on_challenge,
					       &call);
	rig_call_wait(&call);
	if (call.reply == NULL)
		fail_msg("no challenge: %d %s", (int)call.result.status, call.result.code);
	reply = (const Boson__Common__ChallengeReply *)call.reply;
	assert_int_equal(proof_challenge_parse(reply->ephemeral_public_key, reply->nonce,
					       reply->cookie, &challenge),
			 0);
	rig_call_fini(&call);
	assert_int_equal(proof_make(&challenge, &node->private_key, node->id, "node", body_sha256,
				    ret_header),
			 0);
}

void
enrolment_send(struct rig_call *call, const struct enrolment_node *node, const char *proof,
	       const uint8_t body_sha256[32], const char *caller_subject)
{
	Boson__Discovery__RegisterRequest request = BOSON__DISCOVERY__REGISTER_REQUEST__INIT;
	Boson__Discovery__NetworkInfo network = BOSON__DISCOVERY__NETWORK_INFO__INIT;
	Boson__Common__Location location = BOSON__COMMON__LOCATION__INIT;
	Boson__Common__Caller caller =
		rig_caller(BOSON__COMMON__CALLER__ROLE__NODE, caller_subject);

	network.ipv4 = "192.168.7.7";
	location.country = "DE";
	request.node_id = (char *)(uintptr_t)node->id_text;
	request.public_key = (char *)(uintptr_t)node->public_text;
	request.network_info = &network;
	request.location = &location;
	request.caller = caller_subject == NULL ? NULL : &caller;
	request.proof = (char *)(uintptr_t)proof;
	request.has_body_sha256 = 1;
	request.body_sha256.data = (uint8_t *)(uintptr_t)body_sha256;
	request.body_sha256.len = 32;
	boson__discovery__discovery__register_node(bus_peer_service(call->peer), &request,
						   on_registered, call);
}

void
enrolment_run(struct rig_call *call, const struct enrolment_node *node)
{
	static const uint8_t body_sha256[32] = { 1, 2, 3 };
	char proof[PROOF_HEADER_MAX_BYTES];

	enrolment_prove(call->rig, call->peer, node, body_sha256, proof);
	enrolment_send(call, node, proof, body_sha256, NULL);
	rig_call_wait(call);
}
