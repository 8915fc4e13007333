/*
 * gateway_rig_node: a node as the gateway sees one; see the header.
 */
#include "gateway_rig_node.h"

#include "identity/mac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void
rig_node_make(struct rig_node *node)
{
	*node = (struct rig_node){ 0 };
	assert_int_equal(key_generate(&node->private_key), 0);
	assert_int_equal(key_public(&node->private_key, &node->public_key), 0);
	key_format(&node->public_key, node->key_text);
	assert_int_equal(uuid_generate_text(node->id_text), 0);
	assert_int_equal(uuid_parse(node->id_text, node->id), 0);
}

void
rig_node_challenge(const struct rig *rig, const struct rig_node *node, struct proof_challenge *ret)
{
	char json[RIG_TEXT_BYTES];
	snprintf(json, sizeof(json), "{\"nodeId\":\"%s\",\"publicKey\":\"%s\",\"role\":\"node\"}",
		 node->id_text, node->key_text);
	const struct rig_answer *answer =
		rig_request(rig, "POST", "/api/v1/nodes/challenge", NULL, NULL, json);
	assert_int_equal(answer->status, 200);
	assert_int_equal(
		key_parse(rig_member(answer, "ephemeralPublicKey"), &ret->ephemeral_public), 0);
	assert_int_equal(base64_decode(rig_member(answer, "nonce"), ret->nonce, sizeof(ret->nonce)),
			 PROOF_NONCE_BYTES);
	assert_int_equal(
		base64_decode(rig_member(answer, "cookie"), ret->cookie, sizeof(ret->cookie)),
		PROOF_COOKIE_BYTES);
}

void
rig_node_proof(const struct rig_node *node, const struct proof_challenge *challenge,
	       const char *json, char ret_header[RIG_TEXT_BYTES])
{
	uint8_t hash[32];
	char proof[PROOF_HEADER_MAX_BYTES];
	assert_int_equal(mac_sha256(json, strlen(json), hash), 0);
	assert_int_equal(proof_make(challenge, &node->private_key, node->id, "node", hash, proof),
			 0);
	snprintf(ret_header, RIG_TEXT_BYTES, "Higgs-Proof: %s\r\n", proof);
}

const struct rig_answer *
rig_node_register(const struct rig *rig, const struct rig_node *node, const char *bearer,
		  const char *more)
{
	char json[RIG_TEXT_BYTES], header[RIG_TEXT_BYTES];
	struct proof_challenge challenge;
	snprintf(json, sizeof(json), "{\"nodeId\":\"%s\",\"publicKey\":\"%s\"%s}", node->id_text,
		 node->key_text, more);
	rig_node_challenge(rig, node, &challenge);
	rig_node_proof(node, &challenge, json, header);
	return rig_request(rig, "POST", "/api/v1/nodes/register", bearer, header, json);
}

void
rig_node_enrol(const struct rig *rig, struct rig_node *node)
{
	rig_node_make(node);
	const struct rig_answer *answer = rig_node_register(
		rig, node, rig_bearer(rig, "node.key"),
		",\"networkInfo\":{\"ipv4\":\"198.51.100.9\",\"natType\":\"FullCone\"},"
		"\"location\":{\"country\":\"DE\"},\"heartbeatInterval\":30");
	if (answer->status != 201)
		print_message("%s\n", answer->body);
	assert_int_equal(answer->status, 201);
	snprintf(node->bearer, sizeof(node->bearer), "Bearer %s",
		 rig_member(answer, "sessionToken"));
}
