/*
 * mesh_rig: a shard of a relay without its thread; the test is the other relays, by links, and the
 * control actor. Links of even numbers are other relays' that have clients, those of odd numbers
 * lead to homes of nodes. One node; sessions are letters.
 */
#pragma once

#include "shard_alone.h"

#include "relay/relay_mesh.h"
#include "relay/relay_mesh_peers.h"

enum { MESH_RIG_HEARD_MAX = 16 };

/* A channel's opening or end. */
struct mesh_rig_word {
	uint64_t link;
	bool is_open;
	uint32_t channel, code;
	char session[UUID_TEXT_BYTES]; /* of an open */
};

extern const uint8_t mesh_rig_node[UUID_BYTES];

extern struct mesh_rig {
	struct shard_alone alone;
	struct relay_mesh_mail mesh;
	struct relay_mesh_peer peer; /* all that have clients */
	struct relay_shard *shard;   /* that one */
	/* in the last turn: */
	struct mesh_rig_word heard[MESH_RIG_HEARD_MAX]; /* over links */
	unsigned heard_n, sought, settled;
} mesh_rig;

int mesh_rig_set_up(void **state);
int mesh_rig_tear_down(void **state);

/* The shard does what it was told; what it says is in mesh_rig afterwards. message may be NULL. */
void mesh_rig_turn(struct relay_message *message);

/* What the other relay of a link says, and a turn. generation 0: none. */
void mesh_rig_say_open(uint64_t link, const uint8_t *node, uint32_t channel, char session,
		       uint64_t generation);
void mesh_rig_say_close(uint64_t link, uint32_t channel, uint32_t code);

/* The control actor: the node's leg, of this generation, is at the other end of the link. */
void mesh_rig_tie(uint64_t link, uint64_t generation);

/* A leg of this relay; session 0: the node's. Its far end, past the answer to its request. ret_leg
 * may be NULL. */
int mesh_rig_attach(char session, struct relay_leg **ret_leg);

/* The next word at the node's far end; the code of the close frame that must be next at any, 0: it
 * is something else, or nothing. */
struct mesh_rig_word mesh_rig_word_at(int node_fd);
unsigned mesh_rig_code_at(int fd);

const char *mesh_rig_session_text(char session);

/* The i-th word of the last turn. channel 0 of an open: any. */
void mesh_rig_assert_heard(unsigned i, uint64_t link, bool is_open, uint32_t channel,
			   uint32_t code);
