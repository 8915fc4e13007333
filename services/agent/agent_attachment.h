/*
 * agent_attachment: what the forwarder holds its leg by: node id, relay endpoints in order of
 * preference, ticket. Made of what the server answers to registrations and heartbeats. The model:
 * no I/O.
 */
#pragma once

#include "discovery.pb-c.h"
#include "node.pb-c.h"

#include <stdbool.h>
#include <stddef.h>

enum { ATTACHMENT_RELAYS_MAX = 16, ATTACHMENT_ENDPOINT_BYTES = 272 };

typedef Boson__Discovery__RegisterReply__RelayServer attachment_relay;

/* "wss://host:port"; -EINVAL: not a host, not a port, or not wss. */
int attachment_endpoint(const attachment_relay *relay, char ret_text[ATTACHMENT_ENDPOINT_BYTES]);

/* The next attachment: what the server said replaces what it was (old: NULL at first), what it did
 * not say stays. The old order of endpoints stays while they are the same ones: the server puts the
 * least loaded first each time, and a leg is not moved for that. 0 and the new one, to be freed
 * with boson__node__attachment__free_unpacked; 0 and NULL when nothing changed; -ENOMEM. */
int attachment_next(const Boson__Node__Attachment *old, const char *node_id,
		    attachment_relay *const *relays, size_t n_relays, const char *ticket,
		    Boson__Node__Attachment **ret);
