/*
 * relay_opens: OpenSession calls that wait for their node's answer. Each ends exactly once: by the
 * answer, by the node's leg going, or by its deadline. Control actor's thread only.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"
#include "relay.pb-c.h"

enum { RELAY_OPENS_MAX = 4096 };

struct relay_opens {
	struct idtable calls;
	uint64_t last_id;
};

int relay_opens_init(struct relay_opens *opens);

/* Fails what still waits. */
void relay_opens_fini(struct relay_opens *opens);

/* Notes a call; *ret_id is what the node's answer will name. -ENOSPC, -ENOMEM. */
int relay_opens_add(struct relay_opens *opens, const uint8_t node_id[UUID_BYTES],
		    Boson__Relay__OpenSessionReply_Closure closure, void *closure_data,
		    uint64_t *ret_id);

/* The node answered: a call of another node, or of none, is left alone (false). */
bool relay_opens_answer(struct relay_opens *opens, const uint8_t node_id[UUID_BYTES],
			Boson__Link__SessionOpened *opened);

/* The command did not reach the node. */
void relay_opens_fail(struct relay_opens *opens, uint64_t id);

/* The node's leg went. */
void relay_opens_fail_node(struct relay_opens *opens, const uint8_t node_id[UUID_BYTES]);

/* Those whose deadline has passed. */
void relay_opens_expire(struct relay_opens *opens, int64_t now_ms);
