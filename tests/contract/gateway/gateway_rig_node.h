/*
 * gateway_rig_node: a node as the gateway sees one: a key pair, an id, proofs and a token. What
 * goes wrong in here fails the running cmocka test.
 */
#pragma once

#include "gateway_rig.h"
#include "identity/key.h"
#include "identity/proof.h"

enum { RIG_TEXT_BYTES = 1024 };

struct rig_node {
	struct key private_key, public_key;
	uint8_t id[UUID_BYTES];
	char id_text[UUID_TEXT_BYTES], key_text[KEY_TEXT_BYTES];
	char bearer[RIG_TEXT_BYTES]; /* its session token, once enrolled */
};

void rig_node_make(struct rig_node *node);

/* Asks for a challenge in this node's name. */
void rig_node_challenge(const struct rig *rig, const struct rig_node *node,
			struct proof_challenge *ret);

/* "Higgs-Proof: ...\r\n" over this body. */
void rig_node_proof(const struct rig_node *node, const struct proof_challenge *challenge,
		    const char *json, char ret_header[RIG_TEXT_BYTES]);

/* Registers with a proof. bearer: the enrolment key, or NULL. more: further members of the body. */
const struct rig_answer *rig_node_register(const struct rig *rig, const struct rig_node *node,
					   const char *bearer, const char *more);

/* A new node, enrolled, with its session token. */
void rig_node_enrol(const struct rig *rig, struct rig_node *node);
