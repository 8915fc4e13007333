/*
 * relay_udp_sessions: which sessions may be used by UDP legs here, of which nodes; and by which
 * receiver indexes their nodes know them. From these a stranger's first datagram finds its node. A
 * model: no I/O, no clock. One thread.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"
#include "relay/relay_udp_bucket.h"
#include "relay/relay_udp_mac1.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
	RELAY_UDP_SESSIONS_MAX = 1000 * 1000,
	RELAY_UDP_INDEXES = 8, /* of a session: WireGuard keeps three, handshakes under way more */
	RELAY_UDP_SAME_INDEX_MAX = 4,
	RELAY_UDP_HINTS_MAX = 16, /* sessions looked at for a source's prefix */
	RELAY_UDP_CANDIDATES_MAX = 1024,
	RELAY_UDP_HASHES_PER_SEC = 200 * 1000, /* some 5 % of a core */
};

/* How far an initiation's node is looked for: among those of sessions whose client was last seen
 * near its source, or among all. */
enum relay_udp_search { RELAY_UDP_NEAR, RELAY_UDP_ALL };

/* So many hashes a second. */
struct relay_udp_budget {
	int64_t since_ms;
	uint32_t left;
};

struct relay_udp_flow;

/* What BindUdp says; travels from the control actor to the shards as bytes. */
struct relay_udp_binding {
	uint8_t session_id[UUID_BYTES], node_id[UUID_BYTES];
	struct key node_key, client_key;
	int64_t ends_ms; /* monotonic */
	uint32_t rate_kbytes;
	bool has_address;
	struct in6_addr address; /* of the client, as the gateway saw it */
};

struct relay_udp_node {
	struct idtable_link by_id;
	uint8_t id[UUID_BYTES];
	struct key key;
	struct mac1_key mac1;
	LIST_HEAD(, relay_udp_session) sessions;
	uint32_t session_count;
	LIST_ENTRY(relay_udp_node) by_age;
	TAILQ_HEAD(, relay_udp_flow) half_open; /* the oldest first */
	uint32_t half_count;
	int64_t searched; /* hashes for its answers, on the scale of time at their rate */
};

struct relay_udp_session {
	struct idtable_link by_id;
	uint8_t id[UUID_BYTES];
	struct relay_udp_node *node;
	struct key client_key;
	struct mac1_key mac1; /* of what the node answers */
	int64_t ends_ms;
	uint32_t rate_kbytes;
	uint32_t indexes[RELAY_UDP_INDEXES];
	uint8_t index_n, index_at;
	LIST_ENTRY(relay_udp_session) of_node, of_prefix;
	struct relay_udp_prefix_entry *prefix;
	LIST_HEAD(, relay_udp_flow) flows; /* the newest first */
	uint32_t flow_count, half_count;
};

struct relay_udp_sessions {
	struct idtable sessions, nodes, prefixes, indexes;
	LIST_HEAD(, relay_udp_node) by_age; /* nodes, the newest first */
	struct relay_udp_budget budgets[2]; /* by enum relay_udp_search */
	uint64_t hashes;		    /* all that were made */
};

int relay_udp_sessions_init(struct relay_udp_sessions *sessions);

/* No session may have a flow any more. */
void relay_udp_sessions_fini(struct relay_udp_sessions *sessions);

/* Adds or brings up to date. One whose node or client key changed must be unbound first: -EEXIST.
 * -ENOSPC, -ENOMEM. */
int relay_udp_sessions_bind(struct relay_udp_sessions *sessions,
			    const struct relay_udp_binding *binding);

/* Frees it, and its node with the last one of it. It must have no flow any more. */
void relay_udp_sessions_unbind(struct relay_udp_sessions *sessions,
			       struct relay_udp_session *session);

struct relay_udp_session *relay_udp_sessions_find(const struct relay_udp_sessions *sessions,
						  const uint8_t id[UUID_BYTES]);

/* The node that an initiation is for, by its mac1: first the nodes of sessions whose client was
 * last seen near this address, then, if all are looked at, the others, within the budget. NULL:
 * none; *ret_is_out_of_budget says whether all were tried. */
struct relay_udp_node *relay_udp_sessions_match(struct relay_udp_sessions *sessions,
						enum relay_udp_search search,
						const struct in6_addr *from, const uint8_t *message,
						size_t n, int64_t now_ms,
						bool *ret_is_out_of_budget);

/* The session of this node that a handshake message from the node is for: first suspect (may be
 * NULL), then those of clients last seen near the address that it goes to, then all, for which a
 * node has so many hashes a second. */
struct relay_udp_session *
relay_udp_sessions_of_answer(struct relay_udp_sessions *sessions, struct relay_udp_node *node,
			     struct relay_udp_session *suspect, const struct in6_addr *to,
			     const uint8_t *message, size_t n, int64_t now_ms);

/* The session's client was heard from near this address. */
void relay_udp_sessions_near(struct relay_udp_sessions *sessions, struct relay_udp_session *session,
			     const struct in6_addr *address);

/* The one heard from near this address last, then along of_prefix; NULL: none. */
struct relay_udp_session *relay_udp_sessions_near_first(const struct relay_udp_sessions *sessions,
							const struct in6_addr *address);

/* The node announced an index for this session. */
void relay_udp_sessions_learn(struct relay_udp_sessions *sessions,
			      struct relay_udp_session *session, uint32_t index);

/* Whether the node knows the session by this index. */
bool relay_udp_session_has_index(const struct relay_udp_session *session, uint32_t index);

/* The one session known by this index; NULL: none, or sessions of several nodes are. */
struct relay_udp_session *relay_udp_sessions_by_index(const struct relay_udp_sessions *sessions,
						      uint32_t index);
