/* enrolment: a node's part of challenge and registration, for discovery's contract tests. */
#pragma once

#include "boson_rig.h"
#include "common.pb-c.h"
#include "discovery.pb-c.h"
#include "identity/proof.h"

struct enrolment_node {
	uint8_t id[UUID_BYTES];
	char id_text[UUID_TEXT_BYTES];
	struct key private_key, public_key;
	char public_text[KEY_TEXT_BYTES];
};

/* A node with a fresh id and key. */
void enrolment_node_init(struct enrolment_node *node);

/* The Higgs-Proof header of this node for a body that hashes to body_sha256, from a challenge that
 * discovery just made. */
void enrolment_prove(struct rig *rig, struct bus_peer *discovery, const struct enrolment_node *node,
		     const uint8_t body_sha256[32], char ret_header[PROOF_HEADER_MAX_BYTES]);

/* Sends a registration with this proof (NULL: none); does not wait. */
void enrolment_send(struct rig_call *call, const struct enrolment_node *node, const char *proof,
		    const uint8_t body_sha256[32], const char *caller_subject);

/* All of it; the call is done after. */
void enrolment_run(struct rig_call *call, const struct enrolment_node *node);
